/**
 * Removes mail from the server, and says so in a signed record: the record, then the files, then the mark that they are
 * gone. Whatever is cut off, the next round finishes (docs/formats/mailbox-ledger.md, "device, removing").
 */

import { joinSigned } from "#core/account/signed-text.ts";
import {
  type Deleted,
  type DeletionRecord,
  deletionName,
  deletionNamespace,
  deviceOf,
  doneName,
  printDeletion,
} from "#core/mailbox/deletion.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import type { Head } from "#core/mailbox/head.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { OPEN, type SftpConnection, type SftpHandle, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { DeviceSigner } from "./device-signer.ts";
import type { MailboxPaths } from "./paths.ts";
import type { MailboxState } from "./state.ts";

export type WritingSftp = Pick<SftpConnection, "open" | "write" | "fsync" | "close" | "remove">;

/** What a record has to say besides what is removed. */
export interface RecordFrame {
  /** Of the account, as it was verified. */
  readonly account: string;
  readonly domain: string;
  /** The last one that was verified. */
  readonly head: Head;
  /** Unix seconds. */
  readonly now: number;
}

/** So many lines fit into a record, with room. */
export const MAX_LINES = 10_000;

/** A record that has its name on the server, and nothing in it yet: half an upload, to whoever sees it. */
export interface Draft {
  readonly device: string;
  readonly number: number;
  readonly path: string;
  readonly handle: SftpHandle;
}

/**
 * Begins a record, under a number that was never used; that may be done before it is known what it has to say.
 * @param key of the device, `TYPE BASE64`
 * @param taken names that `del/` showed
 * @throws SftpStatusError when the server does not let it
 */
export async function beginRecord(
  sftp: WritingSftp,
  paths: MailboxPaths,
  state: MailboxState,
  key: string,
  taken: Iterable<string>,
): Promise<Draft> {
  const device = deviceOf(parsePublicKey(key));
  const number = await state.nextNumber(highestNumber(device, taken));
  const path = `${paths.del}/${deletionName({ device, number })}`;
  const handle = await sftp.open(path, OPEN.write | OPEN.create | OPEN.exclusive);
  return { device, number, path, handle };
}

/** Takes it back. */
export async function dropDraft(sftp: WritingSftp, { path, handle }: Draft): Promise<void> {
  await Promise.all([sftp.close(handle), removeOne(sftp, path)]);
}

/**
 * Signs a record and puts it on the server.
 * @param deleted by number, 1 to {@link MAX_LINES}
 * @param taken names that `del/` showed
 * @param begun by this signer; without it one is begun
 * @throws HostError EXEC when it can't be signed, FILE; PolicyError PASSPHRASE; then nothing of it is left there
 */
export async function writeRecord(
  sftp: WritingSftp,
  paths: MailboxPaths,
  state: MailboxState,
  signer: DeviceSigner,
  { account, domain, head, now }: RecordFrame,
  deleted: readonly Deleted[],
  taken: Iterable<string> = [],
  begun: Draft | null = null,
): Promise<DeletionRecord> {
  const draft = begun ?? (await beginRecord(sftp, paths, state, signer.key, taken));
  try {
    const record: DeletionRecord = {
      account,
      device: draft.device,
      number: draft.number,
      time: now,
      head: { ...head.last, time: head.time },
      deleted: deleted.map(({ seq, digest }) => ({ seq, digest })),
    };
    const body = printDeletion(record);
    const signed = joinSigned({ body, signatures: [await signer.sign(deletionNamespace(domain), body)] });
    await writeDraft(sftp, draft, signed);
    return record;
  } catch (error) {
    // What it names is still there, so it must not stand; should the connection be gone, it is half an upload.
    await dropDraft(sftp, draft).catch(() => undefined);
    throw error;
  }
}

/** The highest number that a device's files in `del/` have; 0 where there are none. */
function highestNumber(device: string, names: Iterable<string>): number {
  let highest = 0;
  for (const name of names) {
    const [, owner, number] = /^([0-9a-f]{16})-([1-9][0-9]{0,14})(?:\.done)?$/.exec(name) ?? [];
    if (owner === device) highest = Math.max(highest, Number(number));
  }
  return highest;
}

async function writeDraft(sftp: WritingSftp, { handle }: Draft, content: Buffer): Promise<void> {
  const synced = async (): Promise<void> => {
    try {
      await sftp.fsync(handle);
    } catch (error) {
      // A server need not know the request; that it took the bytes is what counts then.
      if (!(error instanceof SftpStatusError)) throw error;
    }
  };
  await Promise.all([sftp.write(handle, 0, content), synced()]);
  closeBehind(sftp, handle);
}

/** What a handle is closed for is done: nobody waits for the answer, and what it says changes nothing. */
function closeBehind(sftp: WritingSftp, handle: SftpHandle): void {
  sftp.close(handle).catch(() => undefined);
}

/**
 * Removes files of `mail/`; one that is gone already is as good.
 * @returns the entries whose files are not there any more, and what went wrong with the others
 */
export async function removeFiles(
  sftp: WritingSftp,
  paths: MailboxPaths,
  entries: readonly Entry[],
): Promise<{ removed: Entry[]; failed: { file: string; error: SftpStatusError }[] }> {
  const removed: Entry[] = [];
  const failed: { file: string; error: SftpStatusError }[] = [];
  const remove = async (entry: Entry): Promise<void> => {
    const file = mailName(entry);
    const error = await removeOne(sftp, `${paths.mail}/${file}`);
    if (error === null) removed.push(entry);
    else failed.push({ file, error });
  };
  await Promise.all(entries.map(remove));
  return { removed, failed };
}

/** Null if it is gone, by this or before. */
async function removeOne(sftp: WritingSftp, path: string): Promise<SftpStatusError | null> {
  try {
    await sftp.remove(path);
    return null;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    return error.status === STATUS.noSuchFile ? null : error;
  }
}

/** Says that all files of records are gone. @param names of the marks, as an audit's `toMark` and {@link doneName} give them */
export async function markDone(sftp: WritingSftp, paths: MailboxPaths, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map(async (name) => closeBehind(sftp, await sftp.open(`${paths.del}/${name}`, OPEN.write | OPEN.create))),
  );
}

/** Takes records of this device out of `del/`, each before its mark. */
export async function removeRecords(
  sftp: WritingSftp,
  paths: MailboxPaths,
  records: readonly Pick<DeletionRecord, "device" | "number">[],
): Promise<void> {
  const names = records.flatMap((record) => [deletionName(record), doneName(record)]);
  const errors = await Promise.all(names.map(async (name) => await removeOne(sftp, `${paths.del}/${name}`)));
  for (const error of errors) if (error !== null) throw error;
}
