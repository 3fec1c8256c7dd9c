/** Writing one mailbox's entries and head to `fetch` (docs/formats/mailbox-ledger.md, "Who writes what"). */

import type { Mailbox } from "#core/mailbox/writer.ts";
import { OPEN, type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { Mailboxes } from "./mailboxes.ts";

/** Owner and group read it; who is in the group is the machine's business. */
const MODE = 0o640;

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

export interface Publication {
  readonly sftp: SftpConnection;
  /** Of the mailbox: `/NAME/ledger`. */
  readonly folder: string;
  readonly mailboxes: Mailboxes;
  /** As it is to be shown. */
  readonly mailbox: Mailbox;
  readonly signers: Buffer;
  /** Null when nothing is known of what lies there. */
  readonly written: Written | null;
  /** Signs the head; called when its entries are durable there. */
  readonly head: () => Buffer;
}

/**
 * Writes what there is to write, the head last. Whoever reads meanwhile sees the old head with the entries of the old or the
 * new one.
 * @throws SftpStatusError; then nothing is known of what lies there
 */
export async function publish(publication: Publication): Promise<Written> {
  const { sftp, folder, mailbox, signers, written } = publication;
  const bytes = await writeEntries(publication);
  if (written === null || !written.signers.equals(signers)) await replace(sftp, folder, "signers", [signers], true);
  // Not synced: after a power failure there an older head would be as wrong as none, and all of it is written anew then.
  await replace(sftp, folder, "head", [publication.head()], false);
  return { signers, dropped: mailbox.dropped.seq, last: mailbox.last.seq, bytes, base: mailbox.base.seq };
}

/** @returns the length of the file */
async function writeEntries({ sftp, folder, mailboxes, mailbox, written }: Publication): Promise<number> {
  const { account, last, dropped } = mailbox;
  const file = `${folder}/entries`;
  const size = await sizeOf(sftp, file);
  if (written === null || written.dropped !== dropped.seq || written.bytes !== size) {
    if (last.seq === dropped.seq && size === 0) return 0;
    return await replace(sftp, folder, "entries", mailboxes.allLines(mailbox), true);
  }
  if (written.last === last.seq) return size;
  const lines = mailboxes.lines(account, written.last, last.seq);
  const handle = await sftp.open(file, OPEN.write | OPEN.create, { mode: MODE });
  await closing(sftp, handle, [sftp.write(handle, size, lines), sftp.fsync(handle)]);
  return size + lines.length;
}

/** 0 when it is not there. */
async function sizeOf(sftp: SftpConnection, file: string): Promise<number> {
  try {
    return (await sftp.lstat(file)).size ?? 0;
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return 0;
    throw error;
  }
}

/** Writes a whole file beside the one that it takes the place of. @returns its length */
async function replace(
  sftp: SftpConnection,
  folder: string,
  name: string,
  pieces: Iterable<Buffer>,
  isSynced: boolean,
): Promise<number> {
  const fresh = `${folder}/.${name}`;
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
async function closing(
  sftp: SftpConnection,
  handle: Awaited<ReturnType<SftpConnection["open"]>>,
  steps: readonly Promise<void>[],
): Promise<void> {
  const closed = sftp.lost ? Promise.resolve() : sftp.close(handle);
  const ends = await Promise.allSettled([...steps, closed]);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
