/** Reads the header of a message or of one of its parts (RFC 5322 section 2.2) from any bytes whatsoever. */

export interface Field {
  /** Lower case. */
  readonly name: string;
  /** Unfolded, without blanks around it, one character a byte. */
  readonly value: string;
}

/** Fields behind the first so many, and what is longer than this, are not looked at. */
export const MAX_FIELDS = 2000;
export const MAX_HEADER_BYTES = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const COLON = 0x3a;
const DEL = 0x7f;
const BOM = "\xef\xbb\xbf";
/** Fields that machines put in front of a message. */
const PUT_IN_FRONT: ReadonlySet<string> = new Set(["shoal-length", "return-path", "delivered-to", "received"]);

/** Takes a header line by line. */
export class HeaderReader {
  readonly #bytes: Buffer;
  readonly #fields: { name: string; pieces: string[] }[] = [];
  #length = 0;
  /** Whether a line that separates mails in an mbox file may stand here: in front of what the sender wrote. */
  #mailboxLineMayFollow = true;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /**
   * @param end behind the line, without its line end
   * @returns false when the line is no part of the header: an empty line, or the first one of a body without it
   */
  take(start: number, end: number): boolean {
    const first = this.#bytes[start];
    if (start === end) return false;
    if (first === SPACE || first === TAB) {
      // What nothing stands in front of continues nothing.
      this.#fields.at(-1)?.pieces.push(this.#text(start, end));
      return true;
    }
    const colon = nameEnd(this.#bytes, start, end);
    if (colon < 0) return this.#isMailboxLine(start, end);
    if (this.#fields.length >= MAX_FIELDS || this.#length >= MAX_HEADER_BYTES) return true;
    const name = this.#bytes.toString("latin1", start, colon).trimEnd().toLowerCase().replace(BOM, "");
    this.#mailboxLineMayFollow &&= PUT_IN_FRONT.has(name);
    this.#fields.push({ name, pieces: [this.#text(colon + 1, end)] });
    return true;
  }

  #isMailboxLine(start: number, end: number): boolean {
    const isOne = /^>?From /.test(this.#bytes.toString("latin1", start, Math.min(start + 6, end)));
    const allowed = this.#mailboxLineMayFollow;
    this.#mailboxLineMayFollow = false;
    return isOne && allowed;
  }

  #text(start: number, end: number): string {
    const left = Math.max(0, MAX_HEADER_BYTES - this.#length);
    const text = this.#bytes.toString("latin1", start, Math.min(end, start + left));
    this.#length += end - start;
    return text;
  }

  fields(): Field[] {
    return this.#fields.map(({ name, pieces }) => ({ name, value: pieces.join("").trim() }));
  }
}

/** Where the colon is, if the line is a field: its name, perhaps blanks, a colon; or -1. */
function nameEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  for (let byte = bytes[at] ?? 0; at < end && byte > SPACE && byte !== COLON && byte !== DEL; byte = bytes[at] ?? 0)
    at += 1;
  if (at === start) return -1;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at += 1;
  return at < end && bytes[at] === COLON ? at : -1;
}

/** The line that starts at `start`: the end of its text, and where the next one starts. CRLF and LF both end lines. */
export function lineAt(bytes: Buffer, start: number): { end: number; next: number } {
  const lf = bytes.indexOf(LF, start);
  if (lf < 0) return { end: bytes.length, next: bytes.length };
  return { end: lf > start && bytes[lf - 1] === CR ? lf - 1 : lf, next: lf + 1 };
}

/**
 * Reads the header at the start of `bytes`.
 * @returns `complete` false when the bytes end inside the header
 */
export function readHeader(bytes: Buffer): { fields: Field[]; complete: boolean } {
  const reader = new HeaderReader(bytes);
  for (let start = 0; start < bytes.length; ) {
    const { end, next } = lineAt(bytes, start);
    if (!reader.take(start, end)) return { fields: reader.fields(), complete: true };
    start = next;
  }
  return { fields: reader.fields(), complete: false };
}

/** The value of the first field of that name (lower case). */
export function fieldOf(fields: readonly Field[], name: string): string | undefined {
  return fields.find((field) => field.name === name)?.value;
}
