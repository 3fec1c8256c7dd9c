/** The machine-readable part of a receipt (RFC 8098): whose it is, without the program that wrote it. */

import type { Identity } from "./identity.ts";
import type { Warnings } from "./warnings.ts";

const PROGRAM = /^(?:Reporting-UA|MDN-Gateway)[ \t]*:.*(?:\r\n[ \t].*)*(?:\r\n|$)/gim;

/** @throws PolicyError ALIAS-LEAK if it names another address of the account */
export function cleanReceipt(body: Buffer, identity: Identity, warnings: Warnings): Buffer {
  const text = body.toString("latin1");
  identity.checkText(text, "the receipt");
  const cleaned = text.replace(PROGRAM, "");
  if (cleaned === text) return body;
  warnings.add("dropped", "Reporting-UA");
  return Buffer.from(cleaned, "latin1");
}
