/**
 * Follows one mailbox for as long as it runs: looks every few seconds over one kept connection, has a round done when there is
 * something new, and comes back after whatever ends the connection. No two watchers beat in time.
 */

import { HostError } from "#core/errors.ts";
import type { Looker, LookingSftp, Sight } from "./look.ts";

export interface WatchedConnection extends LookingSftp {
  kill(): void;
}

export interface WatcherParts {
  readonly connect: () => Promise<WatchedConnection>;
  readonly looker: Pick<Looker, "look">;
  /** One round of fetching. @returns false if it has to be done again soon. Never rejects. */
  readonly round: () => Promise<boolean>;
  /** Hears what becomes of the connection. */
  readonly tell: (event: WatchEvent) => void;
  /** Between two looks, on the average. */
  readonly everySeconds: number;
  readonly clock: WatchClock;
}

export type WatchEvent =
  | { readonly kind: "connected" }
  | { readonly kind: "lost"; readonly error: unknown; readonly againInSeconds: number };

export interface WatchClock {
  /** Milliseconds that go on while the computer sleeps. */
  now(): number;
  /** Ends early when the watcher is to end. */
  sleep(milliseconds: number): Promise<void>;
  /** 0 to 1. */
  random(): number;
}

/** A round is done at least so often: what a look can't see, an audit can. */
export const ROUND_SECONDS = 3600;
const AGAIN_SECONDS = 20;
const ANSWER_SECONDS = 20;
const FIRST_BACKOFF_SECONDS = 2;
const MAX_BACKOFF_SECONDS = 120;
/** As long as clocks may differ, behind the time of the next head. */
const STALE_AFTER_SECONDS = 600;
/** A pause that took so much longer than it should have was the computer's sleep. */
const SLEPT_SECONDS = 10;

export class Watcher {
  readonly #parts: WatcherParts;
  /** What the last round that succeeded was about; null before the first. */
  #done: string | null = null;
  #roundAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** The head that was told to be late. */
  #late: number | null = null;
  #ended = false;

  constructor(parts: WatcherParts) {
    this.#parts = parts;
  }

  /** Ends {@link run} at its next step. */
  end(): void {
    this.#ended = true;
  }

  /** Until {@link end}. */
  async run(): Promise<void> {
    const { clock, tell } = this.#parts;
    for (let failures = 0; !this.#ended; ) {
      try {
        await this.#follow(() => {
          failures = 0;
        });
      } catch (error) {
        if (this.#ended) return;
        const limit = Math.min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** Math.min(failures, 10));
        // After a restart of the server all its watchers come back: spread over the whole time, and never at once.
        const againInSeconds = error instanceof Slept ? 0 : Math.ceil(limit * (0.25 + 0.75 * clock.random()));
        failures += 1;
        tell({ kind: "lost", error, againInSeconds });
        await clock.sleep(againInSeconds * 1000);
      }
    }
  }

  async #follow(whenSeen: () => void): Promise<void> {
    const { connect, looker, tell } = this.#parts;
    const sftp = await connect();
    try {
      for (let isFirst = true; !this.#ended; isFirst = false) {
        const sight = await this.#inTime(looker.look(sftp));
        if (isFirst) {
          whenSeen();
          tell({ kind: "connected" });
        }
        if (this.#needsRound(sight)) await this.#doRound(sight);
        if (this.#ended) return;
        await this.#pause();
      }
    } finally {
      sftp.kill();
    }
  }

  /** A connection that is dead without knowing it answers nothing. */
  async #inTime(look: Promise<Sight>): Promise<Sight> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new HostError("TIMEOUT", `the server did not answer for ${ANSWER_SECONDS} s`)),
        ANSWER_SECONDS * 1000,
      );
    });
    try {
      return await Promise.race([look, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #needsRound({ news, next }: Sight): boolean {
    const now = this.#parts.clock.now();
    if (now - this.#failedAt < AGAIN_SECONDS * 1000) return false;
    if (news !== this.#done || now - this.#roundAt >= ROUND_SECONDS * 1000) return true;
    // A round tells that no fresh head comes; once for each head.
    return next !== null && next !== this.#late && now > (next + STALE_AFTER_SECONDS) * 1000;
  }

  async #doRound({ news, next }: Sight): Promise<void> {
    const { round, clock } = this.#parts;
    if (!(await round())) {
      this.#failedAt = clock.now();
      return;
    }
    this.#done = news;
    this.#roundAt = clock.now();
    if (next !== null && this.#roundAt > (next + STALE_AFTER_SECONDS) * 1000) this.#late = next;
  }

  async #pause(): Promise<void> {
    const { clock, everySeconds } = this.#parts;
    const milliseconds = everySeconds * 1000 * (0.75 + 0.5 * clock.random());
    const start = clock.now();
    await clock.sleep(milliseconds);
    if (clock.now() - start - milliseconds > SLEPT_SECONDS * 1000) throw new Slept();
  }
}

/** The computer slept; the connection did not live through that, or will be found dead after minutes. */
export class Slept extends HostError {
  constructor() {
    super("NETWORK", "this computer has slept");
  }
}
