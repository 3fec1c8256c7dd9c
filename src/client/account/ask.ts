/** Questions to a person at a terminal; where there is none, nothing is assumed. */

import { createInterface } from "node:readline/promises";
import { PolicyError } from "#core/errors.ts";

export function hasTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** One line, without blanks around it. */
export async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Node ends silently at end of file while a question is open.
  const closed = new Promise<never>((_done, reject) => {
    terminal.once("close", () => reject(new PolicyError("USAGE", "there was no answer")));
  });
  try {
    return (await Promise.race([terminal.question(question), closed])).trim();
  } catch (error) {
    // What is said next begins a line.
    process.stderr.write("\n");
    throw error;
  } finally {
    closed.catch(() => undefined);
    terminal.close();
  }
}

/** @param question without the `[y/N]`; anything but y and yes is no */
export async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
}
