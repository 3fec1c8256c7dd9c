/** One connection to the ledger, on which deliveries are asked about and listed (docs/formats/mailbox-append.md). */

import type { Readable, Writable } from "node:stream";
import { FormatError, HostError } from "#core/errors.ts";
import {
  APPEND_HELLO,
  type AppendAnswer,
  AppendReader,
  type AppendRequest,
  MAX_APPENDS_OPEN,
  parseAppendAnswer,
  printAppendRequest,
} from "#core/mailbox/append-frames.ts";

/** A request as its asker knows it. */
export type AppendQuestion = AppendRequest extends infer Each
  ? Each extends AppendRequest
    ? Omit<Each, "tag">
    : never
  : never;

/** A ledger that owes an answer for so long is asked again on another connection. */
const SILENCE_MILLISECONDS = 60_000;

export class AppendConnection<Asker extends { readonly question: AppendQuestion }> {
  readonly #streams: { readonly readable: Readable; readonly writable: Writable };
  readonly #onAnswer: (asker: Asker, answer: AppendAnswer) => void;
  readonly #open = new Map<number, Asker>();
  #waiting: Asker[] = [];
  #lines: string[] = [];
  #nextTag = 0;
  #heardAt = 0;
  #isUp = false;

  /** @param onAnswer gets the answer to each question, once */
  constructor(
    streams: { readonly readable: Readable; readonly writable: Writable },
    onAnswer: (asker: Asker, answer: AppendAnswer) => void,
  ) {
    this.#streams = streams;
    this.#onAnswer = onAnswer;
  }

  /** True once the ledger has greeted. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Asks; what is asked at the same moment leaves in one write. */
  ask(asker: Asker): void {
    this.#waiting.push(asker);
    this.#pump();
  }

  /** What was asked and not answered, in no order. */
  get unanswered(): Asker[] {
    return [...this.#open.values(), ...this.#waiting];
  }

  /**
   * Runs the connection until it ends.
   * @throws HostError NETWORK when it has ended, or the ledger has not answered for a minute; FormatError APPEND
   */
  async run(): Promise<never> {
    const { readable, writable } = this.#streams;
    const reader = new AppendReader(parseAppendAnswer);
    const watch = setInterval(() => {
      const isSilent = this.#open.size > 0 && performance.now() - this.#heardAt > SILENCE_MILLISECONDS;
      if (isSilent) readable.destroy(new HostError("NETWORK", "the ledger does not answer any more"));
    }, SILENCE_MILLISECONDS / 4);
    // A broken pipe is told by the end of what is read.
    writable.on("error", () => readable.destroy());
    try {
      writable.write(`${APPEND_HELLO}\n`);
      for await (const chunk of readable as AsyncIterable<Buffer>) {
        this.#heardAt = performance.now();
        for (const answer of reader.push(chunk)) this.#take(answer);
        this.#isUp = reader.isGreeted;
        this.#pump();
      }
      throw new HostError("NETWORK", "the ledger has ended the connection");
    } catch (error) {
      if (error instanceof HostError || error instanceof FormatError) throw error;
      throw new HostError("NETWORK", "the connection to the ledger is lost", { cause: error });
    } finally {
      this.#isUp = false;
      clearInterval(watch);
    }
  }

  #take(answer: AppendAnswer): void {
    const asker = this.#open.get(answer.tag);
    if (asker === undefined || (answer.kind === "lack" && asker.question.kind !== "known")) {
      throw new FormatError("APPEND", `append: "${answer.kind} ${answer.tag}" answers nothing that was asked`);
    }
    this.#open.delete(answer.tag);
    this.#onAnswer(asker, answer);
  }

  #pump(): void {
    if (!this.#isUp) return;
    const asked = this.#waiting.splice(0, MAX_APPENDS_OPEN - this.#open.size);
    if (asked.length === 0) return;
    if (this.#open.size === 0) this.#heardAt = performance.now();
    if (this.#lines.length === 0) {
      setImmediate(() => {
        this.#streams.writable.write(this.#lines.join(""), "latin1");
        this.#lines = [];
      });
    }
    for (const asker of asked) {
      this.#nextTag += 1;
      this.#open.set(this.#nextTag, asker);
      this.#lines.push(printAppendRequest({ ...asker.question, tag: this.#nextTag }));
    }
  }
}
