/** Why `ssh` ended, from exit status and standard error: each cause has its own message and its own way out. */

import { HostError, VerifyError } from "#core/errors.ts";
import type { SshEnd, SshOptions } from "./ssh.ts";

type Failure = HostError | VerifyError;

interface Rule {
  pattern: RegExp;
  make(where: string, said: string, target: SshOptions): Failure;
}

function network(message: (where: string) => string, hint: string): Rule["make"] {
  return (where, said) => new HostError("NETWORK", message(where), { hint, cause: new Error(said) });
}

/** First match wins, so the sentences that explain come before the ones that only follow from them. */
const rules: readonly Rule[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|HOST KEY .*HAS CHANGED|differs from the key for the IP/i,
    make: (where, said, target) =>
      new VerifyError("HOST-KEY", `the host key of ${where} has changed`, {
        cause: new Error(said),
        hint: `somebody may be in between: ask the operator for the new key before you replace the line in ${
          target.knownHostsFile === undefined ? "~/.ssh/known_hosts" : `"${target.knownHostsFile}"`
        }; nothing was sent`,
      }),
  },
  {
    pattern: /REVOKED HOST KEY|Certificate invalid|Host certificate|certificate .*(expired|not yet valid)/i,
    make: (where, said) =>
      new VerifyError("HOST-KEY", `the host key or host certificate of ${where} is no longer valid`, {
        cause: new Error(said),
        hint: "ask the operator for the current keys, and check this computer's clock; nothing was sent",
      }),
  },
  {
    pattern: /Host key verification failed|host key is known for/i,
    make: (where, said, target) =>
      new VerifyError("HOST-KEY-UNKNOWN", `the host key of ${where} is not known yet`, {
        cause: new Error(said),
        hint: `put the line that the operator published into ${
          target.knownHostsFile === undefined ? "~/.ssh/known_hosts" : `"${target.knownHostsFile}"`
        }`,
      }),
  },
  {
    // It was accepted, and nobody could sign with it.
    pattern: /Load key "[^"\n]*\.pub"/,
    make: (where, said) =>
      new HostError("AUTH", `no ssh-agent has the key for ${where}`, {
        cause: new Error(said),
        hint: "load it into ssh-agent with ssh-add, or plug in what holds it",
      }),
  },
  {
    pattern: /Permissions \d+ for .* are too open|UNPROTECTED PRIVATE KEY FILE/i,
    make: (where, said) =>
      new HostError("AUTH", `ssh did not use the key for ${where}: other users of this computer may read its file`, {
        cause: new Error(said),
        hint: "chmod 600 the private key file",
      }),
  },
  {
    pattern: /incorrect passphrase|Load key .*(passphrase|error in libcrypto|invalid format)/i,
    make: (where, said) =>
      new HostError("AUTH", `ssh can't read the key for ${where}: ${lastLine(said)}`, {
        cause: new Error(said),
        hint: "check the passphrase, or load the key into ssh-agent with ssh-add",
      }),
  },
  {
    pattern: /Permission denied|Too many authentication failures|No supported authentication methods/i,
    make: (where, said) =>
      new HostError("LOGIN", `${where} refused the login: it does not accept any key that was offered`, {
        cause: new Error(said),
        hint: "give the operator your public key, and check account name and identity file (a key with a passphrase has to be in ssh-agent)",
      }),
  },
  {
    pattern: /subsystem request failed|exec request failed/i,
    make: (where, said) =>
      new HostError("AUTH", `${where} let us in and refused file transfer`, {
        cause: new Error(said),
        hint: "this account may not use SFTP there: ask the operator",
      }),
  },
  {
    pattern: /no matching .* found|Unable to negotiate/i,
    make: (where, said) =>
      new HostError("NETWORK", `${where} and this computer's ssh have no algorithm in common`, {
        cause: new Error(said),
        hint: "update OpenSSH on this computer",
      }),
  },
  {
    pattern: /Could not resolve hostname|Name or service not known|Temporary failure in name resolution/i,
    make: network((where) => `there is no address for ${where}`, "check the host name and this computer's network"),
  },
  {
    pattern: /Connection refused/i,
    make: network((where) => `${where} refuses connections`, "the server may be restarting: try again later"),
  },
  {
    pattern: /Network is unreachable|No route to host|Host is down|Network is down/i,
    make: network((where) => `${where} can't be reached`, "check this computer's network, then try again"),
  },
  {
    pattern: /timed out|Timeout, server .* not responding/i,
    make: network(
      (where) => `${where} does not answer in time`,
      "check this computer's network and firewall, then try again",
    ),
  },
  {
    pattern: /Connection (closed|reset)|Broken pipe|kex_exchange_identification|banner exchange|disconnect/i,
    make: network((where) => `${where} closed the connection`, "try again; nothing is lost"),
  },
];

/**
 * The error that a finished `ssh` amounts to: VerifyError HOST-KEY (changed or revoked), HOST-KEY-UNKNOWN; HostError
 * AUTH, LOGIN, NETWORK, EXEC. Never returns null: whoever calls expected the connection to live.
 * @param established the subsystem had answered, so only the connection itself can have failed and what the other
 *   side wrote to standard error proves nothing
 */
export function classifySshEnd(target: SshOptions, end: SshEnd, established: boolean): Failure {
  const where = whereOf(target);
  const said = readable(end.stderr);
  const known = established ? null : knownSshFailure(target, end.stderr);
  if (known !== null) return known;
  if (end.signal === null && end.status !== 255 && !established) {
    return new HostError("EXEC", `ssh to ${where} ended with exit status ${end.status} before file transfer began`, {
      cause: new Error(said),
      hint: lastLine(said) === "" ? "try the same host with plain sftp" : `ssh said: ${lastLine(said)}`,
    });
  }
  const detail = lastLine(said);
  return new HostError("NETWORK", `the connection to ${where} was lost${detail === "" ? "" : `: ${detail}`}`, {
    hint: "try again; nothing is lost",
  });
}

/** The failure that ssh's own words name, as of {@link classifySshEnd}; null where they name none. */
export function knownSshFailure(target: SshOptions, stderr: string): Failure | null {
  const said = readable(stderr);
  const rule = rules.find(({ pattern }) => pattern.test(said));
  return rule?.make(whereOf(target), said, target) ?? null;
}

function whereOf({ host, port }: SshOptions): string {
  return `"${host}"${port === undefined ? "" : ` port ${port}`}`;
}

/** What a server wrote must not drive the reader's terminal. */
function readable(text: string): string {
  return text.replaceAll("\r", "").replaceAll(/[^\n\x20-\x7e]/g, "?");
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
}
