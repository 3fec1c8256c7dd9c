/** Line ends, lengths and forbidden bytes: the one form that everything behind it can rely on. */

import { FormatError } from "#core/errors.ts";
import { mistake } from "./mistake.ts";

/** RFC 5322 section 2.1.1, without the line end. */
export const MAX_LINE_BYTES = 998;

const LF = 0x0a;
const CR = 0x0d;
const CRLF = Buffer.from("\r\n");

/**
 * Checks every line and returns the message with CRLF line ends, the last line too. The result may be `message` itself.
 * @throws FormatError SUBMISSION with the number of the line: NUL, a CR alone, LF and CRLF mixed, too long a line, no
 * line at all
 */
export function checkLines(message: Buffer): Buffer {
  if (message.length === 0) throw new FormatError("SUBMISSION", "the message is empty: expected a header");
  const nul = message.indexOf(0);
  if (nul >= 0) throw mistake({ message, offset: nul }, "a NUL byte: expected text");
  let crlf: boolean | undefined;
  let lines = 0;
  let cr = indexOrEnd(message, CR, 0);
  for (let start = 0; start < message.length; lines += 1) {
    const lf = indexOrEnd(message, LF, start);
    const endsInCrlf = cr === lf - 1 && lf < message.length;
    const end = endsInCrlf ? cr : lf;
    if (cr < end) throw mistake({ message, offset: cr }, "a CR without an LF: expected LF or CRLF line ends");
    if (endsInCrlf) cr = indexOrEnd(message, CR, lf);
    if (lf < message.length) {
      crlf ??= endsInCrlf;
      if (crlf !== endsInCrlf) {
        const [found, expected] = endsInCrlf ? ["CRLF", "LF"] : ["LF", "CRLF"];
        throw mistake({ message, offset: start }, `ends in ${found}: expected ${expected} as in the lines before`);
      }
    }
    if (end - start > MAX_LINE_BYTES) {
      throw mistake({ message, offset: start }, `${end - start} bytes: expected at most ${MAX_LINE_BYTES} in a line`);
    }
    start = lf + 1;
  }
  if (crlf === true) return message.at(-1) === LF ? message : Buffer.concat([message, CRLF]);
  return withCrlf(message, lines);
}

function withCrlf(message: Buffer, lines: number): Buffer {
  const out = Buffer.allocUnsafe(message.length + 2 * lines);
  let length = 0;
  for (let start = 0; start < message.length; ) {
    const lf = indexOrEnd(message, LF, start);
    length += message.copy(out, length, start, lf);
    out[length++] = CR;
    out[length++] = LF;
    start = lf + 1;
  }
  return out.subarray(0, length);
}

function indexOrEnd(message: Buffer, byte: number, start: number): number {
  const index = message.indexOf(byte, start);
  return index < 0 ? message.length : index;
}

/** Where the first byte above 127 is between two places, or -1. */
export function firstEightBit(message: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) if ((message[at] ?? 0) > 0x7f) return at;
  return -1;
}
