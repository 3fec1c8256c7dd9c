/** The file `ledger/entries`: the lines that were not yet dropped (docs/formats/mailbox-ledger.md, "Entries"). */

import { FormatError } from "#core/errors.ts";
import { type Entry, parseEntry, printEntry } from "./entry.ts";

/** 300,000 entries. */
export const MAX_ENTRIES_BYTES = 32 * 1024 * 1024;

/**
 * Reads the entries up to a number: without gaps, times in order, no digest twice. What stands behind that number is not
 * looked at: no head speaks for it yet. Nor is a last line without its end, which is being written.
 * @throws FormatError LEDGER, TOO-LARGE
 */
export function parseEntries(bytes: Buffer, upTo: number): Entry[] {
  if (bytes.length > MAX_ENTRIES_BYTES) {
    throw new FormatError("TOO-LARGE", `entries: ${bytes.length} bytes, expected at most ${MAX_ENTRIES_BYTES}`);
  }
  const text = bytes.toString("latin1");
  const entries: Entry[] = [];
  const digests = new Set<string>();
  let before: Entry | undefined;
  for (let at = 0; at < text.length && (before?.seq ?? 0) < upTo; ) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    const entry = parseEntry(text.slice(at, end));
    // The whole file may lie behind: every line was dropped, and what stands there came later.
    if (before === undefined && entry.seq > upTo) break;
    if (before !== undefined && (entry.seq !== before.seq + 1 || entry.time < before.time)) {
      throw new FormatError(
        "LEDGER",
        `entries: ${entry.seq} stands behind ${before.seq}, expected the next, not earlier`,
      );
    }
    if (digests.has(entry.digest)) throw new FormatError("LEDGER", `entries: ${entry.seq} has the digest of another`);
    digests.add(entry.digest);
    entries.push(entry);
    before = entry;
    at = end + 1;
  }
  return entries;
}

export function printEntries(entries: Iterable<Entry>): Buffer {
  return Buffer.from([...entries].map(printEntry).join(""), "latin1");
}
