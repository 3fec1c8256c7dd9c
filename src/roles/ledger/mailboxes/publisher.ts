/** Shows mailboxes on one `fetch` machine, for ever: what is new at once, every head in time. */

import { setTimeout as sleep } from "node:timers/promises";
import { FormatError, HostError } from "#core/errors.ts";
import { SftpConnection, SftpStatusError } from "#host/sftp.ts";
import type { SshOptions } from "#host/ssh.ts";
import { PublishQueue } from "./publish-queue.ts";
import { Held, Showing, type ShowingOptions } from "./showing.ts";

/** Mailboxes that are written at the same time: what one waits for, another uses. */
const WORKERS = 32;
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 5000;
const GOOD_MILLISECONDS = 10_000;
/** The same trouble is told again after so long. */
const TELL_AGAIN_MILLISECONDS = 600_000;

export interface PublisherOptions extends ShowingOptions {
  readonly target: SshOptions;
  readonly log: (text: string) => void;
}

export interface PublisherStatus {
  readonly connected: boolean;
  readonly mailboxes: number;
  /** Mailboxes with something to be written. */
  readonly pending: number;
  /** Those of them whose last try failed, or may not be written yet. */
  readonly failed: number;
  readonly lastFailure: { readonly account: string; readonly text: string; readonly time: number } | null;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #queue: PublishQueue;
  #connected = false;
  #lastFailure: PublisherStatus["lastFailure"] = null;
  #told = { text: "", at: 0 };
  #isClosed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#queue = new PublishQueue(options.heartbeatSeconds);
  }

  add(account: string): void {
    this.#queue.add(account);
  }

  remove(account: string): void {
    this.#queue.remove(account);
  }

  /** There is something new of this mailbox. */
  note(account: string): void {
    this.#queue.note(account);
  }

  noteAll(): void {
    for (const account of this.#queue.members()) this.#queue.note(account);
  }

  get status(): PublisherStatus {
    const { size, pending, failed } = this.#queue;
    return {
      connected: this.#connected,
      mailboxes: size,
      pending: Math.max(pending, failed),
      failed,
      lastFailure: this.#lastFailure,
    };
  }

  /** Runs until {@link close}. @throws HostError DISK, when the ledger's own disk fails */
  async run(): Promise<void> {
    let pause = FIRST_PAUSE_MILLISECONDS;
    while (!this.#isClosed) {
      const started = performance.now();
      const error = await this.#serveOnce();
      if (this.#isClosed) return;
      this.#tell(error.message);
      if (performance.now() - started > GOOD_MILLISECONDS) pause = FIRST_PAUSE_MILLISECONDS;
      await sleep(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MILLISECONDS);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#queue.close();
  }

  /** One connection until it ends. @returns why */
  async #serveOnce(): Promise<Error> {
    let sftp: SftpConnection;
    try {
      sftp = await SftpConnection.open(this.#options.target);
    } catch (error) {
      return asError(error);
    }
    this.#connected = true;
    this.#queue.noteOverdue();
    const timer = setInterval(() => {
      this.#queue.tick();
      if (sftp.lost || this.#isClosed) this.#queue.wakeAll();
    }, 1000);
    const showing = new Showing(this.#options, sftp);
    try {
      const ends = await Promise.allSettled(Array.from({ length: WORKERS }, () => this.#work(sftp, showing)));
      const fatal = ends.find((end) => end.status === "rejected");
      if (fatal !== undefined) throw fatal.reason;
    } finally {
      clearInterval(timer);
      this.#connected = false;
      sftp.kill();
    }
    return new HostError("NETWORK", "the connection that mailboxes are shown over has ended");
  }

  async #work(sftp: SftpConnection, showing: Showing): Promise<void> {
    while (!sftp.lost && !this.#isClosed) {
      const account = await this.#queue.take();
      if (account === null) continue;
      try {
        await showing.show(account);
        this.#queue.done(account, true);
      } catch (error) {
        if (sftp.lost) {
          this.#queue.giveBack(account);
          return;
        }
        this.#queue.done(account, false);
        this.#takeFailure(account, error, sftp);
      }
    }
  }

  #takeFailure(account: string, error: unknown, sftp: SftpConnection): void {
    const { readiness, mailboxes } = this.#options;
    const isOurs = error instanceof Held || error instanceof SftpStatusError;
    if (!isOurs && error instanceof FormatError && error.code === "STORE") readiness.setLost(account, error.message);
    else if (!isOurs && !(error instanceof HostError && error.code === "FULL")) {
      // Nobody knows what our own disk has now, or what this program does.
      sftp.kill();
      throw error;
    }
    const { message: text } = asError(error);
    this.#lastFailure = { account, text, time: mailboxes.now() };
    this.#tell(`mailbox of "${account}": ${text}`);
  }

  /** The same words once in a while. */
  #tell(text: string): void {
    const now = performance.now();
    const kind = text.replace(/"[^"]*"/g, "");
    if (kind === this.#told.text && now - this.#told.at < TELL_AGAIN_MILLISECONDS) return;
    this.#told = { text: kind, at: now };
    this.#options.log(text);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
