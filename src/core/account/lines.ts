/** Reading the lines of a text that is signed: one way to write each value, so that no two byte strings mean the same. */

import { type FormatCode, FormatError } from "#core/errors.ts";

/** Decimal, without sign or leading zeros, exact in a double. */
const NUMBER = /^(0|[1-9][0-9]{0,14})$/;
const HASH = /^[A-Za-z0-9+/]{43}=$/;

const PRINTABLE = /^[\x20-\x7e]*$/;

/**
 * The bytes of lines, each with its LF. A value with a line end in it would be lines of its own, and characters outside
 * Latin-1 would become others.
 * @throws FormatError with `code` for lines that are not printable ASCII
 */
export function joinLines(lines: readonly string[], code: FormatCode, what: string): Buffer {
  const odd = lines.findIndex((line) => !PRINTABLE.test(line));
  if (odd >= 0) throw new FormatError(code, `${what}: line ${odd + 1}: expected printable ASCII`);
  return Buffer.from(lines.map((line) => `${line}\n`).join(""), "latin1");
}

/** Reads lines in their order; whatever does not fit is a FormatError with the code given here and the line's number. */
export class LineReader {
  readonly #lines: readonly string[];
  readonly #code: FormatCode;
  readonly #what: string;
  #next = 0;

  /**
   * @param what what is read, for messages: "account state"
   * @throws FormatError with `code` if this is not printable ASCII in lines that end in LF; TOO-LARGE
   */
  constructor(bytes: Uint8Array, maxBytes: number, code: FormatCode, what: string) {
    if (bytes.length > maxBytes) {
      throw new FormatError("TOO-LARGE", `${what}: ${bytes.length} bytes, expected at most ${maxBytes}`);
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    this.#code = code;
    this.#what = what;
    this.#lines = text.split("\n");
    if (this.#lines.at(-1) !== "") throw new FormatError(code, `${what}: expected a line end behind the last line`);
    this.#lines = this.#lines.slice(0, -1);
    const odd = this.#lines.findIndex((line) => !PRINTABLE.test(line));
    if (odd >= 0) throw new FormatError(code, `${what}: line ${odd + 1}: expected printable ASCII and LF`);
  }

  /** Refuses the line that was read last. */
  refuse(expected: string): never {
    throw new FormatError(this.#code, `${this.#what}: line ${Math.max(1, this.#next)}: expected ${expected}`);
  }

  /** The next line must be exactly this. */
  exactly(line: string): void {
    if (this.#lines[this.#next++] !== line) this.refuse(`"${line}"`);
  }

  /** What stands behind the word and one space. */
  value(word: string): string {
    const line = this.#lines[this.#next++];
    if (line?.startsWith(`${word} `) !== true) this.refuse(`"${word} …"`);
    return line.slice(word.length + 1);
  }

  number(word: string): number {
    return this.toNumber(this.value(word));
  }

  toNumber(text: string): number {
    if (!NUMBER.test(text)) this.refuse("a number in decimal digits, at most 15, without leading zeros");
    return Number(text);
  }

  /** The hash of the version before, or null for `-`. */
  previous(): string | null {
    const text = this.value("prev");
    if (text === "-") return null;
    if (!HASH.test(text) || Buffer.from(text, "base64").toString("base64") !== text) {
      this.refuse('the base64 of a SHA-256, or "-"');
    }
    return text;
  }

  /** All lines that follow and begin with the word, each behind the one before it (bytewise); what stands behind the word. */
  sorted(word: string): string[] {
    const values: string[] = [];
    for (let line = this.#lines[this.#next]; line?.startsWith(`${word} `) === true; line = this.#lines[this.#next]) {
      this.#next++;
      const value = line.slice(word.length + 1);
      if ((values.at(-1) ?? "") >= value) this.refuse("a line behind the one before it, each once and sorted");
      values.push(value);
    }
    return values;
  }

  /** All lines that are left. */
  *rest(): Generator<string> {
    while (this.#next < this.#lines.length) yield this.#lines[this.#next++] ?? "";
  }

  end(expected: string): void {
    if (this.#next < this.#lines.length) {
      this.#next++;
      this.refuse(expected);
    }
  }
}
