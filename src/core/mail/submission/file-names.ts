/** Names of files in parameters (RFC 2183, RFC 2231): the folders around them tell of the sender's machine. */

import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { parseParameterized } from "#core/mail/parameters.ts";

/** Parameters in their order, as {@link MediaValue} has them. */
type Parameters = ReadonlyMap<string, string>;

const MAX_PIECE_CHARACTERS = 300;

/** What a program shows of these forms of one parameter, without the charset and the percent signs of RFC 2231. */
export function decodedParameter(base: string, forms: Parameters): string {
  const text = [...forms].map(([name, value]) => `; ${name}="${value.replace(/["\\]/g, "\\$&")}"`).join("");
  return parseParameterized(`x${text}`).parameters.get(base) ?? "";
}

/**
 * Forms of `name` or `filename` without folders: the same ones where there are none.
 * @param forms of one parameter, either the plain one or those of RFC 2231
 * @returns no form for what names a folder alone
 */
export function withoutFolders(base: string, forms: Parameters): Parameters {
  const plain = forms.get(base);
  const isEncoded = plain !== undefined && plain.includes("=?");
  const shown = isEncoded ? decodeEncodedWords(plain) : decodedParameter(base, forms);
  const file = shown.replace(/^.*[/\\]/s, "");
  if (file === shown) return forms;
  if (file === "") return new Map();
  if (plain === undefined) return printExtended(base, file);
  return new Map([[base, isEncoded ? encodedWord(file) : file]]);
}

function encodedWord(text: string): string {
  return `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;
}

function printExtended(base: string, text: string): Parameters {
  const percent = [...Buffer.from(text)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  const pieces = [""];
  for (const part of percent) {
    if ((pieces.at(-1) ?? "").length + part.length > MAX_PIECE_CHARACTERS) pieces.push("");
    pieces.push((pieces.pop() ?? "") + part);
  }
  if (pieces.length === 1) return new Map([[`${base}*`, `utf-8''${pieces[0]}`]]);
  return new Map(pieces.map((piece, index) => [`${base}*${index}*`, index === 0 ? `utf-8''${piece}` : piece]));
}
