/** Tells what this computer has learned of the account. */

import { say } from "#cli/terminal.ts";
import type { Learned } from "./memory.ts";

/** The command line that pins an account. */
export function trustCommand(id: string): string {
  return `shoal account trust ${id}`;
}

/** Says once what a chain that a machine showed has brought. */
export function sayLearned({ before, after, settled }: Learned, machine: string): void {
  if (before.id === null && after.id !== null) {
    say("shoal", `"${machine}" shows the account ${after.id}; this computer remembers it from now on, unchecked`);
    say("shoal", `hint: if another device shows the same id, "${trustCommand(after.id)}" makes it certain`);
  }
  if (settled === "accepted") say("shoal", "the change that waited has been accepted");
  if (settled === "overtaken") say("shoal", "the change that waited was overtaken by another one and is dropped");
}
