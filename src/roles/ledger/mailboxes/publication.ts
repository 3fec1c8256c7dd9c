/** Writing one mailbox's entries and head to `fetch` (docs/formats/mailbox-ledger.md, "Who writes what"). */

import type { Mailbox } from "#core/mailbox/writer.ts";
import { OPEN, type SftpConnection, type SftpHandle, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { Mailboxes } from "./mailboxes.ts";

/** Owner and group read it; who is in the group is the machine's business. */
const MODE = 0o640;

/** Of files that others will get their name from; no reader looks at names that begin with a dot. */
const FRESH = /^\.(?:entries|head|signers)\.[0-9a-f]+$/;
const MAX_SWEPT = 100;

/** What a connection has written of a mailbox, and so needn't write again. */
export interface Written {
  /** The list of signers. */
  readonly signers: Buffer;
  /** Numbers of the entries that the file begins behind and ends with, and its length. */
  readonly dropped: number;
  readonly last: number;
  readonly bytes: number;
  /** Number of the base that the head names. */
  readonly base: number;
}

/** What is asked of the machine: `fetch` lets through no more. */
export type LedgerSftp = Pick<
  SftpConnection,
  "close" | "fsync" | "list" | "lost" | "lstat" | "open" | "readFile" | "remove" | "replace" | "write"
>;

export interface Publication {
  readonly sftp: LedgerSftp;
  /** Of the mailbox: `/NAME/ledger`. */
  readonly folder: string;
  readonly mailboxes: Mailboxes;
  /** As it is to be shown. */
  readonly mailbox: Mailbox;
  readonly signers: Buffer;
  /** Null when nothing is known of what lies there. */
  readonly written: Written | null;
  /** Of the connection, in hex: no other one has made files with it in their names. */
  readonly mark: string;
  /** Signs the head; called when its entries are durable there. */
  readonly head: () => Buffer;
}

/**
 * Writes what there is to write, the head last. Whoever reads meanwhile sees the old head with the entries of the old or the
 * new one.
 * @throws SftpStatusError; then nothing is known of what lies there
 */
export async function publish(publication: Publication): Promise<Written> {
  const { mailbox, signers, written } = publication;
  if (written === null) await sweep(publication);
  const bytes = await writeEntries(publication);
  if (written === null || !written.signers.equals(signers)) await replace(publication, "signers", [signers], true);
  // Not synced: after a power failure there an older head would be as wrong as none, and all of it is written anew then.
  await replace(publication, "head", [publication.head()], false);
  return { signers, dropped: mailbox.dropped.seq, last: mailbox.last.seq, bytes, base: mailbox.base.seq };
}

/**
 * Takes away what earlier connections have begun. What the last of them asked for may still be on its way: a connection is dead for
 * us long before its last packet is. It can't put an old head over a new one when the file that it renames is gone, and it
 * never asks for a renaming before the file is whole.
 */
async function sweep({ sftp, folder, mark }: Publication): Promise<void> {
  const names = (await sftp.list(folder)).map(({ name }) => name);
  const left = names.filter((name) => FRESH.test(name) && !name.endsWith(`.${mark}`)).slice(0, MAX_SWEPT);
  for (const name of left) {
    await sftp.remove(`${folder}/${name}`).catch((error: unknown) => {
      // Renamed just now.
      if (!(error instanceof SftpStatusError && error.status === STATUS.noSuchFile)) throw error;
    });
  }
}

/** @returns the length of the file */
async function writeEntries(publication: Publication): Promise<number> {
  const { sftp, folder, mailboxes, mailbox, written } = publication;
  const { account, last, dropped } = mailbox;
  const file = `${folder}/entries`;
  const size = await sizeOf(sftp, file);
  if (written === null || written.dropped !== dropped.seq || written.bytes !== size) {
    if (last.seq === dropped.seq && size === 0) return 0;
    return await replace(publication, "entries", mailboxes.allLines(mailbox), true);
  }
  if (written.last === last.seq) return size;
  const lines = mailboxes.lines(account, written.last, last.seq);
  const handle = await sftp.open(file, OPEN.write | OPEN.create, { mode: MODE });
  await closing(sftp, handle, [sftp.write(handle, size, lines), sftp.fsync(handle)]);
  return size + lines.length;
}

/** 0 when it is not there. */
async function sizeOf(sftp: LedgerSftp, file: string): Promise<number> {
  try {
    return (await sftp.lstat(file)).size ?? 0;
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return 0;
    throw error;
  }
}

/** Writes a whole file beside the one that it takes the place of. @returns its length */
async function replace(
  { sftp, folder, mark }: Publication,
  name: "entries" | "head" | "signers",
  pieces: Iterable<Buffer>,
  isSynced: boolean,
): Promise<number> {
  const fresh = `${folder}/.${name}.${mark}`;
  const handle = await sftp.open(fresh, OPEN.write | OPEN.create | OPEN.truncate, { mode: MODE });
  let bytes = 0;
  const steps: Promise<void>[] = [];
  try {
    for (const piece of pieces) {
      // One piece is under way at a time: a mailbox may have 32 MB of lines.
      await steps.pop();
      steps.push(sftp.write(handle, bytes, piece));
      bytes += piece.length;
    }
    if (isSynced) steps.push(sftp.fsync(handle));
  } finally {
    await closing(sftp, handle, steps);
  }
  await sftp.replace(fresh, `${folder}/${name}`);
  return bytes;
}

/** Closes behind what is under way, which may fail first. */
async function closing(sftp: LedgerSftp, handle: SftpHandle, steps: readonly Promise<void>[]): Promise<void> {
  const closed = sftp.lost ? Promise.resolve() : sftp.close(handle);
  const ends = await Promise.allSettled([...steps, closed]);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
