/**
 * Brings the mailbox home: list, download, check, open, store, and only then delete. All steps overlap: while the first
 * files are stored the last are still asked for. Every request travels without waiting for the answer to another one.
 */

import type { Identity } from "#core/age/age.ts";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import type { Maildir } from "#host/maildir.ts";
import { type FolderEntry, type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import { Budget } from "./budget.ts";
import { openMail } from "./open-mail.ts";

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
  identities: readonly Identity[];
  maildir: Maildir;
  /** Leave everything on the server. */
  keep: boolean;
  /** Unix seconds. */
  now: () => number;
  onProgress?(result: SyncResult): void;
}

/** The largest sealed file that is fetched. */
export const MAX_MAIL_BYTES = 128 * 1024 * 1024;
const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024;
const MAX_FILES_IN_FLIGHT = 400;
/** Each batch costs a few waits for the disk. */
const BATCH_FILES = 64;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Staged files are open until they are durable. */
const MAX_STAGED = 256;
const MAIL_NAME = /^([0-9a-f]{64})\.age$/;

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
  readonly result: SyncResult = {
    listed: 0,
    downloaded: 0,
    stored: 0,
    duplicates: 0,
    failed: [],
    deleted: 0,
    bytes: 0,
  };
  interruption: unknown;
  readonly #options: SyncOptions;
  readonly #bytes = new Budget(MAX_BYTES_IN_FLIGHT);
  readonly #downloads = new Set<Promise<void>>();
  readonly #removals = new Set<Promise<void>>();
  #diskFailed = false;
  #stagedBytes = 0;
  #committing: Promise<void> | undefined;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    await this.#guard(() => this.#downloadAll());
    await Promise.all(this.#downloads);
    while (this.#options.maildir.stagedCount > 0 && !this.#diskFailed) await this.#commit();
    await Promise.all(this.#removals);
  }

  /** The first error that is not about one file ends the run. */
  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.interruption ??= error;
      if (error instanceof HostError && error.code === "DISK") this.#diskFailed = true;
    }
  }

  async #downloadAll(): Promise<void> {
    const { sftp, folder, maildir } = this.#options;
    const files = new Budget(Math.min(MAX_FILES_IN_FLIGHT, Math.max(1, (await sftp.limits()).maxOpenHandles - 8)));
    const seen = new Set<string>();
    for await (const entries of sftp.entries(folder)) {
      for (const entry of entries) {
        if (this.interruption !== undefined) return;
        const digest = MAIL_NAME.exec(entry.name)?.[1];
        if (digest === undefined || seen.has(digest)) continue;
        seen.add(digest);
        this.result.listed += 1;
        if (maildir.knows(digest)) {
          this.result.duplicates += 1;
          this.#remove(digest);
          continue;
        }
        const bytes = Math.min(entry.size, MAX_MAIL_BYTES);
        await files.acquire(1);
        await this.#bytes.acquire(bytes);
        track(this.#downloads, async () => {
          await this.#guard(() => this.#fetch(entry, digest));
          files.release(1);
          this.#bytes.release(bytes);
          this.#options.onProgress?.(this.result);
        });
      }
    }
  }

  async #fetch(entry: FolderEntry, digest: string): Promise<void> {
    if (this.interruption !== undefined) return;
    const { sftp, folder } = this.#options;
    try {
      const file = await sftp.readFile(`${folder}/${entry.name}`, MAX_MAIL_BYTES, entry.size);
      if (this.interruption !== undefined) return;
      this.result.downloaded += 1;
      this.result.bytes += file.length;
      this.#store(digest, file);
    } catch (error) {
      if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return;
      this.result.failed.push(asFailure(entry.name, error));
    }
    if (this.#options.maildir.stagedCount >= BATCH_FILES || this.#stagedBytes >= BATCH_BYTES) {
      const committed = this.#commit();
      if (this.#options.maildir.stagedCount >= MAX_STAGED) await committed;
    }
  }

  #store(digest: string, file: Buffer): void {
    const { identities, maildir, now } = this.#options;
    const { content, messageDigest, time } = openMail(identities, digest, file);
    const record = { time: now(), digest, messageDigest };
    if (messageDigest !== undefined && maildir.hasMessage(messageDigest, record.time)) {
      maildir.stage(record, undefined, time);
    } else {
      maildir.stage(record, content, time);
      this.#stagedBytes += content.length;
    }
  }

  /** Makes everything staged durable, batch after batch, then lets the server forget it. Never rejects. */
  #commit(): Promise<void> {
    this.#committing ??= this.#guard(async () => {
      const { maildir } = this.#options;
      do {
        this.#stagedBytes = 0;
        for (const { digest, isNew } of await maildir.commit()) {
          if (isNew) this.result.stored += 1;
          else this.result.duplicates += 1;
          this.#remove(digest);
        }
      } while (maildir.stagedCount >= BATCH_FILES);
    }).finally(() => {
      this.#committing = undefined;
    });
    return this.#committing;
  }

  #remove(digest: string): void {
    if (this.#options.keep) return;
    const { sftp, folder } = this.#options;
    const name = `${digest}.age`;
    track(this.#removals, () =>
      this.#guard(async () => {
        try {
          await sftp.remove(`${folder}/${name}`);
          this.result.deleted += 1;
        } catch (error) {
          if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return;
          this.result.failed.push(asFailure(name, error));
        }
      }),
    );
  }
}

/** Keeps a promise that never rejects in `set` until it settles. */
function track(set: Set<Promise<void>>, work: () => Promise<void>): void {
  const promise = work().finally(() => set.delete(promise));
  set.add(promise);
}

/** What is wrong with one file; any other error concerns them all and is thrown again. */
function asFailure(file: string, error: unknown): SyncFailure {
  const aboutOne =
    error instanceof SftpStatusError ||
    error instanceof VerifyError ||
    error instanceof PolicyError ||
    (error instanceof FormatError && error.code !== "SFTP");
  if (!aboutOne) throw error;
  return { file, code: error.code, message: error.message };
}
