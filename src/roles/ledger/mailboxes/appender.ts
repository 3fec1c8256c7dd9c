/** Deliveries of all connections: what waits at the same time shares one way to the disk, and is answered behind it. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import type { AppendAnswer, AppendRequest } from "#core/mailbox/append-frames.ts";
import type { Mailboxes } from "./mailboxes.ts";

/** Enough to share an fsync, few enough that publishers get their turn. */
const MAX_BATCH = 256;
/** So long a request waits for its mailbox to be looked at. */
const MAX_WAIT_MILLISECONDS = 20_000;

/** Why a mailbox takes nothing now; see docs/formats/mailbox-append.md. */
export interface Refusal {
  readonly code: "UNKNOWN-ACCOUNT" | "LOST";
  readonly text: string;
}

interface Waiting {
  readonly request: AppendRequest;
  readonly answer: (answer: AppendAnswer) => void;
}

export interface AppenderOptions {
  readonly mailboxes: Mailboxes;
  /** How long files are kept from their delivery on. */
  readonly keepForSeconds: number;
  /** "ready", or what is to be waited for ("wait"), or why not. */
  readonly readiness: (account: string) => "ready" | "wait" | Refusal;
  /** Gets the accounts whose mailboxes may have grown, when that is durable. */
  readonly tell: (accounts: ReadonlySet<string>) => void;
  /** Called when memory and disk may not be the same any more: only a new start helps. */
  readonly die: (error: unknown) => void;
}

export class Appender {
  readonly #options: AppenderOptions;
  #waiting: Waiting[] = [];
  /** Those whose mailbox is not ready yet, by account. */
  readonly #parked = new Map<string, Waiting[]>();
  #isRunning = false;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** @param answer called once, when what it says is durable */
  ask(request: AppendRequest, answer: (answer: AppendAnswer) => void): void {
    this.#waiting.push({ request, answer });
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run().catch(this.#options.die);
  }

  /** A mailbox has become ready, or will not. */
  settled(account: string): void {
    const parked = this.#parked.get(account);
    if (parked === undefined) return;
    this.#parked.delete(account);
    for (const { request, answer } of parked) this.ask(request, answer);
  }

  async #run(): Promise<void> {
    for (;;) {
      // Whatever has come by now goes with it.
      await nextTurn();
      const batch = this.#waiting.slice(0, MAX_BATCH);
      this.#waiting = this.#waiting.slice(MAX_BATCH);
      if (batch.length === 0) break;
      const ready = batch.filter((waiting) => this.#isReady(waiting));
      if (ready.length > 0) this.#answer(ready);
    }
    this.#isRunning = false;
  }

  #isReady(waiting: Waiting): boolean {
    const { tag, account } = waiting.request;
    const readiness = this.#options.readiness(account);
    if (readiness === "ready") return true;
    if (readiness === "wait") this.#park(account, waiting);
    else waiting.answer({ kind: "refused", tag, ...readiness });
    return false;
  }

  #park(account: string, waiting: Waiting): void {
    const parked = this.#parked.get(account) ?? [];
    parked.push(waiting);
    this.#parked.set(account, parked);
    setTimeout(() => {
      const at = parked.indexOf(waiting);
      if (at < 0 || this.#parked.get(account) !== parked) return;
      parked.splice(at, 1);
      const text = "the machine that keeps this mailbox could not be asked yet";
      waiting.answer({ kind: "refused", tag: waiting.request.tag, code: "WAIT", text });
    }, MAX_WAIT_MILLISECONDS).unref();
  }

  #answer(batch: readonly Waiting[]): void {
    const { mailboxes, keepForSeconds, tell } = this.#options;
    let answers: AppendAnswer[];
    try {
      answers = mailboxes.answer(
        batch.map(({ request }) => request),
        keepForSeconds,
      );
    } catch (error) {
      // Without room nothing has changed. After any other trouble nobody knows what the disk has.
      if (!(error instanceof HostError) || error.code !== "FULL") throw error;
      for (const { request, answer } of batch) {
        answer({ kind: "refused", tag: request.tag, code: "DISK", text: "the ledger's disk is full" });
      }
      return;
    }
    const changed = new Set<string>();
    for (const [index, { request, answer }] of batch.entries()) {
      const said = answers[index];
      if (said === undefined) continue;
      answer(said);
      if (request.kind === "append") changed.add(request.account);
    }
    tell(changed);
  }
}
