/** Everything that SSH offers beside files, tried by one key, and again on an sshd that allows it all. */

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExecResult } from "#host/exec.ts";
import type { Stage } from "#test/world/stage.ts";

/** Somebody who can run `ssh`. */
export interface Login {
  /** Runs a shell script where the key is. */
  run: (script: string) => Promise<ExecResult>;
  /** `ssh` with the options that log in, as words of a shell. */
  ssh: string;
  /** The last word: USER@HOST. */
  to: string;
}

interface Feature {
  what: string;
  /** @param port free for this feature on either side, and so are the two above */
  script: (login: Pick<Login, "ssh" | "to">, port: number) => string;
  /** A shell condition on `fetch` that becomes true while the script runs, when the feature works. */
  shows?: (port: number) => string;
}

const seen = "feature-seen";
/** Looks for a line that sshd says first. */
const banner = `grep -aoqm1 SSH-2.0- && echo ${seen}`;
/** Runs a command until it succeeds, for two seconds. */
const patiently = (command: string): string =>
  `for try in 1 2 3 4 5 6 7 8 9 10; do ${command} && break; sleep 0.2; done`;
/** Holds a session open for a while. */
const held = (ssh: string, to: string): string => `sleep 3 | ${ssh} -s ${to} sftp >/dev/null`;
const listens = (port: number): string =>
  `grep -qi ':${port.toString(16).padStart(4, "0")} 00000000:0000 0A' /proc/net/tcp`;

const features: readonly Feature[] = [
  { what: "run a command", script: ({ ssh, to }) => `${ssh} ${to} echo ${seen}` },
  { what: "have a shell", script: ({ ssh, to }) => `echo echo ${seen} | ${ssh} ${to}` },
  { what: "have a terminal", script: ({ ssh, to }) => `${ssh} -tt ${to} 'tty && echo ${seen}' </dev/null` },
  {
    what: "forward an agent",
    script: ({ ssh, to }, port) =>
      `eval $(ssh-agent -a /tmp/own-agent-${port}) >/dev/null; ${held(`${ssh} -A`, to)}; kill $SSH_AGENT_PID`,
    shows: () => "ls -d /tmp/ssh-*/agent.*",
  },
  {
    what: "forward a display",
    script: ({ ssh, to }) => `export DISPLAY=:9; ${held(`${ssh} -Y`, to)}`,
    shows: () => listens(6010),
  },
  {
    what: "open a port from there (-W)",
    script: ({ ssh, to }) => `sleep 1 | ${ssh} -W 127.0.0.1:22 ${to} | ${banner}`,
  },
  {
    what: "forward a port there (-L)",
    script: ({ ssh, to }, port) =>
      `(${held(`${ssh} -L ${port}:127.0.0.1:22`, to)}) & ` +
      `${patiently(`timeout 1 bash -c 'cat < /dev/tcp/127.0.0.1/${port}' | ${banner}`)}; wait`,
  },
  {
    what: "use it as a SOCKS proxy (-D)",
    script: ({ ssh, to }, port) =>
      `(${held(`${ssh} -D ${port}`, to)}) & ` +
      `${patiently(
        `timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; printf "\\5\\1\\0\\5\\1\\0\\1\\177\\0\\0\\1\\0\\26" >&3; cat <&3' | ${banner}`,
      )}; wait`,
  },
  {
    what: "forward a socket there (-L with a path)",
    script: ({ ssh, to }, port) =>
      `(${held(`${ssh} -L ${port}:/run/attempt.sock`, to)}) & ` +
      `${patiently(`timeout 1 bash -c 'cat < /dev/tcp/127.0.0.1/${port}' | ${banner}`)}; wait`,
  },
  {
    what: "listen there (-R)",
    script: ({ ssh, to }, port) => held(`${ssh} -R ${port + 1}:127.0.0.1:22`, to),
    shows: (port) => listens(port + 1),
  },
  {
    what: "listen there on a socket (-R with a path)",
    script: ({ ssh, to }, port) => held(`${ssh} -R /tmp/listen-${port}.sock:127.0.0.1:22`, to),
    shows: (port) => `test -S /tmp/listen-${port}.sock`,
  },
];

/** What sshd_config allows when nobody thinks about it, and more. Run by root of `fetch` beside the real one. */
const openSshd = `
mkdir -p /root/.ssh /tmp/open && cd /tmp/open
ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub keys
printf '#!/bin/sh\\nexit 0\\n' > xauth && chmod 755 xauth
cat > config <<END
Port 2222
ListenAddress 127.0.0.1
HostKey /tmp/open/host
AuthorizedKeysFile /tmp/open/keys
StrictModes no
PermitRootLogin yes
PasswordAuthentication yes
UsePAM no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
X11Forwarding yes
XAuthLocation /tmp/open/xauth
PermitTTY yes
AcceptEnv *
Subsystem sftp internal-sftp
PidFile /tmp/open/pid
END
/usr/sbin/sshd -f config
# What a forwarded socket would lead to: it greets as sshd does.
perl -MIO::Socket::UNIX -e '
  my $s = IO::Socket::UNIX->new(Local => "/run/attempt.sock", Listen => 9) or die;
  chmod 0777, "/run/attempt.sock";
  exit if fork;
  close STDOUT; close STDERR;
  while (my $c = $s->accept) { print $c "SSH-2.0-attempt\\r\\n"; close $c }'
