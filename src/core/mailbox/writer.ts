/** The ledger's side of a mailbox (docs/formats/mailbox-ledger.md, "What the ledger keeps"). Pure; durability is the caller's. */

import { firstPoint, nextPoint, type Point } from "./chain.ts";
import { type Entry, parseEntry, printEntry } from "./entry.ts";
import type { Head, NamedState } from "./head.ts";

/** After an entry's expiry: when its file may go, when heads stop to count it, when its line may go. */
export const FILE_LAG_SECONDS = 3600;
export const BASE_LAG_SECONDS = 24 * 3600;
export const LINE_LAG_SECONDS = 48 * 3600;

/** All that is kept of a mailbox, besides the entries behind `dropped`. */
export interface Mailbox {
  readonly account: string;
  readonly last: Point;
  /** Of the last entry; 0 before the first. */
  readonly lastTime: number;
  /** What heads name: entries up to here are of no more interest. */
  readonly base: Point;
  /** The last entry whose line left the file. */
  readonly dropped: Point;
}

/** A file that lies in the mailbox and that no entry names yet. */
export interface Delivery {
  readonly digest: string;
  /** In bytes. */
  readonly size: number;
  /** Of the account state that it is sealed to. */
  readonly version: number;
}

export function newMailbox(account: string): Mailbox {
  const first = firstPoint(account);
  return { account, last: first, lastTime: 0, base: first, dropped: first };
}

/**
 * Appends a delivery, or finds that it is there already.
 * @param known the entry that is kept for this digest, if any
 * @param now Unix seconds; an entry is never earlier than the one before it
 * @param keepForSeconds until its expiry
 * @returns the mailbox as it is then, and the entry; both must be durable before anybody is told
 * @throws FormatError LEDGER for what no entry can say
 */
export function append(
  mailbox: Mailbox,
  { digest, size, version }: Delivery,
  known: Entry | undefined,
  now: number,
  keepForSeconds: number,
): { mailbox: Mailbox; entry: Entry; isNew: boolean } {
  if (known?.digest === digest) return { mailbox, entry: known, isNew: false };
  const time = Math.max(now, mailbox.lastTime);
  const entry: Entry = { seq: mailbox.last.seq + 1, time, expiry: time + keepForSeconds, size, digest, version };
  parseEntry(printEntry(entry).slice(0, -1));
  const last = nextPoint(mailbox.last, entry);
  return { mailbox: { ...mailbox, last, lastTime: time }, entry, isNew: true };
}

/**
 * Moves base and dropped past what is long expired. They stop at the first entry that is not, so expiries may be in any
 * order. Lines leave only behind a base that stood before, so there is a head that says so: prune once for a head, and write
 * the file between two heads.
 * @param entries those behind `mailbox.dropped`, in order; only as many are read as it takes
 * @returns the same object if nothing moves
 */
export function prune(mailbox: Mailbox, entries: Iterable<Entry>, now: number): Mailbox {
  let { base, dropped } = mailbox;
  let point = dropped;
  for (const entry of entries) {
    point = nextPoint(point, entry);
    const isNext = dropped.seq === entry.seq - 1 && entry.seq <= mailbox.base.seq;
    if (isNext && entry.expiry + LINE_LAG_SECONDS <= now) dropped = point;
    if (entry.seq <= base.seq) continue;
    if (entry.expiry + BASE_LAG_SECONDS > now) break;
    base = point;
  }
  return base === mailbox.base && dropped === mailbox.dropped ? mailbox : { ...mailbox, base, dropped };
}

/**
 * The head of a mailbox.
 * @param time Unix seconds, never before the time of an earlier head: keep the highest
 * @param heartbeatSeconds until the next one at the latest
 */
export function headOf(
  { account, last, lastTime, base }: Mailbox,
  domain: string,
  state: NamedState,
  time: number,
  heartbeatSeconds: number,
): Head {
  const at = Math.max(time, lastTime);
  return { domain, account, last, base, state, time: at, next: at + heartbeatSeconds };
}
