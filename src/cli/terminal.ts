/** What a person reads goes to standard error; standard output carries data alone. */

import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";

export function print(text: string): void {
  process.stdout.write(text);
}

/** Failures to write that somebody waits for, and speaks of. */
export const awaitedFailures = new WeakSet<Error>();

/** What {@link print} can't write is said, once, and is a failure; a reader that has seen enough (`| head`) is none. */
export function mindOutput(program: string): void {
  process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code === "EPIPE" || awaitedFailures.has(cause) || isOutputLost) return;
    isOutputLost = true;
    complain(program, new HostError("FILE", `can't write to standard output: ${cause.message}`, { cause }));
    process.exitCode = EXIT.temporary;
    // Whatever the program ends with, its data is not where it should be.
    process.once("exit", () => {
      process.exitCode ||= EXIT.temporary;
    });
  });
  // There is nobody to tell.
  process.stderr.on("error", () => undefined);
}

let isOutputLost = false;

export function say(program: string, text: string): void {
  process.stderr.write(`${program}: ${text}\n`);
}

/** `program: error: …` and, where the reader can do something, `program: hint: …`. */
export function complain(program: string, thrown: unknown): void {
  const error = systemErrorInWords(thrown);
  const known =
    error instanceof FormatError ||
    error instanceof VerifyError ||
    error instanceof PolicyError ||
    error instanceof HostError;
  if (known) {
    for (const line of error.message.split("\n")) say(program, `error: ${line}`);
    if (error.hint !== undefined) say(program, `hint: ${error.hint}`);
    return;
  }
  // Not one of ours: a defect or the system. The stack helps whoever reports it.
  say(program, `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

/** What the operating system does not do with a file is no defect of ours: it is said without a stack. */
const SYSTEM_HINTS: Readonly<Record<string, string | undefined>> = {
  EACCES: "check who owns it, and who may read and write it",
  EDQUOT: "your quota on this computer is used up: make room and try again",
  EIO: "check the disk",
  EISDIR: undefined,
  ELOOP: undefined,
  ENAMETOOLONG: undefined,
  ENOENT: undefined,
  ENOSPC: "make room and try again",
  ENOTDIR: undefined,
  EPERM: "check who owns it, and who may read and write it",
  EROFS: undefined,
};

/** HostError FILE for an error of Node's about a file; all else as it is. */
export function systemErrorInWords(error: unknown): unknown {
  // What could not be undone either: the first is what it was about.
  if (error instanceof AggregateError && error.errors.length > 0) {
    const [first] = error.errors as unknown[];
    const said = systemErrorInWords(first);
    return said === first ? error : said;
  }
  if (!(error instanceof Error) || error instanceof HostError) return error;
  const { code = "", path, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall === undefined || !Object.hasOwn(SYSTEM_HINTS, code)) return error;
  // "EACCES: permission denied, open '/etc/x'"
  const why = /^[A-Z]+: ([^,]*), /.exec(message)?.[1] ?? code;
  const full = code === "ENOSPC" || code === "EDQUOT" ? "the disk is full: " : "";
  const where = path === undefined ? "" : ` "${path}"`;
  return new HostError("FILE", `${full}can't ${syscall}${where}: ${why}`, { cause: error, hint: SYSTEM_HINTS[code] });
}

/** A progress line that rewrites itself; silent when standard error is not a terminal. */
export class Progress {
  readonly #label: string;
  readonly #enabled = process.stderr.isTTY === true;
  #lastDrawn = 0;
  #shown = false;

  constructor(label: string) {
    this.#label = label;
  }

  /** Shows `done` of `total`, at most ten times a second. */
  update(done: number, total: number, note = ""): void {
    if (!this.#enabled) return;
    const now = performance.now();
    if (done < total && now - this.#lastDrawn < 100) return;
    this.#lastDrawn = now;
    const width = 30;
    const filled = total === 0 ? width : Math.round((done / total) * width);
    process.stderr.write(
      `\r\x1b[K${this.#label} [${"#".repeat(filled)}${" ".repeat(width - filled)}] ${done}/${total} ${note}`,
    );
    this.#shown = true;
  }

  /** Removes the line. */
  finish(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}
