/** The fields of a message's header that are sent on; whatever does not stand here is dropped. */

import { FieldScanner } from "./field-scanner.ts";
import { printField } from "./folding.ts";
import { checkEncodedWords } from "./hidden-controls.ts";
import { type Identity, placeOf } from "./identity.ts";
import { parseToken } from "./media-value.ts";
import { mistake } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";
import type { Warnings } from "./warnings.ts";

/** Of these there may be one at most (RFC 5322 section 3.6, RFC 2045, RFC 2369). */
const ONCE: ReadonlySet<string> = new Set([
  ...["from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references"],
  ...["resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc", "resent-date", "resent-message-id"],
  ...["mime-version", "importance", "priority", "x-priority", "sensitivity", "auto-submitted", "precedence"],
  ...["list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post", "list-post"],
  ...["list-owner", "list-archive", "disposition-notification-to", "tls-required", "autocrypt"],
]);

/** Read and printed by their own rules in `prepare.ts` and `structure.ts`. */
const OWN_RULES: ReadonlySet<string> = new Set([
  ...["from", "sender", "reply-to", "to", "cc", "date", "message-id", "in-reply-to", "references", "mime-version"],
  ...["content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description"],
  ...["content-location", "disposition-notification-to", "autocrypt"],
  // Removed as everybody expects, so nobody is told; other Content-* fields are told of where parts are read.
  ...["bcc", "resent-bcc"],
]);

/** Printed as the sender wrote them. */
const AS_WRITTEN: readonly string[] = ["Subject", "Comments", "Keywords"];
/** RFC 2369, 2919, 8058: they may name addresses. */
const OF_LISTS: readonly string[] = [
  ...["List-Id", "List-Help", "List-Subscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Post", "List-Owner"],
  "List-Archive",
];
/** One word of a known set each: RFC 3834, 4021, 8689. */
const WORDS: readonly (readonly [string, readonly string[]])[] = [
  ["Sensitivity", ["personal", "private", "company-confidential"]],
  ["Auto-Submitted", ["no", "auto-generated", "auto-replied", "auto-notified"]],
  ["Precedence", ["bulk", "list", "junk"]],
  ["TLS-Required", ["no"]],
];
const URGENCY: ReadonlyMap<string, readonly string[]> = new Map([
  ["importance", ["low", "normal", "high"]],
  ["priority", ["non-urgent", "normal", "urgent"]],
]);

/** @throws FormatError SUBMISSION for a field that stands there twice */
export function checkOnce(fields: readonly StrictField[]): void {
  const seen = new Set<string>();
  for (const { key, name, place } of fields) {
    if (ONCE.has(key) && seen.has(key)) throw mistake(place, `a second ${name}: expected one`);
    seen.add(key);
  }
}

/** Names of fields that are neither printed here nor elsewhere go into the warnings. */
export function warnOfDropped(fields: readonly StrictField[], warnings: Warnings): void {
  const printed = new Set(
    [...AS_WRITTEN, ...OF_LISTS, ...WORDS.map(([name]) => name)].map((name) => name.toLowerCase()),
  );
  for (const { key, name } of fields) {
    if (printed.has(key) || OWN_RULES.has(key) || key.startsWith("content-")) continue;
    if (key === "importance" || key === "priority" || key === "x-priority") continue;
    warnings.add("dropped", name);
  }
}

/**
 * Prints the fields that need no rules of their own, in one order and spelling.
 * @throws FormatError SUBMISSION; PolicyError ALIAS-LEAK
 */
export function printPlainFields(fields: readonly StrictField[], identity: Identity, warnings: Warnings): string {
  const lines: string[] = [];
  for (const name of [...AS_WRITTEN, ...OF_LISTS]) {
    for (const field of fields.filter(({ key }) => key === name.toLowerCase())) {
      checkEncodedWords(field);
      if (OF_LISTS.includes(name)) identity.checkText(field.value, placeOf(field));
      lines.push(printField(name, field.value));
    }
  }
  for (const [name, allowed] of WORDS) {
    const field = fields.find(({ key }) => key === name.toLowerCase());
    if (field !== undefined) lines.push(printField(name, parseToken(field, allowed)));
  }
  lines.push(printImportance(fields, warnings));
  return lines.join("");
}

/** One field instead of the three that programs write; what is normal goes without saying. */
function printImportance(fields: readonly StrictField[], warnings: Warnings): string {
  const levels: string[] = [];
  for (const field of fields) {
    const words = URGENCY.get(field.key);
    let level: string | undefined;
    if (words !== undefined) level = ["low", "normal", "high"][words.indexOf(parseToken(field, words))];
    else if (field.key === "x-priority") level = levelOfNumber(field);
    else continue;
    if (field.key !== "importance") warnings.add("rewritten", field.name);
    levels.push(level ?? "normal");
  }
  const level = levels.find((name) => name !== "normal");
  return level === undefined ? "" : printField("Importance", level);
}

function levelOfNumber(field: StrictField): string {
  const scanner: FieldScanner = new FieldScanner(field);
  const digit = scanner.take(/[1-5]/y);
  scanner.skip();
  if (digit === undefined || !scanner.atEnd) new FieldScanner(field).fail("a number from 1 to 5");
  if (digit === "3") return "normal";
  return digit === "1" || digit === "2" ? "high" : "low";
}
