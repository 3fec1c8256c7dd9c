/** Mail as real mail systems produce it, and as nobody should: every mail is built here, the same in each run. */

import type { CorpusMail } from "#test/corpus/compose.ts";
import { encodingMails } from "#test/corpus/encodings.ts";
import { headerMails } from "#test/corpus/headers.ts";
import { kindMails } from "#test/corpus/kinds.ts";
import { lineMails } from "#test/corpus/lines.ts";
import { mimeMails } from "#test/corpus/mime.ts";
import { signedMails } from "#test/corpus/signed.ts";

export { type CorpusMail, dataBytes } from "#test/corpus/compose.ts";

/** All mails; about 40 MB, of which one mail is 34. */
export function corpus(): CorpusMail[] {
  return [...mimeMails(), ...encodingMails(), ...headerMails(), ...lineMails(), ...kindMails(), ...signedMails()];
}

/** What Postfix 3.10 or Exim 4.98 mend on the way (mostly by ending the header early) or refuse as a loop. */
const mendedOnTheWay: ReadonlySet<string> = new Set([
  "age-armor-is-the-message",
  "byte-order-mark",
  "control-characters-in-header",
  "empty-message",
  "header-300-received",
  "header-blank-in-name",
  "header-blanks-before-colon",
  "header-continuation-first",
  "header-continuation-first-tab",
  "header-empty-name",
  "header-first-line-no-field",
  "header-folded-blank-lines",
  "header-line-without-colon",
  "header-name-8-bit",
  "header-only-no-empty-line",
  "mbox-line-first",
  "one-character",
  "one-dot",
  "outside-after-broken-line",
  "outside-after-byte-order-mark",
  "outside-delivered-to",
]);

/** True when the test internet's mail servers pass the mail on unchanged; others must be sent to our port itself. */
export function passesMailServers({ name, expect }: CorpusMail): boolean {
  return expect === "exact" && !mendedOnTheWay.has(name);
}
