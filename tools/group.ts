/** Runs a program in a process group of its own and sees to it that nothing of it is left behind. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface GroupResult {
  /** Exit status; null when a signal ended it. */
  status: number | null;
  output: string;
  /** Command lines of processes that were still there after the program's end; they have been ended. */
  leftOver: string[];
  timedOut: boolean;
}

export interface GroupOptions {
  cwd: string;
  /** After this long the group is ended; default: never. */
  limitSeconds?: number;
  /** More of the environment. */
  env?: Readonly<Record<string, string>>;
}

/** A signal asked this process to end; whoever catches it cleans up and lets it through. */
export class Interrupted extends Error {
  /** As a shell reports it: 130 or 143. */
  readonly exitStatus: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`ended by ${signal}`);
    this.exitStatus = signal === "SIGINT" ? 130 : 143;
  }
}

/** Runs a main function; an interrupted one sets the exit status and is silent. */
export async function untilInterrupted(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    process.exitCode = error.exitStatus;
  }
}

/** How long a program may take to clean up after SIGINT or SIGTERM. */
const GRACE_SECONDS = 60;
/** Inherited by every process that the program starts, those that leave the process group included. */
const MARK_NAME = "SHOAL_RUN";

/**
 * Runs one program to its end. SIGINT and SIGTERM to this process are handed on to the group, and to all of it SIGKILL a
 * minute later.
 * @throws Interrupted after the program's end, when a signal came
 */
export async function runGroup(command: string, args: readonly string[], options: GroupOptions): Promise<GroupResult> {
  const mark = randomUUID();
  const child = spawn(command, args, {
    cwd: options.cwd,
    // Without the variable that makes `node --test` inside of a test do nothing.
    env: { ...process.env, ...options.env, NODE_TEST_CONTEXT: undefined, [MARK_NAME]: mark },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    // Not "close": a left-over process would hold the pipes open for ever.
    child.on("exit", resolve);
  });

  let timedOut = false;
  const limit =
    options.limitSeconds === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          endGroup(child, "SIGTERM");
        }, options.limitSeconds * 1000);
  let received: "SIGINT" | "SIGTERM" | null = null;
  const hand = (signal: "SIGINT" | "SIGTERM") => (): void => {
    received = signal;
    endGroup(child, signal);
  };
  const [onInterrupt, onTerminate] = [hand("SIGINT"), hand("SIGTERM")];
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  try {
    const status = await closed;
    const leftOver = await endLeftOvers(mark);
    if (received !== null) throw new Interrupted(received);
    await drained(child);
    return { status, output: Buffer.concat(chunks).toString("utf8"), leftOver, timedOut };
  } finally {
    clearTimeout(limit);
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onTerminate);
  }
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  const group = -child.pid;
  send(group, signal);
  setTimeout(() => send(group, "SIGKILL"), GRACE_SECONDS * 1000).unref();
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch (error) {
    // Ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function drained(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null && !stream.readableEnded);
  await Promise.race([
    Promise.all(streams.map((stream) => new Promise((resolve) => stream?.once("close", resolve)))),
    sleep(2000),
  ]);
}

/** Ends what still runs, politely and then not; gives the command lines of what was there a moment after the end. */
async function endLeftOvers(mark: string): Promise<string[]> {
  if (process.platform !== "linux" || marked(mark).length === 0) return [];
  // Children of an ended program may be on their way out.
  await sleep(500);
  const found = marked(mark);
  for (const { pid } of found) send(pid, "SIGTERM");
  for (let tries = 0; tries < 20 && marked(mark).length > 0; tries++) await sleep(100);
  for (const { pid } of marked(mark)) send(pid, "SIGKILL");
  return found.map(({ command }) => command);
}

function marked(mark: string): { pid: number; command: string }[] {
  const entry = `${MARK_NAME}=${mark}`;
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const hasMark = readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(entry);
      if (!hasMark) return [];
      return [
        { pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " ").trim() },
      ];
    } catch (error) {
      // Somebody else's, or gone since the folder was read.
      if (["EACCES", "EPERM", "ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
      throw error;
    }
  });
}
