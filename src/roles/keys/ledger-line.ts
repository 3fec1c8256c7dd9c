/** The ledger as shoal-keys sees it: somebody who comes, or does not, and answers. */

import type { AnswerFrame, AnswersFrame } from "#core/account/feed.ts";
import { FormatError, HostError } from "#core/errors.ts";
import type { FeedConnection } from "#host/feed-connection.ts";

interface Asked {
  readonly connection: FeedConnection<AnswersFrame>;
  readonly resolve: (answer: AnswerFrame) => void;
  readonly reject: (error: Error) => void;
}

export class LedgerLine {
  readonly #log: (text: string) => void;
  #connection: FeedConnection<AnswersFrame> | null = null;
  #number = 0;
  readonly #asked = new Map<number, Asked>();
  readonly #waiting = new Set<() => void>();

  constructor(log: (text: string) => void) {
    this.#log = log;
  }

  /** Runs one connection until it ends; a newer one takes its place. */
  async serve(connection: FeedConnection<AnswersFrame>): Promise<void> {
    this.#connection?.close(new FormatError("FEED", "a newer connection has come"));
    this.#connection = connection;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    try {
      for (let frames = await connection.next(); frames !== null; frames = await connection.next()) {
        for (const frame of frames) if (frame.kind === "answer") this.#take(frame, connection);
      }
    } catch (error) {
      this.#log(error instanceof Error ? error.message : String(error));
    } finally {
      if (this.#connection === connection) this.#connection = null;
      connection.close();
      const lost = new HostError("NETWORK", "the ledger has gone");
      for (const [number, asked] of this.#asked) {
        if (asked.connection !== connection) continue;
        this.#asked.delete(number);
        asked.reject(lost);
      }
    }
  }

  /** Resolves as soon as there is a connection. */
  async up(): Promise<void> {
    if (this.#connection !== null) return;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  get isUp(): boolean {
    return this.#connection !== null;
  }

  /** @throws HostError NETWORK when the connection ends before the answer comes; the ledger may have judged it */
  async ask(name: string, signed: Buffer): Promise<AnswerFrame> {
    const connection = this.#connection;
    if (connection === null) throw new HostError("NETWORK", "the ledger is not there");
    const number = ++this.#number;
    return await new Promise<AnswerFrame>((resolve, reject) => {
      this.#asked.set(number, { connection, resolve, reject });
      connection.send({ kind: "proposal", number, name, signed }).catch(reject);
    });
  }

  #take(frame: AnswerFrame, connection: FeedConnection<AnswersFrame>): void {
    const asked = this.#asked.get(frame.number);
    if (asked?.connection !== connection) throw new FormatError("FEED", "feed: an answer to what was not asked");
    this.#asked.delete(frame.number);
    asked.resolve(frame);
  }
}
