/** The hash chain over a mailbox's entries (docs/formats/mailbox-ledger.md, "Chain"). */

import { createHash } from "node:crypto";
import { VerifyError } from "#core/errors.ts";
import { type Entry, printEntry } from "./entry.ts";

/** The chain after an entry. */
export interface Point {
  /** Number of the entry; 0 before the first. */
  readonly seq: number;
  /** H of that number, 64 hex digits. */
  readonly hash: string;
}

/** Where the chain of an account begins. */
export function firstPoint(account: string): Point {
  return { seq: 0, hash: createHash("sha256").update(`shoal-mailbox/v1\n${account}\n`, "latin1").digest("hex") };
}

/** @throws VerifyError PREV if the entry has another number than the next one */
export function nextPoint(point: Point, entry: Entry): Point {
  if (entry.seq !== point.seq + 1) {
    throw new VerifyError("PREV", `ledger: entry ${entry.seq} stands behind entry ${point.seq}`);
  }
  const hash = createHash("sha256").update(point.hash, "hex").update(printEntry(entry), "latin1").digest("hex");
  return { seq: entry.seq, hash };
}

export function isSamePoint(a: Point, b: Point): boolean {
  return a.seq === b.seq && a.hash === b.hash;
}
