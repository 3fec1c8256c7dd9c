/** Bytes of a connection, read on demand: what is not asked for stays with the kernel, where it is bounded. */

import type { Socket } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";

const LF = 0x0a;
const nothing: Buffer = Buffer.alloc(0);

/** Times are milliseconds as `Date.now`. Everything throws HostError TIMEOUT, and NETWORK when the connection breaks. */
export class RelayInput {
  readonly #socket: Socket;
  #rest: Buffer = nothing;
  #ended = false;
  #broken: HostError | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const broke = (cause?: Error): void => {
      this.#broken ??= new HostError("NETWORK", "the connection broke", { cause });
      this.#wake();
    };
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", broke);
    socket.on("close", () => broke());
  }

  /** What is there, at least a byte; null at the end. */
  async chunk(deadline: number): Promise<Buffer | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = nothing;
      return rest;
    }
    for (;;) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.#ended) return null;
      if (this.#broken !== undefined) throw this.#broken;
      await this.#event(deadline);
    }
  }

  /** @throws FormatError FEED at the end */
  async bytes(count: number, deadline: number): Promise<Buffer> {
    const all = await this.#gather(deadline, (bytes) => (bytes.length >= count ? count : null));
    this.#rest = all.subarray(count);
    return all.subarray(0, count);
  }

  /** One line without its LF. @throws FormatError FEED if it is longer, or without an end */
  async line(maxBytes: number, deadline: number): Promise<Buffer> {
    const all = await this.#gather(deadline, (bytes) => {
      const end = bytes.indexOf(LF);
      if (end > maxBytes || (end < 0 && bytes.length > maxBytes)) {
        throw new FormatError("FEED", `expected a line of at most ${maxBytes} bytes`);
      }
      return end < 0 ? null : end;
    });
    const end = all.indexOf(LF);
    this.#rest = all.subarray(end + 1);
    return all.subarray(0, end);
  }

  /** Reads to the end and keeps nothing. */
  async drain(deadline: number): Promise<void> {
    while ((await this.chunk(deadline)) !== null) {
      if (Date.now() > deadline) return;
    }
  }

  async #gather(deadline: number, isEnough: (bytes: Buffer) => number | null): Promise<Buffer> {
    let bytes = this.#rest;
    this.#rest = nothing;
    while (isEnough(bytes) === null) {
      const chunk = await this.chunk(deadline);
      if (chunk === null) throw new FormatError("FEED", "expected more than this");
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    }
    return bytes;
  }

  async #event(deadline: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new HostError("TIMEOUT", "nothing has come for too long")),
        Math.max(0, deadline - Date.now()),
      );
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
