/** Opens sealed files and stores what is inside, in batches: a promise for each file settles when it is durable. */

import type { Identity } from "#core/age/age.ts";
import type { Maildir } from "#host/maildir.ts";
import { openMail } from "./open-mail.ts";

/** Where `mailbox-sync.ts` brings its files. */
export interface Storage {
  /** Those of the digests that were never stored. */
  missing(digests: readonly string[]): Promise<string[]>;
  /**
   * Opens and stores a file; `file` belongs to the storage from here on.
   * @returns when it is durable: whether a message was stored, or was there before under another digest
   * @throws whatever `openMail` throws; HostError DISK
   */
  store(digest: string, file: Buffer): Promise<{ isNew: boolean }>;
  /** Stores now what waits for company. */
  flush(): void;
}

/** Each batch costs a few waits for the disk. */
const BATCH_FILES = 128;
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_WAIT_MS = 50;

interface Waiting {
  resolve(outcome: { isNew: boolean }): void;
  reject(error: unknown): void;
}

export class MailStore implements Storage {
  readonly #identities: readonly Identity[];
  readonly #maildir: Maildir;
  /** Unix seconds. */
  readonly #now: () => number;
  #waiting = new Map<string, Waiting>();
  #stagedBytes = 0;
  #committing = false;
  #hurry = false;
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;

  constructor(identities: readonly Identity[], maildir: Maildir, now: () => number) {
    this.#identities = identities;
    this.#maildir = maildir;
    this.#now = now;
  }

  async missing(digests: readonly string[]): Promise<string[]> {
    return digests.filter((digest) => !this.#maildir.knows(digest));
  }

  async store(digest: string, file: Buffer): Promise<{ isNew: boolean }> {
    if (this.#failure !== undefined) throw this.#failure;
    const { content, messageDigest, time } = openMail(this.#identities, digest, file);
    const record = { time: this.#now(), digest, messageDigest };
    const isNew = messageDigest === undefined || !this.#maildir.hasMessage(messageDigest, record.time);
    this.#maildir.stage(record, isNew ? content : undefined, time);
    this.#stagedBytes += isNew ? content.length : 0;
    const stored = new Promise<{ isNew: boolean }>((resolve, reject) => this.#waiting.set(digest, { resolve, reject }));
    this.#plan();
    return await stored;
  }

  flush(): void {
    this.#hurry = true;
    this.#plan();
  }

  /** A batch is due when it is large enough, or when nothing else comes. */
  #plan(): void {
    const count = this.#maildir.stagedCount;
    if (this.#committing || count === 0) return;
    if (this.#hurry || count >= BATCH_FILES || this.#stagedBytes >= BATCH_BYTES) void this.#commit();
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_WAIT_MS);
  }

  /** Never rejects: whoever waits for a file is told. */
  async #commit(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#committing = true;
    this.#hurry = false;
    this.#stagedBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    try {
      for (const { digest, isNew } of await this.#maildir.commit()) waiting.get(digest)?.resolve({ isNew });
      this.#committing = false;
      this.#plan();
    } catch (error) {
      // The Maildir is of no more use, so there will be no other commit.
      this.#failure = error;
      for (const each of [...waiting.values(), ...this.#waiting.values()]) each.reject(error);
    }
  }
}
