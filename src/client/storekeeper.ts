/**
 * A {@link MailStore} in a thread of its own: opening mail takes a processor, fetching it another. Started early, so that
 * it is ready when the login is done.
 */

import { Worker } from "node:worker_threads";
import type { MaildirPlaces } from "#host/maildir.ts";
import type { KeyFile } from "./identities.ts";
import type { Storage } from "./mail-store.ts";
import { type Answer, type Order, STOREKEEPER_THREAD, type StorekeeperTask, thaw } from "./storekeeper-thread.ts";

interface Waiting {
  resolve(value: never): void;
  reject(error: unknown): void;
}

export class Storekeeper implements Storage {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: unknown;

  private constructor(task: StorekeeperTask) {
    this.#worker = new Worker(STOREKEEPER_THREAD, { workerData: task });
    this.#worker.on("message", (answers: Answer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the storing thread ended")));
  }

  static start(keyFiles: readonly KeyFile[], places: MaildirPlaces): Storekeeper {
    return new Storekeeper({ kind: "storekeeper", keyFiles: [...keyFiles], places });
  }

  missing(digests: readonly string[]): Promise<string[]> {
    return this.#ask({ do: "missing", digests: [...digests] });
  }

  store(digest: string, file: Buffer): Promise<{ isNew: boolean }> {
    // Handed over, not copied, where the bytes are a piece of memory of their own.
    const whole = file.byteOffset === 0 && file.byteLength === file.buffer.byteLength;
    const bytes = whole ? file : new Uint8Array(file);
    return this.#ask({ do: "store", digest, bytes }, [bytes.buffer as ArrayBuffer]);
  }

  flush(): void {
    this.#worker.postMessage({ id: 0, order: { do: "flush" } }, []);
  }

  /** Waits until files are closed; what was not stored by now is forgotten. */
  async close(): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#ask({ do: "close" });
    } catch {
      // It never opened anything, and whoever gave it another order was told why.
    } finally {
      await this.#worker.terminate();
    }
  }

  #ask<T>(order: Order, transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, order }, transfer);
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(thaw(answer.error));
    else waiting?.resolve(answer.value as never);
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}
