/**
 * The system's `ssh` as a subprocess that carries one subsystem. Agents, `ssh_config`, hardware keys and jump hosts work
 * because it is the user's own `ssh`. Its failures are told apart in `ssh-failure.ts`.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";

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
  /** A program that prints the passphrase of a key (`SSH_ASKPASS`), and what is added to its environment; without it
   * ssh asks nobody. */
  askpass?: { program: string; env: Record<string, string> };
  /** Default `ssh`. */
  program?: string;
}

/** A link to another machine, as the configuration of a program names it. */
export interface Link {
  host: string;
  port: number;
  user: string;
  /** The link's private key. */
  identity: string;
  knownHosts: string;
  /** Default `ssh`. */
  program?: string | undefined;
}

/** For a kept connection between machines: no agent has a say, and that the other end is away is noticed within 15 s. */
export function linkOptions({ host, port, user, identity, knownHosts, program }: Link): SshOptions {
  return {
    host,
    port,
    user,
    identityFiles: [identity],
    knownHostsFile: knownHosts,
    connectTimeoutSeconds: 5,
    options: ["IdentityAgent=none", "ServerAliveInterval=5", "ServerAliveCountMax=3"],
    ...(program === undefined ? {} : { program }),
  };
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

/** Arguments for `ssh` that carry `subsystem`, or with null what the server forces; nothing in them ever passes a shell. */
export function sshArguments(target: SshOptions, subsystem: string | null): string[] {
  if (!NAME.test(target.host)) throw new FormatError("ADDRESS", `"${target.host}" is not a host name`);
  if (target.user !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9._+-]*$/.test(target.user)) {
    throw new FormatError("ADDRESS", `"${target.user}" is not a login name`);
  }
  const options = [
    ...(target.options ?? []),
    ...(target.askpass === undefined
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
  args.push(...(subsystem === null ? ["--", target.host] : ["-s", "--", target.host, subsystem]));
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

/**
 * Starts `ssh` for a subsystem (`sftp`), or with null for the command that the server forces (`ForceCommand`). Whether it
 * connects shows in what comes out of it.
 */
export function startSubsystem(target: SshOptions, subsystem: string | null): SshProcess {
  const env = { ...process.env };
  if (target.askpass !== undefined) {
    Object.assign(env, target.askpass.env, { SSH_ASKPASS: target.askpass.program, SSH_ASKPASS_REQUIRE: "force" });
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
  return { stdin: child.stdin, stdout: child.stdout, ended, kill: () => void child.kill("SIGTERM") };
}
