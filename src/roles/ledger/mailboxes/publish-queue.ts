/**
 * Which mailbox is written next on one machine. Those with something new go first; all others come once in an interval, each at its
 * own second of it, so that a hundred thousand of them are a steady trickle. One mailbox is never given out twice at a time.
 */

import { createHash } from "node:crypto";
import { Fifo } from "./fifo.ts";

/** A mailbox that mail pours into is written so often at most. */
const COOLING_MILLISECONDS = 200;
/** What failed is tried again after so long, and later where much fails. */
const RETRY_MILLISECONDS = 5000;
const RETRY_EACH_MILLISECONDS = 20;

export class PublishQueue {
  readonly #intervalSeconds: number;
  readonly #slots: readonly Set<string>[];
  readonly #members = new Set<string>();
  readonly #urgent = new Fifo();
  readonly #regular = new Fifo();
  /** Given out, or given back just now. */
  readonly #resting = new Set<string>();
  /** Of those that rest: they were noted meanwhile. */
  readonly #noted = new Set<string>();
  readonly #failed = new Set<string>();
  /** When they were written last, in seconds of `performance.now()`. */
  readonly #written = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #second = seconds();
  #wake: (() => void)[] = [];

  constructor(intervalSeconds: number) {
    this.#intervalSeconds = intervalSeconds;
    this.#slots = Array.from({ length: intervalSeconds }, () => new Set<string>());
  }

  get size(): number {
    return this.#members.size;
  }

  has(account: string): boolean {
    return this.#members.has(account);
  }

  members(): Iterable<string> {
    return this.#members;
  }

  /** Those that wait to be written, or are being written with something new behind it. */
  get pending(): number {
    return this.#urgent.size + this.#regular.size + this.#noted.size;
  }

  /** Those whose last try failed. */
  get failed(): number {
    return this.#failed.size;
  }

  add(account: string): void {
    if (this.#members.has(account)) return;
    this.#members.add(account);
    this.#slotOf(account).add(account);
    this.#queue(account, this.#regular);
  }

  remove(account: string): void {
    this.#slotOf(account).delete(account);
    for (const set of [this.#urgent, this.#regular]) set.delete(account);
    for (const set of [this.#members, this.#noted, this.#failed]) set.delete(account);
    this.#written.delete(account);
  }

  /** There is something new to write. */
  note(account: string): void {
    if (!this.#members.has(account)) return;
    if (this.#resting.has(account)) this.#noted.add(account);
    else this.#queue(account, this.#urgent);
  }

  /** All that were not written for an interval, or never: what was missed while nothing could be written. */
  noteOverdue(): void {
    const now = seconds();
    for (const account of this.#members) {
      const written = this.#written.get(account);
      if (written === undefined || now - written >= this.#intervalSeconds) this.#queue(account, this.#regular);
    }
  }

  /** To be called about once a second: those whose second it is. */
  tick(): void {
    const now = seconds();
    const from = Math.max(this.#second + 1, now - this.#intervalSeconds + 1);
    for (let second = from; second <= now; second++) {
      for (const account of this.#slots[second % this.#intervalSeconds] ?? []) {
        // Twice in one interval is for nothing.
        if (now - (this.#written.get(account) ?? 0) >= this.#intervalSeconds / 2) this.#queue(account, this.#regular);
      }
    }
    this.#second = now;
  }

  /** The next one; it rests until it is given back. Waits for ever, or until {@link wakeAll}. */
  async take(): Promise<string | null> {
    const account = this.#urgent.take() ?? this.#regular.take();
    if (account !== undefined) {
      this.#urgent.delete(account);
      this.#regular.delete(account);
      this.#resting.add(account);
      return account;
    }
    await new Promise<void>((resolve) => this.#wake.push(resolve));
    return null;
  }

  /** Gives one back. */
  done(account: string, isWritten: boolean): void {
    if (isWritten) {
      this.#written.set(account, seconds());
      this.#failed.delete(account);
    } else if (this.#members.has(account)) this.#failed.add(account);
    this.#later(COOLING_MILLISECONDS, () => {
      this.#resting.delete(account);
      if (this.#noted.delete(account) && isWritten) this.note(account);
    });
    if (isWritten) return;
    this.#later(RETRY_MILLISECONDS + this.#failed.size * RETRY_EACH_MILLISECONDS, () => {
      if (this.#members.has(account)) this.#queue(account, this.#regular);
    });
  }

  /** Gives one back untouched: its machine has gone. */
  giveBack(account: string): void {
    this.#resting.delete(account);
    this.#noted.delete(account);
    if (this.#members.has(account)) this.#queue(account, this.#urgent);
  }

  /** Lets everybody who waits look again. */
  wakeAll(): void {
    const woken = this.#wake;
    this.#wake = [];
    for (const wake of woken) wake();
  }

  /** Forgets what is planned. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.wakeAll();
  }

  #queue(account: string, set: Fifo): void {
    if (this.#resting.has(account)) {
      this.#noted.add(account);
      return;
    }
    set.add(account);
    this.#wake.shift()?.();
  }

  #later(milliseconds: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, milliseconds);
    timer.unref();
    this.#timers.add(timer);
  }

  #slotOf(account: string): Set<string> {
    const number = createHash("sha256").update(account).digest().readUInt32BE(0);
    const slot = this.#slots[number % this.#intervalSeconds];
    if (slot === undefined) throw new RangeError("no such slot");
    return slot;
  }
}

/** Of a clock that only goes forward. */
function seconds(): number {
  return Math.floor(performance.now() / 1000);
}
