/**
 * The header of what a sender has signed. Its bytes stay, and mail programs show its fields in place of the message's own (RFC 9788,
 * and `protected-headers` before it): so it is judged like that one.
 */

import { parseAddressList } from "./address-list.ts";
import { checkEncodedWords } from "./hidden-controls.ts";
import { type Identity, placeOf } from "./identity.ts";
import type { StrictField } from "./strict-header.ts";
import type { Part } from "./structure.ts";
import type { Warnings } from "./warnings.ts";

const SENDERS: ReadonlySet<string> = new Set(["from", "sender", "reply-to"]);
/** Beside Content-*, what says no more than the message's own header does, which has it, too. */
const SILENT: ReadonlySet<string> = new Set([...SENDERS, "to", "cc", "subject"]);

/** @throws FormatError SUBMISSION, RECIPIENT; PolicyError FORGED, ALIAS-LEAK */
export function checkSignedHeaders(part: Part, identity: Identity, warnings: Warnings): void {
  if (part.kind === "multipart") for (const each of part.parts) checkSignedHeaders(each, identity, warnings);
  if (part.kind !== "signed") return;
  for (const field of part.fields) {
    checkField(field, identity);
    if (!SILENT.has(field.key) && !field.key.startsWith("content-")) warnings.add("left", `${field.name}, signed`);
  }
}

function checkField(field: StrictField, identity: Identity): void {
  if (!SILENT.has(field.key) || field.key === "subject") return;
  checkEncodedWords(field);
  if (!SENDERS.has(field.key)) return identity.checkText(field.value, placeOf(field));
  for (const mailbox of parseAddressList(field, { groups: false })) {
    identity.check(mailbox.address, placeOf(field));
    identity.checkShown(mailbox, field);
  }
}
