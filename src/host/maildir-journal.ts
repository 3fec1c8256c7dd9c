/**
 * What has been stored, for ever: a text file that only grows. First line `shoal-journal/v1`, then a line for each
 * stored file: time, digest of the sealed file, digest of the message or `-`, the first 8 digits of the SHA-256 of what
 * stands before, single blanks. A line that a crash cut or left unwritten does not pass its check and is dropped; what it stood for was
 * not yet stored.
 */

import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { FormatError } from "#core/errors.ts";
import { writeDurably } from "./files.ts";

/** One stored file. */
export interface StoredRecord {
  /** Unix seconds. */
  time: number;
  /** SHA-256 of the sealed file, hexadecimal. */
  digest: string;
  /** What a retransmission of the same message has in common with it; undefined for messages that can't be told. */
  messageDigest: string | undefined;
}

const HEAD = "shoal-journal/v1\n";
const RECORD = /^([1-9][0-9]{0,14}) ([0-9a-f]{64}) ([0-9a-f]{64}|-) ([0-9a-f]{8})$/;

export function printRecord(record: StoredRecord): string {
  const body = `${record.time} ${record.digest} ${record.messageDigest ?? "-"}`;
  return `${body} ${checkOf(body)}\n`;
}

function checkOf(body: string): string {
  return createHash("sha256").update(body, "latin1").digest("hex").slice(0, 8);
}

function parseRecord(line: string): StoredRecord | undefined {
  const match = RECORD.exec(line);
  if (match === null) return undefined;
  const [, time, digest, messageDigest, check] = match;
  if (digest === undefined || checkOf(line.slice(0, -9)) !== check) return undefined;
  return { time: Number(time), digest, messageDigest: messageDigest === "-" ? undefined : messageDigest };
}

/**
 * Opens the journal for appending and gives what it holds; a missing one is made, a damaged end is cut off.
 * @throws FormatError CONFIG when the file is something else
 */
export async function openJournal(path: string): Promise<{ fd: number; records: StoredRecord[] }> {
  const text = readText(path);
  if (text !== undefined && !text.startsWith(HEAD) && !HEAD.startsWith(text)) {
    throw new FormatError("CONFIG", `"${path}" does not start with "${HEAD.trim()}"`, {
      hint: "it remembers which mail was stored: restore it from a backup, or move it away and accept that mail still on the server comes again",
    });
  }
  const lines = (text ?? "").slice(HEAD.length).split("\n");
  const unfinished = lines.pop() ?? "";
  const records: StoredRecord[] = [];
  for (const line of lines) {
    const record = parseRecord(line);
    if (record !== undefined) records.push(record);
  }
  const whole = text?.startsWith(HEAD) === true && unfinished === "" && records.length === lines.length;
  if (!whole) await writeDurably(path, HEAD + records.map(printRecord).join(""));
  return { fd: openSync(path, "a", 0o600), records };
}

function readText(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return readFileSync(fd, "latin1");
  } finally {
    closeSync(fd);
  }
}
