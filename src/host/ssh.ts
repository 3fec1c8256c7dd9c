/**
 * The system's `ssh` as a subprocess that carries one subsystem. Agents, `ssh_config`, hardware keys and jump hosts work
 * because it is the user's own `ssh`; its failures are told apart by exit status and standard error.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";

export interface SshOptions {
  /** Host name, address, or an alias of the user's `ssh_config`. */
  host: string;
  user?: string;
  port?: number;
  /** Private keys (or public keys whose private half an agent holds); with any of them no other key is offered. */
  identityFiles?: readonly string[];
  /** The only file that host keys are looked up in; without it the user's own files count. */
  knownHostsFile?: string;
  /** Name to look up in the known hosts file instead of the host's. */
  hostKeyAlias?: string;
  /** Further `-o` options such as `ProxyJump=gate`; they win over ours. */
  options?: readonly string[];
  /** Seconds until the connection and key exchange must be done; default 30. */
  connectTimeoutSeconds?: number;
  /** A program that prints the passphrase of a key (`SSH_ASKPASS`); without it ssh asks nobody. */
  askpassProgram?: string;
  /** Default `ssh`. */
  program?: string;
}

/** How the subprocess ended. */
export interface SshEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  /** The last 8 KiB of standard error. */
  stderr: string;
}

export interface SshProcess {
  stdin: Writable;
  stdout: Readable;
  /** Settles once when the subprocess is gone; rejects with HostError EXEC when it could not be started. */
  ended: Promise<SshEnd>;
  kill(): void;
}

const STDERR_KEPT = 8192;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._%:-]*$/;

/** Arguments for `ssh` that carry `subsystem`; nothing in them ever passes a shell. */
export function sshArguments(target: SshOptions, subsystem: string): string[] {
  if (!NAME.test(target.host)) throw new FormatError("ADDRESS", `"${target.host}" is not a host name`);
  if (target.user !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9._+-]*$/.test(target.user)) {
    throw new FormatError("ADDRESS", `"${target.user}" is not a login name`);
  }
  const options = [
    ...(target.options ?? []),
    ...(target.askpassProgram === undefined
      ? ["BatchMode=yes"]
      : ["PasswordAuthentication=no", "KbdInteractiveAuthentication=no", "NumberOfPasswordPrompts=1"]),
    "StrictHostKeyChecking=yes",
    `ConnectTimeout=${target.connectTimeoutSeconds ?? 30}`,
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    // The server's banner would be printed into the very text that failures are told apart by.
    "LogLevel=ERROR",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    // A master that stays behind would hold our pipes open.
    "ControlMaster=no",
  ];
  if (target.identityFiles !== undefined && target.identityFiles.length > 0) options.push("IdentitiesOnly=yes");
  if (target.knownHostsFile !== undefined) {
    options.push(`UserKnownHostsFile="${configPath(target.knownHostsFile)}"`, "GlobalKnownHostsFile=/dev/null");
    options.push("UpdateHostKeys=no");
  }
  if (target.hostKeyAlias !== undefined) options.push(`HostKeyAlias=${target.hostKeyAlias}`);
  const args = ["-T", "-a", "-x"];
  for (const option of options) args.push("-o", option);
  for (const file of target.identityFiles ?? []) args.push("-i", configPath(file));
  if (target.port !== undefined) args.push("-p", String(target.port));
  if (target.user !== undefined) args.push("-l", target.user);
  args.push("-s", "--", target.host, subsystem);
  return args;
}

/** `ssh` expands `%` and `${}` in file names and has no way to write a quote inside quotes. */
function configPath(path: string): string {
  // biome-ignore lint: the characters are ssh's own syntax
  if (/["\n\r\0]|\$\{/.test(path)) {
    throw new PolicyError("USAGE", `ssh can't be given the file name ${JSON.stringify(path)}`, {
      hint: "rename the file so that it has no quote, line break or ${ in its name",
    });
  }
  return path.replaceAll("%", "%%");
}

/** Starts `ssh` for a subsystem (`sftp`). Whether it connects shows in what comes out of it. */
export function startSubsystem(target: SshOptions, subsystem: string): SshProcess {
  const env = { ...process.env };
  if (target.askpassProgram !== undefined) {
    env["SSH_ASKPASS"] = target.askpassProgram;
    env["SSH_ASKPASS_REQUIRE"] = "force";
  }
  const program = target.program ?? "ssh";
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(program, sshArguments(target, subsystem), {
    stdio: ["pipe", "pipe", "pipe"],
    env,
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("latin1")).slice(-STDERR_KEPT);
  });
  const ended = new Promise<SshEnd>((resolve, reject) => {
    child.on("error", (cause) => {
      reject(
        new HostError("EXEC", `can't start "${program}"`, {
          cause,
          hint: "install OpenSSH's client, on Debian: apt install openssh-client",
        }),
      );
    });
    child.on("close", (status, signal) => resolve({ status, signal, stderr }));
  });
  return { stdin: child.stdin, stdout: child.stdout, ended, kill: () => void child.kill("SIGKILL") };
}

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
      new HostError("AUTH", `${where} refused the login: it does not accept any key that was offered`, {
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
 * AUTH, NETWORK, EXEC. Never returns null: whoever calls expected the connection to live.
 * @param established the subsystem had answered, so only the connection itself can have failed and what the other
 *   side wrote to standard error proves nothing
 */
export function classifySshEnd(target: SshOptions, end: SshEnd, established: boolean): Failure {
  const where = `"${target.host}"${target.port === undefined ? "" : ` port ${target.port}`}`;
  const said = readable(end.stderr);
  if (!established) {
    for (const rule of rules) if (rule.pattern.test(said)) return rule.make(where, said, target);
  }
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

/** What a server wrote must not drive the reader's terminal. */
function readable(text: string): string {
  return text.replaceAll("\r", "").replaceAll(/[^\n\x20-\x7e]/g, "?");
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
}
