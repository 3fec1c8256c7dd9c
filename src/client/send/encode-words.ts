/** Text of any script in header fields that are ASCII (RFC 2047, RFC 2231). */

/** A word with its frame has at most 75 characters (RFC 2047 section 2); these fit behind the name of a field, too. */
const MAX_WORD_BYTES = 36;
const ATOMS = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

/**
 * A value without structure, such as a subject: as it is, or in encoded words.
 * @param text without control characters
 */
export function encodeText(text: string): string {
  return /^[ -~]*$/.test(text) && !text.includes("=?") && !/\S{60}/.test(text) ? text : encodedWords(text);
}

/** A name in front of an address: atoms, a quoted string, or encoded words. */
export function encodePhrase(name: string): string {
  if (!/^[ -~]*$/.test(name) || name.includes("=?")) return encodedWords(name);
  return ATOMS.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

/** A parameter with its name, such as `filename="a.txt"`; `name*=` of RFC 2231 where ASCII is not enough. */
export function encodeParameter(name: string, value: string): string {
  if (/^[ -~]*$/.test(value)) return `${name}="${value.replace(/["\\]/g, "\\$&")}"`;
  const encoded = encodeURIComponent(value).replace(/['()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
  return `${name}*=utf-8''${encoded}`;
}

/** Cut between characters: each word must be readable alone. */
function encodedWords(text: string): string {
  const words: string[] = [];
  let piece = "";
  for (const character of text) {
    if (Buffer.byteLength(piece + character) > MAX_WORD_BYTES) {
      words.push(piece);
      piece = "";
    }
    piece += character;
  }
  if (piece !== "") words.push(piece);
  return words.map((word) => `=?utf-8?B?${Buffer.from(word).toString("base64")}?=`).join(" ");
}
