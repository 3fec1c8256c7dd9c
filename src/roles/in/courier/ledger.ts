/** The ledger as the courier sees it: what is in a mailbox's list already, and where what was deposited gets listed. */

import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import type { Envelope } from "#core/mail/envelopes.ts";
import type { AppendAnswer } from "#core/mailbox/append-frames.ts";
import { linkOptions, startSubsystem } from "#host/ssh.ts";
import { classifySshEnd } from "#host/ssh-failure.ts";
import type { LedgerConfig } from "../config.ts";
import { AppendConnection, type AppendQuestion } from "./append-connection.ts";

/** What the ledger has to know of a sealed mail. */
export type Listed = Pick<Envelope, "account" | "file" | "sha256" | "version">;

const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 1000;
/** Before what was refused is asked again: a full disk, an account that the ledger has yet to hear of. */
const REFUSED_PAUSE_MILLISECONDS = 5000;
/** Deposits that may wait for the ledger, some 300 bytes each; of what is forgotten smtpd reminds us. */
const MAX_PENDING = 200_000;
/** The same trouble is told again after so long. */
const TELL_AGAIN_MILLISECONDS = 600_000;

interface Asker {
  readonly question: AppendQuestion;
  /** False once nobody listens to the answer. */
  isWanted: boolean;
  readonly answered: (answer: AppendAnswer) => void;
}

/** A deposit that is not listed yet, and who waits for that. */
interface Pending extends Asker {
  waiting: { resolve: () => void; reject: (error: HostError) => void }[];
}

export class Ledger {
  readonly #config: LedgerConfig;
  readonly #log: (text: string) => void;
  /** What is asked while there is no connection waits for the next. */
  #waiting: Asker[] = [];
  #connection: AppendConnection<Asker> | null = null;
  /** By account and digest. */
  readonly #pending = new Map<string, Pending>();

  constructor(config: LedgerConfig, log: (text: string) => void) {
    this.#config = config;
    this.#log = log;
  }

  get isUp(): boolean {
    return this.#connection?.isUp === true;
  }

  /** Deposits that wait to be listed. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Whether a mail is in its mailbox's list already: then it was deposited once, and its owner may have removed it since.
   * @param deadline milliseconds as `Date.now`
   * @throws HostError NETWORK when the ledger has not answered by then; HostError BUSY when it can't tell now
   */
  async isKnown({ account, sha256 }: Listed, deadline: number): Promise<boolean> {
    return await new Promise((resolve, reject) => {
      const asker: Asker = {
        question: { kind: "known", account, digest: sha256 },
        isWanted: true,
        answered: (answer) => {
          clearTimeout(timer);
          if (answer.kind === "refused") reject(refusal(answer));
          else resolve(answer.kind === "have");
        },
      };
      const timer = setTimeout(() => {
        asker.isWanted = false;
        reject(tooLate());
      }, deadline - Date.now());
      this.#ask(asker);
    });
  }

  /**
   * Has a deposit listed. Once called it goes on until the deposit is listed, whoever waits for it.
   * @param deadline milliseconds as `Date.now`
   * @throws HostError NETWORK when it is not listed by then; HostError BUSY when the ledger refuses it for now
   */
  async append({ account, sha256, file, version }: Listed, deadline: number): Promise<void> {
    const key = `${account} ${sha256}`;
    const size = file.length;
    const pending = this.#pending.get(key) ?? this.#begin(key, { account, digest: sha256, size, version });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.waiting = pending.waiting.filter((each) => each !== waiter);
        reject(tooLate());
      }, deadline - Date.now());
      const waiter = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error: HostError) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      pending.waiting.push(waiter);
    });
  }

  #begin(key: string, mail: { account: string; digest: string; size: number; version: number }): Pending {
    const pending: Pending = {
      question: { kind: "append", ...mail },
      isWanted: true,
      waiting: [],
      answered: (answer) => {
        const waiting = pending.waiting;
        pending.waiting = [];
        if (answer.kind !== "refused") {
          this.#pending.delete(key);
          for (const { resolve } of waiting) resolve();
          return;
        }
        for (const { reject } of waiting) reject(refusal(answer));
        // Forgotten meanwhile, or else asked again.
        const again = (): void => {
          if (pending.isWanted) this.#ask(pending);
        };
        setTimeout(again, REFUSED_PAUSE_MILLISECONDS);
      },
    };
    this.#pending.set(key, pending);
    if (this.#pending.size > MAX_PENDING) this.#forgetOldest();
    this.#ask(pending);
    return pending;
  }

  #forgetOldest(): void {
    const [oldest] = this.#pending;
    if (oldest === undefined) return;
    const [key, pending] = oldest;
    this.#pending.delete(key);
    pending.isWanted = false;
    for (const { reject } of pending.waiting) reject(tooLate());
  }

  #ask(asker: Asker): void {
    if (this.#connection === null) this.#waiting.push(asker);
    else this.#connection.ask(asker);
  }

  /** Keeps a connection for ever; whatever goes wrong is told once and tried again. */
  async keep(): Promise<never> {
    let pause = FIRST_PAUSE_MILLISECONDS;
    let told = "";
    let toldAt = 0;
    for (;;) {
      const { error, wasUp } = await this.#runOnce();
      const now = performance.now();
      if (wasUp) pause = FIRST_PAUSE_MILLISECONDS;
      if (error.message !== told || now - toldAt > TELL_AGAIN_MILLISECONDS) {
        this.#log(`ledger: ${error.message}; ${this.#pending.size} deposits wait for it`);
        told = error.message;
        toldAt = now;
      }
      await sleep(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MILLISECONDS);
    }
  }

  async #runOnce(): Promise<{ error: Error; wasUp: boolean }> {
    const target = linkOptions(this.#config);
    const ssh = startSubsystem(target, null);
    const ended = ssh.ended.catch(asError);
    let wasUp = false;
    const connection = new AppendConnection<Asker>({ readable: ssh.stdout, writable: ssh.stdin }, (asker, answer) => {
      wasUp = true;
      asker.answered(answer);
    });
    this.#connection = connection;
    for (const asker of this.#waiting) if (asker.isWanted) connection.ask(asker);
    this.#waiting = [];
    let failure = await connection.run().catch(asError);
    this.#connection = null;
    this.#waiting = [...this.#waiting, ...connection.unanswered];
    ssh.kill();
    ssh.stdout.destroy();
    ssh.stdin.destroy();
    const end = await ended;
    if (end instanceof Error) failure = end;
    // What the connection complains of is only what follows when ssh says why it has ended by itself.
    else if (failure instanceof HostError && end.stderr !== "") failure = classifySshEnd(target, end, false);
    return { error: failure, wasUp };
  }
}

function refusal({ code, text }: AppendAnswer & { kind: "refused" }): HostError {
  return new HostError("BUSY", `the ledger refuses with ${code}: ${text}`);
}

function tooLate(): HostError {
  return new HostError("NETWORK", "the ledger does not answer");
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
