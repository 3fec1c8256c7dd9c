/** Refuses what would start a line, or obey a terminal, where a program decodes it and thinks no further. */

import { isKnownCharset } from "#core/mail/charset.ts";
import { charsetsOfEncodedWords, decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { mistake, quoted } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";

/** Control characters, what Unicode calls line ends, and what turns the direction of text around. */
const CONTROL = /[^\P{Cc}\t]|[\u2028\u2029\u202d\u202e]/u;

/** @throws FormatError SUBMISSION for a field with encoded words that hide such characters, or whose charset nobody knows */
export function checkEncodedWords(field: StrictField): void {
  if (!field.value.includes("=?")) return;
  checkCharsets(field, charsetsOfEncodedWords(field.value));
  if (!CONTROL.test(decodeEncodedWords(field.value))) return;
  throw mistake(field.place, `${field.name}: an encoded word hides a control character: expected text`);
}

/**
 * The same for a parameter, which may be encoded as RFC 2231 says or, wrongly and often, with encoded words.
 * @param text as written
 * @param decoded as a program shows it
 * @param charset that RFC 2231 names; "" for none
 * @throws FormatError SUBMISSION
 */
export function checkParameter(
  field: StrictField,
  { name, text, decoded, charset }: { name: string; text: string; decoded: string; charset: string },
): void {
  checkCharsets(field, [charset, ...charsetsOfEncodedWords(text)]);
  if (!CONTROL.test(decoded)) return;
  throw mistake(field.place, `${field.name}: ${name} hides a control character: expected text`);
}

/** What can't be read here may say anything elsewhere. */
function checkCharsets({ name, place }: StrictField, charsets: readonly string[]): void {
  const unknown = charsets.find((charset) => !isKnownCharset(charset));
  if (unknown === undefined) return;
  throw mistake(
    place,
    `${name}: text in the charset ${quoted(unknown)}: expected one that is known here, such as utf-8`,
  );
}
