/** Shows mailboxes on one `fetch` machine, for ever: what is new at once, every head in time. */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { FormatError, HostError } from "#core/errors.ts";
import { type NamedState, signHead } from "#core/mailbox/head.ts";
import { headOf } from "#core/mailbox/writer.ts";
import { SftpConnection, SftpStatusError } from "#host/sftp.ts";
import type { SshOptions } from "#host/ssh.ts";
import { look } from "./look.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { NamedStates } from "./named-states.ts";
import { publish, type Written } from "./publication.ts";
import { PublishQueue } from "./publish-queue.ts";
import type { Readiness } from "./readiness.ts";
import type { Signer } from "./signer.ts";

/** Mailboxes that are written at the same time: what one waits for, another uses. */
const WORKERS = 32;
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 5000;
const GOOD_MILLISECONDS = 10_000;
/** The same trouble is told again after so long. */
const TELL_AGAIN_MILLISECONDS = 600_000;

export interface PublisherOptions {
  readonly domain: string;
  readonly target: SshOptions;
  readonly mailboxes: Mailboxes;
  readonly signer: Signer;
  readonly states: NamedStates;
  readonly readiness: Readiness;
  /** Between two heads of a mailbox; each says that the next one comes within twice that time. */
  readonly heartbeatSeconds: number;
  /** Name of an account's folder; undefined once it is removed. */
  readonly nameOf: (account: string) => string | undefined;
  /** Version of the account that the machine has said it has. */
  readonly takenBy: (account: string) => number;
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

interface Connection {
  readonly sftp: SftpConnection;
  readonly mark: string;
  readonly written: Map<string, Written>;
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
    const connection = { sftp, mark: randomBytes(4).toString("hex"), written: new Map<string, Written>() };
    try {
      const ends = await Promise.allSettled(Array.from({ length: WORKERS }, () => this.#work(connection)));
      const fatal = ends.find((end) => end.status === "rejected");
      if (fatal !== undefined) throw fatal.reason;
    } finally {
      clearInterval(timer);
      this.#connected = false;
      sftp.kill();
    }
    return new HostError("NETWORK", "the connection that mailboxes are shown over has ended");
  }

  async #work(connection: Connection): Promise<void> {
    const { sftp, written } = connection;
    while (!sftp.lost && !this.#isClosed) {
      const account = await this.#queue.take();
      if (account === null) continue;
      try {
        await this.#show(connection, account);
        this.#queue.done(account, true);
      } catch (error) {
        written.delete(account);
        if (sftp.lost) {
          this.#queue.giveBack(account);
          return;
        }
        this.#queue.done(account, false);
        this.#takeFailure(account, error, sftp);
      }
    }
  }

  async #show({ sftp, mark, written }: Connection, account: string): Promise<void> {
    const { mailboxes, signer, states, domain, heartbeatSeconds } = this.#options;
    const name = this.#options.nameOf(account);
    if (name === undefined) return;
    const folder = `/${name}/ledger`;
    await this.#look(sftp, folder, account);
    const before = written.get(account) ?? null;
    if (before !== null && before.base === mailboxes.get(account)?.base.seq) mailboxes.prune(account);
    const mailbox = mailboxes.get(account);
    const list = signer.current;
    const now = mailboxes.now();
    if (mailbox === undefined) throw new Held("it was removed");
    if (list === null || !signer.maySign(now)) throw new Held("the operator has not listed this ledger's key");
    this.#stateOf(account, now);
    const head = (): Buffer => {
      const time = mailboxes.stamp();
      const state = this.#stateOf(account, time);
      states.note(account, state);
      return signHead(headOf(mailbox, domain, state, time, 2 * heartbeatSeconds), signer.key);
    };
    const { signed: signers } = list;
    written.set(account, await publish({ sftp, folder, mark, mailboxes, mailbox, signers, written: before, head }));
  }

  #stateOf(account: string, now: number): NamedState {
    const { states, takenBy } = this.#options;
    const state = states.nameable(account, takenBy(account), now);
    if (state === null) throw new Held("the machine has not taken the account's latest state yet");
    return state;
  }

  async #look(sftp: SftpConnection, folder: string, account: string): Promise<void> {
    const { mailboxes, signer, states, readiness, domain } = this.#options;
    const why = readiness.whyLost(account);
    if (why !== null) throw new Held(why);
    if (readiness.isReady(account)) return;
    const seen = await look(sftp, folder, mailboxes.get(account), domain, signer.current?.list ?? null);
    if (seen.kind === "lost") {
      readiness.setLost(account, seen.why);
      throw new Held(seen.why);
    }
    if (seen.kind === "new") mailboxes.create(account);
    else if (seen.head !== null) {
      mailboxes.raise(seen.head.time);
      states.note(account, seen.head.state);
    }
    readiness.setReady(account);
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

/** Not now, and nothing has failed. */
class Held extends Error {}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
