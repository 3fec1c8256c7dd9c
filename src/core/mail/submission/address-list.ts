/** Lists of addresses as RFC 5322 section 3.4 wants them written; `mailboxes.ts` is for what others wrote. */

import { FormatError } from "#core/errors.ts";
import type { Address } from "#core/mail/address.ts";
import { parseEnvelopeAddress } from "./envelope-address.ts";
import { ATEXT, FieldScanner } from "./field-scanner.ts";
import { lineNumber } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";

export interface ListedMailbox {
  readonly address: Address;
  /** What people are shown beside the address, still with encoded words: the name in front, and comments. */
  readonly shown: readonly string[];
}

const ATOM = new RegExp(`${ATEXT}+`, "y");
/** More than a dot-atom, so that what is wrong with it can be said. */
const LOCAL_PART = new RegExp(`(?:${ATEXT}|\\.)+`, "y");
const DOMAIN = /\[[^\]]*\]|[^\s<>()",;:@]*/y;

/**
 * Parses the whole list; members of groups are listed like others.
 * @param groups whether `Name: a@b, c@d;` may stand there
 * @throws FormatError SUBMISSION for the list, RECIPIENT for an address, both with the line
 */
export function parseAddressList(field: StrictField, { groups }: { groups: boolean }): ListedMailbox[] {
  const scanner: FieldScanner = new FieldScanner(field);
  const mailboxes: ListedMailbox[] = [];
  let commentsBefore = 0;
  scanner.skip();
  if (scanner.atEnd) scanner.fail("an address");
  for (let inGroup = false, more = true; more; ) {
    const entry = readEntry(scanner, field, groups && !inGroup, commentsBefore);
    if (entry === "group") {
      inGroup = true;
      scanner.skip();
      if (scanner.next !== ";") continue;
    } else {
      mailboxes.push(entry);
      commentsBefore = scanner.comments.length;
    }
    if (inGroup && scanner.takeCharacter(";")) {
      inGroup = false;
      scanner.skip();
    }
    if (!inGroup && scanner.atEnd) more = false;
    else if (!scanner.takeCharacter(",")) scanner.fail(inGroup ? '"," or ";"' : '","');
    else scanner.skip();
  }
  return mailboxes;
}

/**
 * Reads a mailbox and the blanks behind it, or the name of a group with its colon.
 * @param commentsBefore how many comments stand beside others
 */
function readEntry(
  scanner: FieldScanner,
  field: StrictField,
  groupAllowed: boolean,
  commentsBefore: number,
): ListedMailbox | "group" {
  const words: string[] = [];
  for (;;) {
    if (scanner.takeCharacter("<")) {
      const address = readAngle(scanner, field);
      scanner.skip();
      return { address, shown: [words.join(" "), ...scanner.comments.slice(commentsBefore)] };
    }
    if (scanner.next === ":" && words.length > 0) {
      if (!groupAllowed) scanner.fail('"<" or an address, not a group');
      scanner.takeCharacter(":");
      return "group";
    }
    const quotedWord = scanner.takeQuoted();
    const word = quotedWord ?? scanner.take(LOCAL_PART);
    if (word === undefined) {
      if (words.length === 0) scanner.fail("an address");
      const hint = words.some((text) => text.startsWith("=?"))
        ? "an encoded word can hold a name, no address"
        : undefined;
      scanner.fail('"<" and the address behind the name', hint);
    }
    if (scanner.next === "@") {
      if (words.length > 0) scanner.fail('"<" in front of the address behind a name');
      const local = quotedWord === undefined ? word : `"${word}"`;
      scanner.takeCharacter("@");
      const address = readDomain(scanner, field, local);
      scanner.skip();
      return { address, shown: scanner.comments.slice(commentsBefore) };
    }
    if (quotedWord === undefined && !isAtom(word)) {
      const hint = 'a name with dots needs quotes, such as "J. Doe" <j.doe@example.org>';
      scanner.fail(`"@" behind ${JSON.stringify(word)}`, hint);
    }
    words.push(word);
    const blanks = scanner.skip();
    if (!blanks && quotedWord === undefined && /[A-Za-z0-9]/.test(scanner.next)) scanner.fail("a blank");
    if (blanks && scanner.next === "@") scanner.fail('no blank before "@"');
  }
}

function readAngle(scanner: FieldScanner, field: StrictField): Address {
  scanner.skip();
  if (scanner.next === "@") scanner.fail("an address without a route in front");
  const quotedLocal = scanner.takeQuoted();
  const local = quotedLocal === undefined ? scanner.take(LOCAL_PART) : `"${quotedLocal}"`;
  if (local === undefined) scanner.fail('an address behind "<"');
  if (!scanner.takeCharacter("@")) scanner.fail('"@"');
  const address = readDomain(scanner, field, local);
  scanner.skip();
  if (!scanner.takeCharacter(">")) scanner.fail('">"');
  return address;
}

function readDomain(scanner: FieldScanner, { name, place }: StrictField, local: string): Address {
  const domain = scanner.take(DOMAIN) ?? "";
  try {
    return parseEnvelopeAddress(`${local}@${domain}`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(error.code, `line ${lineNumber(place)}: ${name}: ${error.message}`, { hint: error.hint });
  }
}

function isAtom(word: string): boolean {
  ATOM.lastIndex = 0;
  // Dots don't belong into encoded words of names; programs write them, and nobody can take them for something else.
  return ATOM.exec(word)?.[0] === word || /^=\?[^?]+\?[BbQq]\?[^?]+\?=$/.test(word);
}
