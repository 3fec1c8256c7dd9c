/** The other side of {@link Storekeeper}: takes orders, answers them in groups. */

import { isMainThread, type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Identity, parseIdentities } from "#core/age/age.ts";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { Maildir, type MaildirPlaces } from "#host/maildir.ts";
import { type KeyFile, opensMail } from "./identities.ts";
import { MailStore } from "./mail-store.ts";

export interface StorekeeperTask {
  kind: "storekeeper";
  keyFiles: KeyFile[];
  places: MaildirPlaces;
}

export type Order =
  | { do: "missing"; digests: string[] }
  | { do: "store"; digest: string; bytes: Uint8Array }
  | { do: "flush" }
  | { do: "close" };

export type Answer = { id: number; value: unknown } | { id: number; error: FrozenError };

/** An error in a form that passes between threads; they lose their class otherwise. */
export interface FrozenError {
  kind: keyof typeof KINDS | "other";
  code: string;
  message: string;
  hint: string | undefined;
}

const KINDS = { FormatError, VerifyError, PolicyError, HostError };

function freeze(error: unknown): FrozenError {
  for (const [kind, type] of Object.entries(KINDS)) {
    if (error instanceof type) {
      return { kind: kind as keyof typeof KINDS, code: error.code, message: error.message, hint: error.hint };
    }
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: "other", code: "", message, hint: undefined };
}

export function thaw({ kind, code, message, hint }: FrozenError): Error {
  if (kind === "other") return new Error(message);
  const type = KINDS[kind] as new (code: string, message: string, options: { hint: string | undefined }) => Error;
  return new type(code, message, { hint });
}

/** What a {@link Worker} has to run: this module, or the program that it was built into. */
export const STOREKEEPER_THREAD = new URL(import.meta.url);

class StorekeeperThread {
  readonly #port: MessagePort;
  readonly #task: StorekeeperTask;
  readonly #ready: Promise<{ maildir: Maildir; store: MailStore }>;
  readonly #orders: { id: number; order: Order }[] = [];
  #answers: Answer[] = [];

  private constructor(port: MessagePort, task: StorekeeperTask) {
    this.#port = port;
    this.#task = task;
    this.#ready = this.#open();
    // Every order tells whoever gave it.
    this.#ready.catch(() => undefined);
  }

  static serve(port: MessagePort, task: StorekeeperTask): void {
    const thread = new StorekeeperThread(port, task);
    port.on("message", (message: { id: number; order: Order }) => {
      if (thread.#orders.push(message) === 1) setImmediate(() => thread.#step());
    });
  }

  /** One order at a turn: between them the disk is heard, so that batches go on while mail keeps coming. */
  #step(): void {
    const next = this.#orders.shift();
    if (next !== undefined) void this.#take(next.id, next.order);
    if (this.#orders.length > 0) setImmediate(() => this.#step());
  }

  async #open(): Promise<{ maildir: Maildir; store: MailStore }> {
    const identities: Identity[] = [];
    for (const file of this.#task.keyFiles.filter(opensMail)) {
      identities.push(...parseIdentities(file.text, file.passphrase));
    }
    const maildir = await Maildir.open(this.#task.places);
    const now = unixTime;
    return { maildir, store: new MailStore(identities, maildir, now) };
  }

  async #take(id: number, order: Order): Promise<void> {
    try {
      const value = await this.#carryOut(order);
      this.#answer({ id, value });
    } catch (error) {
      this.#answer({ id, error: freeze(error) });
    }
  }

  async #carryOut(order: Order): Promise<unknown> {
    const { maildir, store } = await this.#ready;
    switch (order.do) {
      case "missing":
        return await store.missing(order.digests);
      case "store": {
        const { buffer, byteOffset, byteLength } = order.bytes;
        return await store.store(order.digest, Buffer.from(buffer, byteOffset, byteLength));
      }
      case "flush":
        store.flush();
        return undefined;
      case "close":
        maildir.close();
        return undefined;
      default:
        return order satisfies never;
    }
  }

  /** A whole batch becomes durable at once, and one message tells it. */
  #answer(answer: Answer): void {
    if (this.#answers.push(answer) > 1) return;
    setImmediate(() => {
      this.#port.postMessage(this.#answers, []);
      this.#answers = [];
    });
  }
}

if (!isMainThread && parentPort !== null && (workerData as StorekeeperTask | null)?.kind === "storekeeper") {
  StorekeeperThread.serve(parentPort, workerData as StorekeeperTask);
}
