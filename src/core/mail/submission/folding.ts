/** Prints fields in one way, whatever program wrote them: folded lines of 78 characters where blanks allow it. */

import { MAX_LINE_BYTES } from "./lines.ts";

const MAX_CHARACTERS = 78;

/**
 * One field with its line end. Unfolding gives back the value; only blanks that fill a line become one.
 * @param value printable ASCII with blanks; none at its start or end
 */
export function printField(name: string, value: string): string {
  return printPieces(name, value.match(/[^ \t]+[ \t]*/g) ?? []);
}

/**
 * The same with pieces that are not to be broken; each holds the blanks between it and the next.
 */
export function printPieces(name: string, pieces: readonly string[]): string {
  const lines: string[] = [];
  let line = `${name}:`;
  let blanks = " ";
  for (const piece of pieces) {
    const word = piece.trimEnd();
    if (blanks.length + word.length > MAX_LINE_BYTES) blanks = " ";
    if (line.length + blanks.length + word.length > MAX_CHARACTERS && line !== "") {
      lines.push(line);
      line = "";
    }
    line += blanks + word;
    blanks = piece.slice(word.length);
  }
  return `${[...lines, line].join("\r\n")}\r\n`;
}
