/** Refuses what would start a line, or obey a terminal, where a program decodes it and thinks no further. */

import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { mistake } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";

/** Control characters, and what Unicode calls line ends. */
const CONTROL = /[^\P{Cc}\t]|[\u2028\u2029]/u;
const PERCENT_CONTROL = /%(?:[01][0-9A-F]|7F)/i;

/** @throws FormatError SUBMISSION for a field with encoded words that hide such characters */
export function checkEncodedWords(field: StrictField): void {
  if (!field.value.includes("=?") || !CONTROL.test(decodeEncodedWords(field.value))) return;
  throw mistake(field.place, `${field.name}: an encoded word hides a control character: expected text`);
}

/**
 * The same for a parameter, which may be encoded as RFC 2231 says or, wrongly and often, with encoded words.
 * @throws FormatError SUBMISSION
 */
export function checkParameter({ name, place }: StrictField, parameter: string, text: string): void {
  const hides = parameter.includes("*") ? PERCENT_CONTROL.test(text) : CONTROL.test(decodeEncodedWords(text));
  if (hides) throw mistake(place, `${name}: ${parameter} hides a control character: expected text`);
}
