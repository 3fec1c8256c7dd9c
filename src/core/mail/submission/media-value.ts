/** Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2183, RFC 2231), read strictly and printed in one way. */

import { FieldScanner } from "./field-scanner.ts";
import { printPieces } from "./folding.ts";
import type { StrictField } from "./strict-header.ts";

export interface MediaValue {
  /** Lower case, such as `text/plain` or `attachment`. */
  readonly value: string;
  /** In their order; names in lower case with the marks of RFC 2231, values without quotes, otherwise as written. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[A-Za-z0-9!#$%&'*+.^_`{|}~-]+/y;
const MEDIA_TYPE = /[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+/y;
/** Programs that write whole paths forget to double the backslashes between folders. */
const QUOTABLE_IN_PATHS = /["\\]/;
const MAX_PARAMETERS = 100;
/** What is longer is cut into pieces by RFC 2231. */
const MAX_PARAMETER_CHARACTERS = 400;

/** @throws FormatError SUBMISSION */
export function parseMediaType(field: StrictField): MediaValue {
  return parseMediaValue(field, MEDIA_TYPE, 'a type such as "text/plain"');
}

/** @throws FormatError SUBMISSION */
export function parseDisposition(field: StrictField): MediaValue {
  return parseMediaValue(field, TOKEN, '"inline" or "attachment"');
}

/**
 * A value that is one word, in lower case.
 * @throws FormatError SUBMISSION
 */
export function parseToken(field: StrictField, allowed: readonly string[]): string {
  const scanner: FieldScanner = new FieldScanner(field);
  scanner.skip();
  const token = scanner.take(TOKEN)?.toLowerCase() ?? "";
  scanner.skip();
  if (!scanner.atEnd || !allowed.includes(token)) {
    new FieldScanner(field).fail(`one of ${allowed.join(", ")}`);
  }
  return token;
}

function parseMediaValue(field: StrictField, first: RegExp, expected: string): MediaValue {
  const scanner: FieldScanner = new FieldScanner(field);
  scanner.skip();
  const value = scanner.take(first);
  if (value === undefined) scanner.fail(expected);
  scanner.skip();
  const parameters = new Map<string, string>();
  while (!scanner.atEnd) {
    if (!scanner.takeCharacter(";")) scanner.fail('";"');
    scanner.skip();
    // A semicolon at the end is wrong, common, and means nothing.
    if (scanner.atEnd) break;
    const name = scanner.take(TOKEN)?.toLowerCase();
    if (name === undefined) scanner.fail("the name of a parameter");
    scanner.skip();
    if (!scanner.takeCharacter("=")) scanner.fail('"="');
    scanner.skip();
    const text = scanner.takeQuoted(isFileName(name) ? QUOTABLE_IN_PATHS : undefined) ?? scanner.take(TOKEN);
    if (text === undefined) scanner.fail(`a word or a quoted text for ${name}`);
    if (text.length > MAX_PARAMETER_CHARACTERS)
      scanner.fail(`${name} of at most ${MAX_PARAMETER_CHARACTERS} characters`);
    if (parameters.has(name)) scanner.fail(`${name} only once`);
    if (parameters.size >= MAX_PARAMETERS) scanner.fail(`at most ${MAX_PARAMETERS} parameters`);
    parameters.set(name, text);
    scanner.skip();
  }
  return { value: value.toLowerCase(), parameters };
}

/** `name`, `filename`, and the marks of RFC 2231 behind them. */
export function isFileName(parameter: string): boolean {
  return /^(?:file)?name(?:\*|$)/.test(parameter);
}

/** The field with its line end. */
export function printMediaValue(name: string, { value, parameters }: MediaValue): string {
  const words = [value];
  for (const [parameter, text] of parameters) {
    TOKEN.lastIndex = 0;
    const isToken = TOKEN.exec(text)?.[0] === text;
    words.push(`${parameter}=${isToken ? text : `"${text.replace(/["\\]/g, "\\$&")}"`}`);
  }
  return printPieces(
    name,
    words.map((word, index) => (index < words.length - 1 ? `${word}; ` : word)),
  );
}
