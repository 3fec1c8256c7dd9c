/** What lies in a Maildir, in an order that stays the same as long as nothing comes or goes. */

import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { HostError, PolicyError } from "#core/errors.ts";
import { parseMessageDate, parseReceivedDate } from "#core/mail/message-date.ts";
import { type Field, fieldOf, MAX_HEADER_BYTES, readHeader } from "#core/mail/message-fields.ts";

export interface StoredMail {
  /** From 1, oldest first. */
  number: number;
  /** Digest of the sealed file; for mail that others put there the unique part of its name. */
  id: string;
  path: string;
  bytes: number;
  fields: readonly Field[];
  /** Unix seconds: when our machine took it, else when the file was made. */
  deliveryTime: number;
  /** Unix seconds: as its Date field says, else `deliveryTime`. */
  date: number;
}

const FIRST_READ_BYTES = 32 * 1024;
/** Files read at once. */
const PARALLEL_FILES = 16;
/** A mail program may rename files while we look. */
const ATTEMPTS = 5;

/** @throws HostError FILE when a folder or a file can't be read */
export async function readMaildir(maildir: string): Promise<StoredMail[]> {
  for (let attempt = 1; ; attempt++) {
    const found = await readFiles(await listFiles(maildir));
    if (found !== "changed") {
      found.sort((a, b) => a.deliveryTime - b.deliveryTime || (a.id < b.id ? -1 : 1));
      for (const [index, mail] of found.entries()) mail.number = index + 1;
      return found;
    }
    if (attempt === ATTEMPTS) {
      throw new HostError("BUSY", `"${maildir}" changes while it is read`, { hint: "run it again" });
    }
  }
}

/** Path of each id. A file that is moved from `new/` to `cur/` meanwhile may be seen in both. */
async function listFiles(maildir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of ["new", "cur"]) {
    for (const name of await namesIn(join(maildir, folder))) {
      if (!name.startsWith(".")) files.set(idOf(name), join(maildir, folder, name));
    }
  }
  return files;
}

function idOf(name: string): string {
  return /^([0-9a-f]{64})\.shoal(?::.*)?$/.exec(name)?.[1] ?? name.replace(/:2,[^:]*$/, "");
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    // Before the first sync there is no Maildir.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new HostError("FILE", `can't read "${folder}": ${(cause as Error).message}`, { cause });
  }
}

async function readFiles(files: ReadonlyMap<string, string>): Promise<StoredMail[] | "changed"> {
  const mails: StoredMail[] = [];
  const left = [...files].values();
  let changed = false;
  const work = async (): Promise<void> => {
    for (const [id, path] of left) {
      const mail = changed ? "gone" : await readStart(id, path);
      if (mail === "gone") changed = true;
      else if (mail !== "no file") mails.push(mail);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FILES }, work));
  return changed ? "changed" : mails;
}

async function readStart(id: string, path: string): Promise<StoredMail | "gone" | "no file"> {
  let file: FileHandle;
  try {
    // Neither a link out of the Maildir nor a pipe without a writer is followed.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return "gone";
    if (code === "ELOOP" || code === "ENXIO") return "no file";
    throw new HostError("FILE", `can't read "${path}": ${message}`, { cause });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return "no file";
    let { fields, complete } = readHeader(await readUpTo(file, FIRST_READ_BYTES));
    if (!complete && stat.size > FIRST_READ_BYTES) {
      ({ fields, complete } = readHeader(await readUpTo(file, MAX_HEADER_BYTES)));
    }
    const deliveryTime = parseReceivedDate(fieldOf(fields, "received") ?? "") ?? Math.floor(stat.mtimeMs / 1000);
    const date = parseMessageDate(fieldOf(fields, "date") ?? "") ?? deliveryTime;
    return { number: 0, id, path, bytes: stat.size, fields, deliveryTime, date };
  } finally {
    await file.close();
  }
}

async function readUpTo(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(maxBytes);
  let length = 0;
  for (let bytesRead = 1; bytesRead > 0 && length < maxBytes; length += bytesRead) {
    ({ bytesRead } = await file.read(buffer, length, maxBytes - length, length));
  }
  return buffer.subarray(0, length);
}

const MAX_NUMBER_DIGITS = 9;
const MIN_ID_CHARACTERS = 4;

/**
 * The mail that a person means: its number in `shoal list`, or the start of its id.
 * @throws PolicyError USAGE when there is none, or more than one
 */
export function findMail(mails: readonly StoredMail[], wanted: string): StoredMail {
  const hint = '"shoal list" shows the numbers, "shoal list --json" the ids too';
  if (/^[0-9]+$/.test(wanted) && wanted.length <= MAX_NUMBER_DIGITS) {
    const mail = mails[Number(wanted) - 1];
    if (mail !== undefined) return mail;
    const there = mails.length === 0 ? "there is no mail yet" : `there are numbers 1 to ${mails.length}`;
    throw new PolicyError("USAGE", `there is no mail number ${wanted}: ${there}`, { hint });
  }
  if (wanted.length < MIN_ID_CHARACTERS) {
    throw new PolicyError("USAGE", `"${wanted}" is neither a number nor an id`, { hint });
  }
  const exact = mails.find(({ id }) => id === wanted);
  const found = mails.filter(({ id }) => id.startsWith(wanted) || id.startsWith(wanted.toLowerCase()));
  const [first] = found;
  if (exact !== undefined) return exact;
  if (first === undefined) throw new PolicyError("USAGE", `there is no mail with the id "${wanted}"`, { hint });
  if (found.length > 1) {
    throw new PolicyError("USAGE", `${found.length} mails have an id that starts with "${wanted}"`, {
      hint: `give more of it: ${found
        .slice(0, 3)
        .map(({ id }) => `"${id.slice(0, 16)}"`)
        .join(", ")}`,
    });
  }
  return first;
}
