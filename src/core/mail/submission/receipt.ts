/** The machine-readable part of a receipt (RFC 8098): whose it is, without the program that wrote it. */

import { FormatError } from "#core/errors.ts";
import type { Identity } from "./identity.ts";
import type { Warnings } from "./warnings.ts";

const MAX_BYTES = 65_536;
const FIELD = /^([!-9;-~]+)[ \t]*:.*(?:\r\n[ \t].*)*(?:\r\n|$)/gm;
/** Section 3.2, but for Reporting-UA and MDN-Gateway. */
const KEPT: ReadonlySet<string> = new Set([
  ...["original-recipient", "final-recipient", "original-message-id", "disposition", "failure", "error", "warning"],
]);

/** @throws FormatError TOO-LARGE; PolicyError ALIAS-LEAK if it names another address of the account */
export function cleanReceipt(body: Buffer, identity: Identity, warnings: Warnings): Buffer {
  if (body.length > MAX_BYTES) throw new FormatError("TOO-LARGE", `expected a receipt of at most ${MAX_BYTES} bytes`);
  const text = body.toString("latin1");
  identity.checkText(text, "the receipt");
  const cleaned = text.replace(FIELD, (field: string, name: string) => {
    if (KEPT.has(name.toLowerCase())) return field;
    warnings.add("dropped", name);
    return "";
  });
  return cleaned === text ? body : Buffer.from(cleaned, "latin1");
}
