/** Asks the person at the terminal, also where standard input is the message. */

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { say } from "#cli/terminal.ts";
import { visibleLine } from "#cli/visible.ts";
import type { TlsProblem } from "./answer-of-out.ts";
import { leadNowhere, problemInWords } from "./problems-in-words.ts";

/** Says of each domain what is wrong with the way to it. */
export function sayProblems(problems: readonly TlsProblem[]): void {
  for (const problem of problems) say("shoal", problemInWords(problem));
}

/**
 * Shows the problems and asks. Nothing but y and yes is yes.
 * @returns null where there is no terminal, or nothing to choose; nothing is shown then
 */
export function askToSendAnyway(problems: readonly TlsProblem[]): boolean | null {
  if (leadNowhere(problems)) return null;
  return ask(() => {
    sayProblems(problems);
    const whom = problems.length === 1 ? "there" : "to these domains";
    return `On its way ${whom} others could read or change the message. Send anyway?`;
  });
}

/** Anybody can write a notice, with a mail in it that its reader has never written. Otherwise as {@link askToSendAnyway}. */
export function askToSendAgain(mail: readonly string[]): boolean | null {
  return ask(() => {
    for (const line of mail) say("shoal", visibleLine(line));
    return "Is this yours, and shall it be sent again?";
  });
}

function ask(show: () => string): boolean | null {
  if (process.stderr.isTTY !== true) return null;
  let terminal: number;
  try {
    terminal = openSync("/dev/tty", "r+");
  } catch (cause) {
    // No controlling terminal: nobody is there.
    if ((cause as NodeJS.ErrnoException).code === "ENXIO" || (cause as NodeJS.ErrnoException).code === "ENOENT")
      return null;
    throw cause;
  }
  try {
    writeSync(terminal, `${show()} [y/N] `);
    return /^\s*y(es)?\s*$/i.test(readLine(terminal));
  } finally {
    closeSync(terminal);
  }
}

function readLine(terminal: number): string {
  const buffer = Buffer.alloc(1024);
  return buffer.toString("utf8", 0, readSync(terminal, buffer));
}
