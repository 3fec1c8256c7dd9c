/** Says what is wrong with a message that was handed in, and in which line. */

import { FormatError } from "#core/errors.ts";

/** A place in a message; the line is counted when somebody asks. */
export interface Place {
  readonly message: Buffer;
  readonly offset: number;
}

const LF = 0x0a;
const MAX_QUOTED_CHARACTERS = 60;

/** FormatError SUBMISSION (docs/formats/submission.md) with the number of the line in front. */
export function mistake(place: Place, text: string, hint?: string): FormatError {
  return new FormatError("SUBMISSION", `line ${lineNumber(place)}: ${text}`, { hint });
}

/** Counted from 1; LF and CRLF end lines. */
export function lineNumber({ message, offset }: Place): number {
  let line = 1;
  for (let lf = message.indexOf(LF); lf >= 0 && lf < offset; lf = message.indexOf(LF, lf + 1)) line += 1;
  return line;
}

/** Text of others in quotes, cut, with nothing that a terminal would obey. */
export function quoted(text: string): string {
  const printable = text.replace(/[^ -~]/g, "?");
  return printable.length <= MAX_QUOTED_CHARACTERS
    ? `"${printable}"`
    : `"${printable.slice(0, MAX_QUOTED_CHARACTERS)}…"`;
}
