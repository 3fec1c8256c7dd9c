/** Walks through the value of a structured field (RFC 5322 section 3.2): words, comments, and what was expected. */

import { mistake, type Place, quoted } from "./mistake.ts";

export const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]";
const BLANKS = /[ \t]+/y;
const QUOTED_STRING = /"((?:[^"\\]|\\.)*)"/y;
const MAX_COMMENT_DEPTH = 20;

export class FieldScanner {
  /** What stood in parentheses, so far, with its parentheses and without backslashes. */
  readonly comments: string[] = [];
  readonly #name: string;
  readonly #value: string;
  readonly #place: Place;
  #at = 0;

  constructor({ name, value, place }: { name: string; value: string; place: Place }) {
    this.#name = name;
    this.#value = value;
    this.#place = place;
  }

  get atEnd(): boolean {
    return this.#at >= this.#value.length;
  }

  get next(): string {
    return this.#value.charAt(this.#at);
  }

  /** @throws FormatError SUBMISSION, always */
  fail(expected: string, hint?: string): never {
    const found = this.atEnd ? "the end" : quoted(this.#value.slice(this.#at));
    throw mistake(this.#place, `${this.#name}: expected ${expected}, found ${found}`, hint);
  }

  /** Takes what a sticky pattern matches here; undefined if it does not. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#value)?.[0];
    this.#at += text?.length ?? 0;
    return text;
  }

  /** Takes one character if it stands here. */
  takeCharacter(character: string): boolean {
    if (this.next !== character || this.atEnd) return false;
    this.#at += 1;
    return true;
  }

  /**
   * Takes a quoted string; the result is without quotes and backslashes.
   * @param quotable what a backslash may stand in front of; elsewhere it stays
   */
  takeQuoted(quotable = /./): string | undefined {
    if (this.next !== '"') return undefined;
    const text = this.take(QUOTED_STRING);
    if (text === undefined) this.fail("the closing quote of a quoted text");
    return text
      .slice(1, -1)
      .replace(/\\(.)/g, (pair, character: string) => (quotable.test(character) ? character : pair));
  }

  /** Takes blanks and comments; true if there were any. */
  skip(): boolean {
    const start = this.#at;
    do this.take(BLANKS);
    while (this.#takeComment());
    return this.#at > start;
  }

  #takeComment(): boolean {
    if (this.next !== "(") return false;
    const start = this.#at;
    let depth = 0;
    let at = start;
    do {
      const character = this.#value.charAt(at);
      if (character === "(") depth += 1;
      if (character === ")") depth -= 1;
      if (at >= this.#value.length || depth > MAX_COMMENT_DEPTH) this.fail("the closing parenthesis of a comment");
      at += character === "\\" ? 2 : 1;
    } while (depth > 0);
    this.comments.push(this.#value.slice(start, at).replace(/\\(.)/g, "$1"));
    this.#at = at;
    return true;
  }
}
