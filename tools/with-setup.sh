#!/bin/sh
# Runs one of the project's programs on a machine that may have nothing but Node, npm and root:
#   with-setup.sh packages FILE [ARG ...]   npm packages only (checks, builds)
#   with-setup.sh machine FILE [ARG ...]    Debian packages too (cells: needs root)
# Says what it does on standard error; a second run finds everything in place and is quick.
set -eu
cd "$(dirname "$0")/.."
kind=$1
file=$2
shift 2

lock_hash() { sha256sum package-lock.json | cut -d ' ' -f 1; }
if [ "$(cat node_modules/.shoal-lock 2>/dev/null || true)" != "$(lock_hash)" ]; then
  echo "set-up: npm ci (exact versions from package-lock.json)" >&2
  npm ci --ignore-scripts --no-audit --no-fund >&2
  lock_hash > node_modules/.shoal-lock
fi

# npm 9, which Debian 12 and 13 have, makes no link to a program named "node".
if [ ! -e node_modules/.bin/node ]; then
  for node in node_modules/node-linux-*/bin/node; do
    ln -sf "../${node#node_modules/}" node_modules/.bin/node
  done
fi
# The Node that npm brought needs one library that a small Debian may lack.
if ! node_modules/.bin/node --version >/dev/null 2>&1; then
  echo "set-up: apt-get install libatomic1 (for Node)" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libatomic1 >&2
fi

if [ "$kind" = machine ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "set-up: error: cells need root on Linux; run this command as root" >&2
    exit 77
  fi
  missing=
  while read -r program package; do
    command -v "$program" >/dev/null 2>&1 || [ -e "$program" ] || missing="$missing $package"
  done <<EOF
mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-trixie-automatic.gpg debian-archive-keyring
runc runc
nft nftables
ip iproute2
ssh openssh-client
ssh-keygen openssh-client
sftp openssh-client
/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so openssh-tests
/usr/sbin/sshd openssh-server
age age
openssl openssl
rsync rsync
xz xz-utils
dkimverify python3-dkim
/usr/lib/python3/dist-packages/nacl python3-nacl
unbound unbound
ldns-signzone ldnsutils
postfix postfix
nc netcat-openbsd
EOF
  if [ -n "$missing" ]; then
    echo "set-up: apt-get install$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # Tests start their own servers, where nobody else sees them; the host's must not begin to listen because of us.
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy; fi
    status=0
    # shellcheck disable=SC2086 # one word a package
    apt-get install -y -qq --no-install-recommends $missing >&2 || status=$?
    [ -z "$policy" ] || rm -f "$policy"
    [ $status = 0 ] || exit $status
    case $missing in
    *openssh-server*) if [ -d /run/systemd/system ]; then systemctl disable --quiet ssh.service ssh.socket >&2 || true; fi ;;
    esac
    for service in unbound postfix; do
      case $missing in
      *" $service"*) if [ -d /run/systemd/system ]; then systemctl disable --quiet $service.service >&2 || true; fi ;;
      esac
    done
  fi
fi

PATH="$PWD/node_modules/.bin:/usr/sbin:/sbin:$PATH"
export PATH
exec node "$file" "$@"
