/** One byte stream with another program, read on demand: what is not asked for stays in the kernel's buffers. */

import type { Duplex } from "node:stream";
import { HostError } from "#core/errors.ts";

const nothing: Buffer = Buffer.alloc(0);

export class Wire {
  readonly #stream: Duplex;
  #rest: Buffer = nothing;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  readonly #onReadable = (): void => this.#wake?.();
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };
  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
    this.#wake?.();
  };
  readonly #onClose = (): void => {
    this.#failure ??= new Error("the connection is closed");
    this.#wake?.();
  };

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("readable", this.#onReadable);
    stream.on("drain", this.#onReadable);
    stream.on("end", this.#onEnd);
    stream.on("error", this.#onError);
    stream.on("close", this.#onClose);
  }

  /** Bytes that arrived and that nobody has taken yet. */
  get waitingBytes(): number {
    return this.#rest.length + this.#stream.readableLength;
  }

  /**
   * The next bytes, as many as there are; null when the other side has sent its last.
   * @throws HostError TIMEOUT at `deadline` (milliseconds, as `Date.now`), NETWORK when the connection breaks
   */
  async read(deadline: number): Promise<Buffer | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = nothing;
      return rest;
    }
    for (;;) {
      const chunk = this.#stream.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.#ended) return null;
      if (this.#failure !== undefined) throw this.#broken();
      await this.#event(deadline);
    }
  }

  /** Gives back bytes, to be read next. */
  unread(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest]);
  }

  /**
   * Sends bytes; resolves when the stream takes more, so that a slow reader slows its writer.
   * @throws HostError TIMEOUT, NETWORK
   */
  async write(bytes: Uint8Array | string, deadline: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#broken();
    this.#stream.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    while (this.#stream.writableNeedDrain) {
      if (this.#failure !== undefined) throw this.#broken();
      await this.#event(deadline);
    }
  }

  /** Stops listening, so that another layer (TLS) can take over the stream. */
  detach(): Duplex {
    this.#stream.off("readable", this.#onReadable);
    this.#stream.off("drain", this.#onReadable);
    this.#stream.off("end", this.#onEnd);
    this.#stream.off("error", this.#onError);
    this.#stream.off("close", this.#onClose);
    return this.#stream;
  }

  /**
   * Says a last word and closes. What the other side still sends is read and dropped for at most `lingerSeconds`:
   * closing over unread bytes would reset the connection, and the last word with it.
   */
  async close(lastWord: string, lingerSeconds: number): Promise<void> {
    const deadline = Date.now() + lingerSeconds * 1000;
    try {
      if (this.#failure === undefined) {
        this.#stream.end(Buffer.from(lastWord, "latin1"));
        while ((await this.read(deadline)) !== null);
      }
    } catch (error) {
      // Too slow or already gone: there is nobody left to tell.
      if (!(error instanceof HostError)) throw error;
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #broken(): HostError {
    return new HostError("NETWORK", "the connection broke", { cause: this.#failure });
  }

  #event(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          this.#wake = undefined;
          reject(new HostError("TIMEOUT", "the other side is silent"));
        },
        Math.max(0, deadline - Date.now()),
      );
      this.#wake = () => {
        this.#wake = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
