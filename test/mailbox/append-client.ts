/** A courier's connection to the ledger, made again when it ends; what was not answered is asked again. */

import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  APPEND_HELLO,
  type AppendAnswer,
  AppendReader,
  type AppendRequest,
  parseAppendAnswer,
  printAppendRequest,
} from "#core/mailbox/append-frames.ts";

/** A request without its tag. */
export type Ask =
  | { readonly kind: "known"; readonly account: string; readonly digest: string }
  | {
      readonly kind: "append";
      readonly account: string;
      readonly digest: string;
      readonly size: number;
      readonly version: number;
    };

interface Open {
  readonly request: AppendRequest;
  readonly answer: (answer: AppendAnswer) => void;
}

export class AppendClient {
  readonly #path: string;
  readonly #open = new Map<number, Open>();
  #socket: Socket | null = null;
  #tag = 0;
  #isClosed = false;
  /** Requests that were sent again to another life of the ledger. */
  repeated = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async ask(ask: Ask): Promise<AppendAnswer> {
    const tag = ++this.#tag;
    const request: AppendRequest = { ...ask, tag };
    return await new Promise((answer) => {
      this.#open.set(tag, { request, answer });
      if (this.#socket === null) this.#connect();
      else if (this.#socket.writable) this.#socket.write(printAppendRequest(request));
    });
  }

  /** Until it is in the chain; gives its number. */
  async append(mail: { account: string; digest: string; size: number; version: number }): Promise<number> {
    for (;;) {
      const answer = await this.ask({ kind: "append", ...mail });
      if (answer.kind === "have") return answer.seq;
      await sleep(50);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = createConnection(this.#path);
    const reader = new AppendReader(parseAppendAnswer);
    this.#socket = socket;
    socket.on("connect", () => {
      socket.write(`${APPEND_HELLO}\n`);
      for (const { request } of this.#open.values()) socket.write(printAppendRequest(request));
    });
    socket.on("data", (chunk: Buffer) => {
      for (const answer of reader.push(chunk)) {
        this.#open.get(answer.tag)?.answer(answer);
        this.#open.delete(answer.tag);
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (this.#isClosed) return;
      this.repeated += this.#open.size;
      setTimeout(() => this.#connect(), 30);
    });
  }
}
