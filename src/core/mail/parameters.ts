/** Values with parameters: Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2231, RFC 2183). */

import { decodeCharset } from "./charset.ts";
import { decodeEncodedWords } from "./encoded-words.ts";

export interface ParameterizedValue {
  /** Lower case, such as `text/plain` or `attachment`. */
  readonly value: string;
  /**
   * Names in lower case; the first of several counts. What RFC 2231 encodes and the names of files are decoded, the rest
   * is one character a byte.
   */
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_PARAMETERS = 200;

interface Piece {
  text: string;
  /** Percent-encoded; the first piece names the charset. */
  extended: boolean;
}

export function parseParameterized(latin1: string): ParameterizedValue {
  const [first = "", ...rest] = splitAtSemicolons(latin1);
  const pieces = new Map<string, Map<number, Piece>>();
  for (const text of rest) {
    const equals = text.indexOf("=");
    if (equals < 0) continue;
    const match = /^([^\s*]{1,60})(?:\*([0-9]{1,3}))?(\*?)$/.exec(text.slice(0, equals).trim().toLowerCase());
    if (match === null) continue;
    const [, name = "", index, star] = match;
    const key = index === undefined && star !== "*" ? `${name} plain` : name;
    const ofName = pieces.get(key) ?? new Map<number, Piece>();
    const number = Number(index ?? 0);
    if (!ofName.has(number)) ofName.set(number, { text: text.slice(equals + 1).trim(), extended: star === "*" });
    pieces.set(key, ofName);
  }
  return { value: first.trim().toLowerCase(), parameters: assemble(pieces) };
}

/** What RFC 2231 encodes goes before the plain form, which is there for old programs. */
function assemble(pieces: ReadonlyMap<string, ReadonlyMap<number, Piece>>): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [key, ofName] of pieces) {
    if (!key.includes(" ")) parameters.set(key, joinPieces(ofName));
  }
  for (const [key, ofName] of pieces) {
    const name = key.split(" ", 1)[0] ?? "";
    const text = ofName.get(0)?.text ?? "";
    if (!key.includes(" ") || parameters.has(name)) continue;
    // Encoded words don't belong into parameters; programs write them where names of files are.
    parameters.set(name, name === "name" || name === "filename" ? decodeEncodedWords(text) : text);
  }
  return parameters;
}

function joinPieces(pieces: ReadonlyMap<number, Piece>): string {
  const bytes: Buffer[] = [];
  let charset = "";
  for (let index = 0, piece = pieces.get(0); piece !== undefined; index += 1, piece = pieces.get(index)) {
    let text = piece.text;
    if (index === 0 && piece.extended) {
      const [, named = "", encoded = ""] = /^([^']*)'[^']*'([^]*)$/.exec(text) ?? [undefined, "", text];
      charset = named;
      text = encoded;
    }
    bytes.push(piece.extended ? percentDecode(text) : Buffer.from(text, "latin1"));
  }
  return decodeCharset(Buffer.concat(bytes), charset);
}

function percentDecode(text: string): Buffer {
  const decoded = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, "latin1");
}

/** Splits, takes quotes and their backslashes away, and drops comments. */
function splitAtSemicolons(text: string): string[] {
  const parts: string[] = [];
  let part: string[] = [];
  let quoted = false;
  let comments = 0;
  for (let at = 0; at < text.length && parts.length <= MAX_PARAMETERS; at++) {
    const character = text.charAt(at);
    if (character === "\\" && (quoted || comments > 0)) {
      at += 1;
      if (quoted) part.push(text.charAt(at));
    } else if (comments > 0) {
      if (character === "(") comments += 1;
      else if (character === ")") comments -= 1;
    } else if (character === '"') {
      quoted = !quoted;
    } else if (character === "(" && !quoted) {
      comments = 1;
    } else if (character === ";" && !quoted) {
      parts.push(part.join(""));
      part = [];
    } else {
      part.push(character);
    }
  }
  return [...parts, part.join("")];
}
