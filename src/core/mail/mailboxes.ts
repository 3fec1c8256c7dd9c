/** Lists of addresses in header fields (RFC 5322 section 3.4), read to be shown: never refused, never to be sent to. */

import { decodeUnlabelledText } from "./charset.ts";
import { decodeEncodedWords } from "./encoded-words.ts";

export interface Mailbox {
  /** Decoded; "" if there is none. */
  readonly name: string;
  /** As written, without angle brackets; "" if there is none. */
  readonly address: string;
}

/** Further ones are left out. */
export const MAX_MAILBOXES = 2000;

/**
 * The structure is read before anything is decoded, so that no encoded name can pass for an address.
 * @param latin1 a field's value, one character a byte
 */
export function parseMailboxes(latin1: string): Mailbox[] {
  const scanner = new Scanner(latin1);
  const mailboxes: Mailbox[] = [];
  while (!scanner.atEnd && mailboxes.length < MAX_MAILBOXES) {
    const mailbox = scanner.next();
    if (mailbox.name !== "" || mailbox.address !== "") mailboxes.push(mailbox);
  }
  return mailboxes;
}

/** The name is quoted where it could be taken for something else. */
export function printMailbox({ name, address }: Mailbox): string {
  if (name === "") return address;
  const quoted = /[<>@,;:"\\()[\]]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
  return address === "" ? quoted : `${quoted} <${address}>`;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Reads up to the comma behind the next mailbox; the name of a group is dropped. */
  next(): Mailbox {
    let words: string[] = [];
    let comment = "";
    let address: string | undefined;
    for (let end = false; !end && !this.atEnd; ) {
      const character = this.#text.charAt(this.#at++);
      if (character === "," || character === ";") end = true;
      else if (character === ":" && address === undefined) words = [];
      else if (character === '"') words.push(this.#until('"'));
      else if (character === "<") address = this.#inAngles();
      else if (character === "(") comment = this.#comment();
      else words.push(character);
    }
    const phrase = words
      .join("")
      .replace(/[ \t\r\n]+/g, " ")
      .trim();
    if (address !== undefined) return { name: decodeEncodedWords(phrase), address: decodeUnlabelledText(address) };
    return { name: decodeEncodedWords(comment.trim()), address: decodeUnlabelledText(phrase) };
  }

  /** Without comments; a bracket that is quoted is no end. */
  #inAngles(): string {
    const characters: string[] = [];
    while (!this.atEnd) {
      const character = this.#text.charAt(this.#at++);
      if (character === ">") break;
      if (character === "(") this.#comment();
      else if (character === '"') characters.push(`"${this.#until('"')}"`);
      else characters.push(character === "\\" ? this.#text.charAt(this.#at++) : character);
    }
    return characters.join("").trim();
  }

  /** The text up to an end mark, backslashes taken away; all of it if the mark is missing. */
  #until(mark: string): string {
    const characters: string[] = [];
    while (!this.atEnd) {
      const character = this.#text.charAt(this.#at++);
      if (character === mark) break;
      characters.push(character === "\\" ? this.#text.charAt(this.#at++) : character);
    }
    return characters.join("");
  }

  #comment(): string {
    const characters: string[] = [];
    for (let depth = 1; !this.atEnd; ) {
      const character = this.#text.charAt(this.#at++);
      if (character === "(") depth += 1;
      if (character === ")") depth -= 1;
      if (depth === 0) break;
      characters.push(character === "\\" ? this.#text.charAt(this.#at++) : character);
    }
    return characters.join("");
  }
}
