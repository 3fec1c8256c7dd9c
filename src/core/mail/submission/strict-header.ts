/**
 * Reads the header of a message that was handed in, or of one of its parts, as RFC 5322 section 2.2 and 3 want it made:
 * what only the grammar for old messages allows is refused.
 */

import { FormatError } from "#core/errors.ts";
import { lineAt } from "#core/mail/message-fields.ts";
import { mistake, type Place, quoted } from "./mistake.ts";

export interface StrictField {
  /** As written. */
  readonly name: string;
  /** Lower case. */
  readonly key: string;
  /** Unfolded, without blanks around it: printable ASCII, spaces and tabs. */
  readonly value: string;
  readonly place: Place;
}

export interface StrictHeader {
  readonly fields: readonly StrictField[];
  /** Behind the empty line, or the end if there is none. */
  readonly bodyStart: number;
}

export const MAX_FIELDS = 500;
const MAX_NAME_CHARACTERS = 76;
const CONTROL = /[^\t -~\x80-\xff]/;
const BOM = "\xef\xbb\xbf";

/**
 * Expects CRLF line ends. The header ends at an empty line or at `end`.
 * @throws FormatError SUBMISSION with the number of the line; TOO-LARGE for one of more than `maxBytes`
 */
export function readStrictHeader(message: Buffer, start: number, end: number, maxBytes: number): StrictHeader {
  const view = message.subarray(0, end);
  const fields: { name: string; pieces: string[]; place: Place }[] = [];
  for (let at = start; at < end; ) {
    const line = lineAt(view, at);
    if (line.end === at) return { fields: fields.map(unfold), bodyStart: line.next };
    const place = { message, offset: at };
    const text = view.toString("latin1", at, line.end);
    checkCharacters(text, place);
    if (/^[ \t]/.test(text)) {
      const open = fields.at(-1);
      if (open === undefined) throw mistake(place, "starts with a blank: expected a field, such as From");
      if (/^[ \t]*$/.test(text))
        throw mistake(place, "only blanks: expected a field, or an empty line before the body");
      // The blank that a fold needs says which program wrote it, and nothing else.
      open.pieces.push(` ${text.slice(1)}`);
    } else {
      const colon = fieldColon(text, place);
      if (fields.length >= MAX_FIELDS) throw mistake(place, `expected at most ${MAX_FIELDS} fields`);
      fields.push({ name: text.slice(0, colon), pieces: [text.slice(colon + 1)], place });
    }
    at = line.next;
    if (at - start > maxBytes) throw new FormatError("TOO-LARGE", `expected a header of at most ${maxBytes} bytes`);
  }
  return { fields: fields.map(unfold), bodyStart: end };
}

function unfold({ name, pieces, place }: { name: string; pieces: string[]; place: Place }): StrictField {
  return { name, key: name.toLowerCase(), value: pieces.join("").replace(/^[ \t]+|[ \t]+$/g, ""), place };
}

function checkCharacters(text: string, place: Place): void {
  if (text.startsWith(BOM)) throw mistake(place, "starts with a byte order mark: expected a field, such as From");
  const control = CONTROL.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(2, "0");
    throw mistake(place, `the control character 0x${code} in the header: expected printable text`);
  }
  if (!/[\x80-\xff]/.test(text)) return;
  throw mistake(
    place,
    "a byte above 127 in the header: expected ASCII",
    "write it as an encoded word (RFC 2047), such as =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
  );
}

function fieldColon(text: string, place: Place): number {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon));
  if (/^[!-9;-~]+[ \t]+$/.test(name)) throw mistake(place, "a blank before the colon: expected none");
  if (/^>?From /.test(text)) {
    throw mistake(place, `found ${quoted(text)}, a line of mbox files: expected a field`, "remove this line");
  }
  if (!/^[!-9;-~]+$/.test(name)) {
    const expected = 'expected a field ("Name: text"), or an empty line before the body';
    throw mistake(place, `found ${quoted(text)}: ${expected}`);
  }
  if (name.length > MAX_NAME_CHARACTERS) {
    throw mistake(place, `expected the name of a field of at most ${MAX_NAME_CHARACTERS} characters`);
  }
  return colon;
}
