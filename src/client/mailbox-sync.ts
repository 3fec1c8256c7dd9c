/**
 * Brings the mailbox home: list, download, check, open, store, and only then delete. All steps overlap: while the first
 * files are stored the last are still asked for. Every request travels without waiting for the answer to another one. Where
 * there is a ledger, it says what is fetched, and whoever called deletes (`sync-proven.ts`).
 */

import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { type FolderEntry, type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import { Budget } from "./budget.ts";
import type { Storage } from "./mail-store.ts";

export interface SyncFailure {
  file: string;
  /** Code of the error. */
  code: string;
  message: string;
}

export interface SyncResult {
  /** Sealed files on the server. */
  listed: number;
  downloaded: number;
  /** New messages in the Maildir. */
  stored: number;
  /** Files that held a message which was stored before, in this or an earlier run. */
  duplicates: number;
  /** Files that stay on the server because something is wrong with them. */
  failed: SyncFailure[];
  /** Files removed from the server. */
  deleted: number;
  /** Size of what was downloaded. */
  bytes: number;
}

export interface SyncOptions {
  sftp: Pick<SftpConnection, "entries" | "readFile" | "remove" | "limits">;
  /** Folder on the server. */
  folder: string;
  storage: Storage;
  /** Leave everything on the server. */
  keep: boolean;
  /** What is fetched of the folder; default: what the server lists. */
  listing?: AsyncIterable<readonly Pick<FolderEntry, "name" | "size">[]>;
  /** Asked before a file is opened; without a yes it is left where it is. */
  isGenuine?(name: string, file: Buffer): boolean;
  /** Told of each file that is fetched and that the server says is not there. */
  whenGone?(name: string): void;
  /** Told of each file that is safe here, in place of its being removed from the server. */
  whenSafe?(name: string): void;
  onProgress?(result: SyncResult): void;
}

/** The largest sealed file that is fetched. */
export const MAX_MAIL_BYTES = 128 * 1024 * 1024;
/** From the request until it is durable here. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;
const MAX_FILES_IN_FLIGHT = 1000;
const MAIL_NAME = /^([0-9a-f]{64})\.age$/;

interface Mail {
  name: string;
  digest: string;
  /** Bytes by the listing. */
  announced: number;
  /** Bytes that it takes here at most. */
  size: number;
}

/** Before the first file. */
export function nothingDone(): SyncResult {
  return { listed: 0, downloaded: 0, stored: 0, duplicates: 0, failed: [], deleted: 0, bytes: 0 };
}

/**
 * @returns what was done, and the error that ended it before its time, if any. What was stored until then is stored
 *   and, as far as the connection allowed, deleted on the server.
 */
export async function syncMailbox(options: SyncOptions): Promise<{ result: SyncResult; interruption: unknown }> {
  const sync = new MailboxSync(options);
  await sync.run();
  return { result: sync.result, interruption: sync.interruption };
}

class MailboxSync {
  readonly result = nothingDone();
  interruption: unknown;
  readonly #options: SyncOptions;
  readonly #bytes = new Budget(MAX_BYTES_IN_FLIGHT);
  readonly #work = new Set<Promise<void>>();
  readonly #seen = new Set<string>();
  #downloading = 0;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    await this.#guard(() => this.#startAll());
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** The first error that is not about one file ends the run. */
  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.interruption ??= error;
    }
  }

  async #startAll(): Promise<void> {
    const { sftp, folder, listing } = this.#options;
    let open: Budget | undefined;
    for await (const entries of listing ?? sftp.entries(folder)) {
      // Asked before the listing, so the answer is there and costs no round trip.
      open ??= new Budget(Math.min(MAX_FILES_IN_FLIGHT, Math.max(1, (await sftp.limits()).maxOpenHandles - 8)));
      const place = open;
      for (const mail of await this.#newMail(entries)) {
        if (this.interruption !== undefined) return;
        await place.acquire(1);
        await this.#bytes.acquire(mail.size);
        this.#downloading += 1;
        this.#track(async () => {
          const file = await this.#download(mail);
          place.release(1);
          const stored = file === undefined ? undefined : this.#store(mail, file);
          this.#downloading -= 1;
          // Nothing more is on its way that could share a batch.
          if (this.#downloading === 0) this.#options.storage.flush();
          await stored;
          this.#bytes.release(mail.size);
          this.#options.onProgress?.(this.result);
        });
      }
    }
  }

  /** Picks what is mail and not yet here; the server may forget what is. */
  async #newMail(entries: readonly Pick<FolderEntry, "name" | "size">[]): Promise<Mail[]> {
    const mails = new Map<string, Mail>();
    for (const { name, size } of entries) {
      const digest = MAIL_NAME.exec(name)?.[1];
      if (digest === undefined || this.#seen.has(digest)) continue;
      this.#seen.add(digest);
      mails.set(digest, { name, digest, announced: size, size: Math.min(size, MAX_MAIL_BYTES) });
    }
    this.result.listed += mails.size;
    const missing = new Set(await this.#options.storage.missing([...mails.keys()]));
    const wanted: Mail[] = [];
    for (const [digest, mail] of mails) {
      if (missing.has(digest)) wanted.push(mail);
      else {
        this.result.duplicates += 1;
        this.#track(() => this.#remove(mail));
      }
    }
    return wanted;
  }

  /** Undefined when there is nothing to store: it is gone, or noted as failed. */
  async #download({ name, announced }: Mail): Promise<Buffer | undefined> {
    if (this.interruption !== undefined) return undefined;
    let file: Buffer | undefined;
    await this.#guard(async () => {
      try {
        file = await this.#options.sftp.readFile(`${this.#options.folder}/${name}`, MAX_MAIL_BYTES, announced);
        this.result.downloaded += 1;
        this.result.bytes += file.length;
        if (this.#options.isGenuine?.(name, file) === false) file = undefined;
      } catch (error) {
        this.#note(name, error);
      }
    });
    return file;
  }

  async #store(mail: Mail, file: Buffer): Promise<void> {
    await this.#guard(async () => {
      try {
        const { isNew } = await this.#options.storage.store(mail.digest, file);
        if (isNew) this.result.stored += 1;
        else this.result.duplicates += 1;
      } catch (error) {
        this.#note(mail.name, error);
        return;
      }
      this.#track(() => this.#remove(mail));
    });
  }

  async #remove({ name }: Mail): Promise<void> {
    if (this.#options.keep) return;
    if (this.#options.whenSafe !== undefined) return this.#options.whenSafe(name);
    try {
      await this.#options.sftp.remove(`${this.#options.folder}/${name}`);
      this.result.deleted += 1;
    } catch (error) {
      this.#note(name, error);
    }
  }

  /** What is wrong with one file is noted, and it stays; any other error concerns them all and is thrown again. */
  #note(file: string, error: unknown): void {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) {
      this.#options.whenGone?.(file);
      return;
    }
    const aboutOne =
      error instanceof SftpStatusError ||
      error instanceof VerifyError ||
      error instanceof PolicyError ||
      (error instanceof FormatError && error.code !== "SFTP");
    if (!aboutOne) throw error;
    this.result.failed.push({ file, code: error.code, message: error.message });
  }

  /** `run` waits for it. */
  #track(work: () => Promise<void>): void {
    const promise = this.#guard(work).finally(() => this.#work.delete(promise));
    this.#work.add(promise);
  }
}
