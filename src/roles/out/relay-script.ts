/** The forced command of every account on `out`, as a shell script (docs/formats/submit-relay.md). */

export interface RelayScriptOptions {
  /** Where shoal-submit listens. */
  readonly socket: string;
  /** OpenBSD's netcat, which knows `-N` and `-U`; default: from the system's path. */
  readonly netcat?: string;
}

/**
 * POSIX sh. What users say is only ever an argument of `printf '%s'` or the word of a `case`.
 *
 * - The name is the one that sshd has set.
 * - Only sending reads standard input, so that `ssh HOST limits` ends by itself on a terminal.
 * - End of input looks alike when the message ends and when the user's connection breaks or the user's ssh is killed. It is
 *   the end only if sshd is still there and still reads our output. A process loses its memory (statm) before its files, and
 *   when a connection breaks, sshd closes a channel's output before its input: both looks are in time. GNU's tail tells at
 *   once whether somebody reads its output; it would go on for as long as process 4194305 lives, which no Linux has.
 *   Elsewhere a second must do. A connection that many share says that one of them is gone a moment after its end of input:
 *   who has not said how many bytes come waits for that.
 * - From when the end of the message is written on, nobody here knows what becomes of it: netcat may die with that end, or with
 *   the answer, in its hands. Before that nothing was sent.
 * - netcat and what feeds it are not waited for: they end when sshd closes their input, which it does when this script ends.
 *
 * @throws RangeError for a path that can't stand in a script
 */
export function renderRelayScript({ socket, netcat = "nc" }: RelayScriptOptions): string {
  return `#!/bin/sh
# Hands a submission to shoal-submit and its answer back. sshd runs it as the forced command of every account.
PATH=/usr/bin:/bin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
command=\${SSH_ORIGINAL_COMMAND-}

parent() {
  pages=0
  read -r pages rest </proc/"$PPID"/statm
  [ "$pages" != 0 ]
}

alive() {
  case $command in
  *'--bytes '*) ;;
  *) sleep 0.1 ;;
  esac
  if [ -r /proc/self/statm ]; then
    parent && tail -n 0 -f --pid=4194305 /dev/null >&4 && parent
  else
    sleep 1
    kill -0 "$PPID"
  fi
}

request() {
  printf 'shoal-submit/v1\\nlogin %s\\ncommand %s\\n' "\${LOGNAME-}" "\${#command}"
  printf '%s' "$command"
  verb=\${command#"\${command%%[! ]*}"}
  case \${verb%% *} in
  '' | send | send-anyway) cat 5>&- ;;
  esac
  alive 5>&- && printf 'ending\\n' >&5 && printf '\\000end of submission\\n'
}

answer() {
  fate='nothing was sent'
  while IFS= read -r line; do
    case $line in
    closed) break ;;
    ending | taken) fate='it may have left' ;;
    'out '*) printf '%s\\n' "\${line#out }" ;;
    'err '*) printf '%s\\n' "\${line#err }" >&2 ;;
    'exit 0' | 'exit 64' | 'exit 65' | 'exit 67' | 'exit 75' | 'exit 77') exit "\${line#exit }" ;;
    esac
  done
  printf '%s\\n' "refused: this machine can not take mail now; $fate: try again later" >&2
  exit 75
}

exec 3<&0 4>&1 </dev/null
{
  exec 5>&1
  { request <&3 3<&- | {
    exec 3<&- 4>&- 5>&-
    ${quotedWord(netcat)} -N -U ${quotedWord(socket)}
    printf 'closed\\n'
  }; } 2>/dev/null &
} | {
  exec 3<&- 4>&-
  answer
}
`;
}

function quotedWord(text: string): string {
  if (!/^[!-~]+$/.test(text) || text.startsWith("-")) throw new RangeError(`${JSON.stringify(text)} in a script`);
  return `'${text.replaceAll("'", "'\\''")}'`;
}
