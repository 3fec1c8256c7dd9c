/**
 * Stores messages in a Maildir, each exactly once, many at a time.
 *
 * A batch goes through five steps, and a crash between any two of them neither loses nor doubles mail:
 *
 * 1. `commit` writes the staged messages into files of the staging folder inside the Maildir and makes them durable
 * 2. their lines are appended to the journal and made durable: from here on the files count as stored
 * 3. they are renamed into `new/`, and that is made durable
 * 4. `commit` returns: only now may the caller forget its copy
 *
 * The next start completes step 3 for what the journal names, and removes what it does not name. Staged files do not
 * lie in `tmp/`, because mail programs clean that folder.
 */

import { closeSync, fsync, futimesSync, openSync, readdirSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { HostError } from "#core/errors.ts";
import { makeFolder, syncFolder } from "./files.ts";
import { openJournal, printRecord, type StoredRecord } from "./maildir-journal.ts";

/** The calls that change the disk, so that tests can break each of them. */
export interface MaildirSystem {
  /** Makes a file that must not exist; gives its descriptor. */
  create(path: string): number;
  write(fd: number, bytes: Uint8Array): void;
  setTime(fd: number, seconds: number): void;
  sync(fd: number): Promise<void>;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  syncFolder(path: string): Promise<void>;
}

export const maildirSystem: MaildirSystem = {
  create: (path) => openSync(path, "wx", 0o600),
  write(fd, bytes) {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  },
  setTime: (fd, seconds) => futimesSync(fd, seconds, seconds),
  sync: promisify(fsync),
  rename: renameSync,
  unlink: unlinkSync,
  syncFolder,
};

export interface MaildirPlaces {
  maildir: string;
  /** Name of the staging folder inside the Maildir; each journal has its own. */
  staging: string;
  /** Path of the journal file. */
  journal: string;
}

/** A retransmission later than this is stored again: senders give up after days. */
const RETRANSMISSION_SECONDS = 30 * 24 * 3600;

interface Staged {
  record: StoredRecord;
  /** Undefined for a record without a file. */
  content: Uint8Array | undefined;
  modifiedTime: number;
}

export class Maildir {
  readonly #places: MaildirPlaces;
  readonly #calls: MaildirSystem;
  readonly #journal: number;
  readonly #known = new Set<string>();
  readonly #messages = new Map<string, number>();
  #staged: Staged[] = [];

  private constructor(places: MaildirPlaces, calls: MaildirSystem, journal: number, records: readonly StoredRecord[]) {
    this.#places = places;
    this.#calls = calls;
    this.#journal = journal;
    for (const record of records) this.#remember(record);
  }

  /**
   * Makes what is missing, and completes what an earlier process left half done. Only one process may have it open.
   * @throws HostError DISK; FormatError CONFIG for a journal that is none
   */
  static async open(places: MaildirPlaces, calls: MaildirSystem = maildirSystem): Promise<Maildir> {
    return await onDisk(places.maildir, async () => {
      for (const folder of ["cur", "new", "tmp", places.staging]) await makeFolder(join(places.maildir, folder), 0o700);
      const { fd, records } = await openJournal(places.journal);
      const maildir = new Maildir(places, calls, fd, records);
      await maildir.#recover();
      return maildir;
    });
  }

  async #recover(): Promise<void> {
    for (const name of readdirSync(this.#path(this.#places.staging))) {
      const digest = /^([0-9a-f]{64})\.shoal$/.exec(name)?.[1];
      if (digest !== undefined && this.#known.has(digest)) this.#moveToNew(digest);
      else this.#calls.unlink(this.#path(this.#places.staging, name));
    }
    // A process that was killed may have left work that is done and not yet durable.
    await this.#calls.sync(this.#journal);
    await this.#calls.syncFolder(this.#path("new"));
  }

  /** Whether the sealed file with this digest was stored, by this process or an earlier one. */
  knows(digest: string): boolean {
    return this.#known.has(digest);
  }

  /** Whether the same message was stored less than 30 days before `time` (Unix seconds). */
  hasMessage(messageDigest: string, time: number): boolean {
    const stored = this.#messages.get(messageDigest);
    return stored !== undefined && time - stored < RETRANSMISSION_SECONDS;
  }

  /** Messages and records that wait for {@link commit}. */
  get stagedCount(): number {
    return this.#staged.length;
  }

  /**
   * Takes a message for the next {@link commit}; `content` must not change until then.
   * @param content what the file in the Maildir holds; undefined records a digest whose message is stored already
   * @param modifiedTime Unix seconds that mail programs show as the time of arrival
   */
  stage(record: StoredRecord, content: Uint8Array | undefined, modifiedTime: number): void {
    this.#staged.push({ record, content, modifiedTime });
    this.#remember(record);
  }

  /**
   * Makes everything staged so far durable and visible to mail programs. One call at a time; staging goes on meanwhile.
   * @returns the digests whose sealed files are no longer needed; `isNew` where a file was stored
   * @throws HostError DISK: nothing of the batch may be forgotten by the caller, and this object is of no more use
   */
  async commit(): Promise<{ digest: string; isNew: boolean }[]> {
    const batch = this.#staged;
    this.#staged = [];
    if (batch.length === 0) return [];
    return await onDisk(this.#places.maildir, async () => {
      const files = batch.filter(({ content }) => content !== undefined);
      await this.#writeFiles(files);
      await this.#appendToJournal(batch);
      for (const { record } of files) this.#moveToNew(record.digest);
      if (files.length > 0) await this.#calls.syncFolder(this.#path("new"));
      return batch.map(({ record, content }) => ({ digest: record.digest, isNew: content !== undefined }));
    });
  }

  /**
   * First all are written, one after the other, because threads that change one folder at once only get in each other's
   * way; then all are made durable at once, because that is mostly waiting. This runs in a thread of its own.
   */
  async #writeFiles(files: readonly Staged[]): Promise<void> {
    if (files.length === 0) return;
    const calls = this.#calls;
    const open: number[] = [];
    try {
      for (const { record, content, modifiedTime } of files) {
        const fd = calls.create(this.#path(this.#places.staging, fileName(record.digest)));
        open.push(fd);
        if (content !== undefined) calls.write(fd, content);
        calls.setTime(fd, modifiedTime);
      }
      await settleAll(open.map(async (fd) => await calls.sync(fd)));
    } finally {
      for (const fd of open) closeSync(fd);
    }
    await calls.syncFolder(this.#path(this.#places.staging));
  }

  async #appendToJournal(batch: readonly Staged[]): Promise<void> {
    const lines = batch.map(({ record }) => printRecord(record)).join("");
    this.#calls.write(this.#journal, Buffer.from(lines, "latin1"));
    await this.#calls.sync(this.#journal);
  }

  /** What was staged and not committed is forgotten. */
  close(): void {
    this.#staged = [];
    closeSync(this.#journal);
  }

  #remember({ digest, messageDigest, time }: StoredRecord): void {
    this.#known.add(digest);
    if (messageDigest !== undefined) this.#messages.set(messageDigest, time);
  }

  #moveToNew(digest: string): void {
    const name = fileName(digest);
    this.#calls.rename(this.#path(this.#places.staging, name), this.#path("new", name));
  }

  #path(...names: string[]): string {
    return join(this.#places.maildir, ...names);
  }
}

/** Name of a message in the Maildir: no colon, so that mail programs can add their flags. */
function fileName(digest: string): string {
  return `${digest}.shoal`;
}

/** Like `Promise.all`, but waits for the others before it rejects: they hold file descriptors. */
async function settleAll(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === "rejected") throw result.reason;
}

async function onDisk<T>(maildir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(maildir, error);
  }
}

const HINTS: Record<string, string> = {
  ENOSPC: "make room and run it again; nothing was removed from the server that is not stored here",
  EDQUOT: "your quota on this computer is used up: make room and run it again",
  EROFS: "the file system is mounted read-only",
  EACCES: "check who owns the folder",
  EPERM: "check who owns the folder",
};

function diskError(maildir: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code !== "string" || !/^E[A-Z]+$/.test(code) || error instanceof HostError) return error;
  const full = code === "ENOSPC" || code === "EDQUOT" ? "the disk is full: " : "";
  const hint = HINTS[code] ?? "check the disk and run it again; nothing is lost";
  return new HostError("DISK", `${full}can't store mail in "${maildir}": ${message}`, { cause: error, hint });
}
