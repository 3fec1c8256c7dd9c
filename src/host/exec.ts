import { type SpawnOptions, spawn } from "node:child_process";
import { HostError } from "#core/errors.ts";

export interface ExecOptions {
  /** Bytes for standard input; without it the program reads end of file at once. */
  input?: string | Uint8Array;
  cwd?: string;
  /** The whole environment of the program; default is ours. */
  env?: NodeJS.ProcessEnv;
  /** The program is ended after this long; default: never. */
  timeoutSeconds?: number;
  /** More output than this ends the program; default 64 MiB. */
  maxOutputBytes?: number;
  /** Called with each chunk of standard error, for progress. */
  onStderr?: (text: string) => void;
}

export interface ExecResult {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
  timedOut: boolean;
}

/**
 * Runs a program with an argument array (never a shell) and gives its result, whatever its exit status.
 * @throws HostError EXEC when it can't be started or prints more than `maxOutputBytes`.
 */
export function tryExec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const maxOutputBytes = options.maxOutputBytes ?? 64 * 1024 * 1024;
  const spawnOptions: SpawnOptions = { stdio: ["pipe", "pipe", "pipe"] };
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  if (options.env !== undefined) spawnOptions.env = options.env;
  const child = spawn(command, args, spawnOptions);
  const { stdin, stdout: out, stderr: err } = child;
  if (stdin === null || out === null || err === null) throw new HostError("EXEC", `${command} has no standard streams`);
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    let stderr = "";
    let bytes = 0;
    let timedOut = false;
    const timer =
      options.timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill("SIGKILL");
          }, options.timeoutSeconds * 1000);
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxOutputBytes) {
        child.kill("SIGKILL");
        reject(new HostError("EXEC", `"${command}" printed more than ${maxOutputBytes} bytes`));
      }
    };
    out.on("data", (chunk: Buffer) => {
      count(chunk);
      stdout.push(chunk);
    });
    err.on("data", (chunk: Buffer) => {
      count(chunk);
      stderr += chunk.toString("utf8");
      options.onStderr?.(chunk.toString("utf8"));
    });
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(new HostError("EXEC", `can't start "${command}"`, { cause }));
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr, timedOut });
    });
    stdin.on("error", (cause: NodeJS.ErrnoException) => {
      // A program may end without reading its input; its exit status tells the rest.
      if (cause.code !== "EPIPE") reject(new HostError("EXEC", `can't write to "${command}"`, { cause }));
    });
    stdin.end(options.input);
  });
}

/**
 * Like {@link tryExec}, and anything but exit status 0 is an error that quotes the end of standard error.
 * @throws HostError EXEC, TIMEOUT
 */
export async function exec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const result = await tryExec(command, args, options);
  if (result.timedOut) throw new HostError("TIMEOUT", `"${command}" took longer than ${options.timeoutSeconds} s`);
  if (result.status !== 0) {
    const how = result.signal === null ? `exit status ${result.status}` : `signal ${result.signal}`;
    throw new HostError(
      "EXEC",
      `"${[command, ...args].join(" ")}" failed with ${how}: ${result.stderr.trim().slice(-2000)}`,
    );
  }
  return result;
}