`;

/** The control: somebody on an sshd that allows everything. It lives as long as the machine, on port 2222 of its loopback. */
export async function startOpenSshd(stage: Stage): Promise<Login> {
  const { status, stderr } = await stage.exec("fetch", ["sh", "-ec", openSshd]);
  assert.equal(status, 0, stderr);
  const options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
  return {
    run: (script) => stage.exec("fetch", ["sh", "-c", script]),
    ssh: `ssh -F none -i /tmp/open/key -p 2222 ${options}`,
    to: "root@127.0.0.1",
  };
}

async function attempt(
  stage: Stage,
  login: Login,
  feature: Feature,
  port: number,
): Promise<{ works: boolean; said: string }> {
  const running = login.run(feature.script(login, port));
  const shows = feature.shows?.(port);
  if (shows === undefined) {
    const { stdout, stderr } = await running;
    return { works: stdout.includes(seen), said: `${stdout.toString("latin1")}${stderr}` };
  }
  await sleep(300);
  const looking = await stage.exec("fetch", ["sh", "-c", patiently(`{ ${shows}; } >/dev/null 2>&1 && echo ${seen}`)]);
  const { stderr } = await running;
  return { works: looking.stdout.includes(seen), said: `${looking.stdout.toString("latin1")}${stderr}` };
}

/** All features at once; ports from `firstPort` on. */
async function attemptAll(
  stage: Stage,
  login: Login,
  firstPort: number,
): Promise<Map<string, { works: boolean; said: string }>> {
  return new Map(
    await Promise.all(
      features.map(
        async (feature, index) => [feature.what, await attempt(stage, login, feature, firstPort + index * 3)] as const,
      ),
    ),
  );
}

/** @param logins who must be able to do none of it, by name */
export function sshFeatureTests(stage: () => Stage, logins: Readonly<Record<string, (stage: Stage) => Login>>): void {
  describe("what SSH offers beside files", () => {
    const results = new Map<string, Map<string, { works: boolean; said: string }>>();

    before(async () => {
      let port = 7000;
      // The control comes last: sockets of its forwarded agent would be taken for somebody else's.
      for (const [name, login] of Object.entries(logins)) {
        results.set(name, await attemptAll(stage(), login(stage()), port));
        port += 100;
      }
      results.set("control", await attemptAll(stage(), await startOpenSshd(stage()), port));
    });

    test("nobody sets environment variables", async () => {
      // Nothing is executed for anybody, so the server's settings are all that can be looked at.
      const effective = async (...options: string[]): Promise<string> => {
        const as = options.length > 0 ? [] : ["-C", "user=bob,host=x,addr=192.0.2.1"];
        const { status, stdout, stderr } = await stage().exec("fetch", ["/usr/sbin/sshd", "-T", ...as, ...options]);
        assert.equal(status, 0, stderr);
        return stdout.toString("utf8");
      };
      assert.match(await effective("-f", "/tmp/open/config"), /^acceptenv \*$/m, "control");
      assert.doesNotMatch(await effective(), /^(?:acceptenv|setenv) |^permituserenvironment (?!no$)/m);
    });

    for (const name of Object.keys(logins)) {
      for (const { what } of features) {
        test(`${name} can't ${what}`, () => {
          const control = results.get("control")?.get(what);
          assert.equal(control?.works, true, `control: ${control?.said ?? "not tried"}`);
          const result = results.get(name)?.get(what);
          assert.equal(result?.works, false, result?.said ?? "not tried");
        });
      }
    }
  });
}
