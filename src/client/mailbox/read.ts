/** Reads all of a mailbox but the mail itself, in the order that an audit needs and in few round trips. */

import { MAX_SIGNATURE_BYTES } from "#core/account/signed-text.ts";
import { FormatError, HostError } from "#core/errors.ts";
import type { ListedFile, Shown } from "#core/mailbox/audit.ts";
import { MAX_DELETION_BYTES } from "#core/mailbox/deletion.ts";
import { MAX_ENTRIES_BYTES } from "#core/mailbox/entries.ts";
import { MAX_SIGNERS_BYTES } from "#core/mailbox/signers.ts";
import { type FolderEntry, READDIRS_IN_FLIGHT, type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { MailboxPaths } from "./paths.ts";

export type ReadingSftp = Pick<SftpConnection, "entries" | "list" | "readFile">;

const MAX_HEAD_FILE_BYTES = 2048 + 2 * MAX_SIGNATURE_BYTES;
const MAX_SIGNERS_FILE_BYTES = MAX_SIGNERS_BYTES + 20 * MAX_SIGNATURE_BYTES;
const MAX_RECORD_FILE_BYTES = MAX_DELETION_BYTES + MAX_SIGNATURE_BYTES;
const MAX_RECORDS_BYTES = 256 * 1024 * 1024;
/** Devices put theirs together; to read more would take hours. */
const MAX_RECORDS = 10_000;
const RECORD_NAME = /^[0-9a-f]{16}-[1-9][0-9]{0,14}$/;

/** A server that answers now and then could keep a device from saying for ever that no fresh proof comes. */
export const MAX_READING_SECONDS = 1800;

interface Read<Account> {
  readonly shown: Shown;
  readonly account: Account;
}

/**
 * Everything is asked for at once, and a server answers in order: so what is listed was read after what stands before it.
 * @param learnAccount begins to read the account's chain when it is called, and tells when it is known
 * @throws SftpStatusError; HostError TIMEOUT after {@link MAX_READING_SECONDS}, and others; FormatError SFTP, TOO-LARGE; what
 * `learnAccount` throws
 */
export async function readMailbox<Account>(
  sftp: ReadingSftp,
  paths: MailboxPaths,
  learnAccount: () => Promise<Account>,
): Promise<Read<Account>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the server has not shown the whole mailbox after ${MAX_READING_SECONDS / 60} minutes`;
      reject(new HostError("TIMEOUT", message, { hint: "try again; if this lasts, tell the operator" }));
    }, MAX_READING_SECONDS * 1000);
  });
  try {
    return await Promise.race([readAll(sftp, paths, learnAccount), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readAll<Account>(
  sftp: ReadingSftp,
  paths: MailboxPaths,
  learnAccount: () => Promise<Account>,
): Promise<Read<Account>> {
  const [{ head, signers }, entries, account, mail, early] = await Promise.all([
    readHeadFiles(sftp, paths),
    readIfThere(sftp, paths.entries, MAX_ENTRIES_BYTES),
    learnAccount(),
    ifThere(() => listInBatches(sftp, paths.mail)),
    listIfThere(sftp, paths.del),
  ]);
  // A long listing went on behind the first of the other folder: a record must not be missed that explains what it lacks.
  const isEarly = (mail?.batches ?? 0) >= READDIRS_IN_FLIGHT;
  const del = await readRecords(sftp, paths.del, isEarly ? await listIfThere(sftp, paths.del) : early);
  return { shown: { head, signers, entries, mail: mail?.files ?? [], del }, account };
}

/** Head and list of signers alone: whether there is a fresh proof. */
export async function readHeadFiles(
  sftp: Pick<ReadingSftp, "readFile">,
  paths: Pick<MailboxPaths, "head" | "signers">,
): Promise<Pick<Shown, "head" | "signers">> {
  const [head, signers] = await Promise.all([
    readIfThere(sftp, paths.head, MAX_HEAD_FILE_BYTES),
    readIfThere(sftp, paths.signers, MAX_SIGNERS_FILE_BYTES),
  ]);
  return { head, signers };
}

async function listInBatches(sftp: ReadingSftp, folder: string): Promise<{ files: ListedFile[]; batches: number }> {
  const files: ListedFile[] = [];
  let batches = 0;
  for await (const batch of sftp.entries(folder)) {
    batches += 1;
    files.push(...batch);
  }
  return { files, batches };
}

async function listIfThere(sftp: ReadingSftp, folder: string): Promise<FolderEntry[]> {
  return (await ifThere(() => sftp.list(folder))) ?? [];
}

async function readRecords(sftp: ReadingSftp, folder: string, listed: readonly FolderEntry[]): Promise<Shown["del"]> {
  const records = listed.filter(({ name, size }) => RECORD_NAME.test(name) && size <= MAX_RECORD_FILE_BYTES);
  if (records.length > MAX_RECORDS) {
    throw new FormatError(
      "TOO-LARGE",
      `"${folder}" holds ${records.length} records, at most ${MAX_RECORDS} are expected`,
    );
  }
  const bytes = records.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MAX_RECORDS_BYTES) {
    throw new FormatError("TOO-LARGE", `"${folder}" holds ${bytes} bytes, at most ${MAX_RECORDS_BYTES} are expected`);
  }
  const toRead = new Set(records.map(({ name }) => name));
  const read = await inTurns(listed, RECORDS_IN_FLIGHT, async ({ name, size }) => {
    // What is too large is no record, whatever stands in it.
    if (!toRead.has(name)) return { name, bytes: Buffer.alloc(0) };
    const content = await ifThere(() => readable(sftp.readFile(`${folder}/${name}`, MAX_RECORD_FILE_BYTES, size)));
    return content === null ? null : { name, bytes: content };
  });
  return read.filter((one) => one !== null);
}

const RECORDS_IN_FLIGHT = 64;

/** Like `Promise.all`, and so many at a time. */
async function inTurns<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += atOnce) {
    results.push(...(await Promise.all(items.slice(at, at + atOnce).map(work))));
  }
  return results;
}

async function readIfThere(
  sftp: Pick<ReadingSftp, "readFile">,
  path: string,
  maxBytes: number,
): Promise<Buffer | null> {
  return await ifThere(() => readable(sftp.readFile(path, maxBytes)));
}

/** What is too large, or is not let be read, proves as little as an empty file, and is judged like one. */
async function readable(reading: Promise<Buffer>): Promise<Buffer> {
  try {
    return await reading;
  } catch (error) {
    const isRefused = error instanceof SftpStatusError && error.status !== STATUS.noSuchFile;
    if (isRefused || (error instanceof FormatError && error.code === "TOO-LARGE")) return Buffer.alloc(0);
    throw error;
  }
}

async function ifThere<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return null;
    throw error;
  }
}
