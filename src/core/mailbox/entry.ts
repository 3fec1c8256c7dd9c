/** One delivery in a mailbox's ledger: a line (docs/formats/mailbox-ledger.md, "Entry"). */

import { FormatError } from "#core/errors.ts";

export interface Entry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** When the ledger took it, Unix seconds. */
  readonly time: number;
  /** Until when the file is kept at least, Unix seconds; the line says for how many seconds. */
  readonly expiry: number;
  /** Of the sealed file, in bytes. */
  readonly size: number;
  /** SHA-256 of the sealed file, 64 hex digits. */
  readonly digest: string;
  /** Version of the account state that the file is sealed to. */
  readonly version: number;
}

const NUMBER = "(0|[1-9][0-9]{0,14})";
const ENTRY = new RegExp(`^${NUMBER} ${NUMBER} ${NUMBER} ${NUMBER} ([0-9a-f]{64}) ${NUMBER}$`);
const DIGEST = /^[0-9a-f]{64}$/;
const MAIL_NAME = /^([0-9a-f]{64})\.age$/;

/** True for 64 lower-case hex digits: digests of files, and hashes of the chain. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The digest that a file in `mail/` is named after; null for any other name. */
export function digestOfName(name: string): string | null {
  return MAIL_NAME.exec(name)?.[1] ?? null;
}

/** Where the file of an entry lies in `mail/`. */
export function mailName({ digest }: Pick<Entry, "digest">): string {
  return `${digest}.age`;
}

/**
 * Parses a line without its line end.
 * @throws FormatError LEDGER
 */
export function parseEntry(line: string): Entry {
  const match = ENTRY.exec(line);
  if (match === null) throw new FormatError("LEDGER", `entry: expected "SEQ TIME KEEP SIZE SHA256 VERSION"`);
  const entry = {
    seq: Number(match[1]),
    time: Number(match[2]),
    expiry: Number(match[2]) + Number(match[3]),
    size: Number(match[4]),
    digest: match[5] ?? "",
    version: Number(match[6]),
  };
  if (entry.seq < 1 || entry.size < 1 || entry.version < 1 || entry.expiry <= entry.time) {
    throw new FormatError("LEDGER", "entry: expected number, size, version and seconds to keep from 1");
  }
  return entry;
}

/** The line with its LF: what the chain hashes. The inverse of {@link parseEntry} for entries that it could have made. */
export function printEntry({ seq, time, expiry, size, digest, version }: Entry): string {
  return `${seq} ${time} ${expiry - time} ${size} ${digest} ${version}\n`;
}
