/** One connection that speaks docs/formats/account-feed.md, over any pair of streams. */

import type { Readable, Writable } from "node:stream";
import { FEED_HELLO, type FeedReader, type Frame, printFrame } from "#core/account/feed.ts";
import { FormatError, HostError } from "#core/errors.ts";

const ALIVE_SECONDS = 10;
/** Without a word for so long the other side is gone. */
const SILENCE_SECONDS = 30;
/** Of `alive`, in that time: a peer that repeats itself without end is not listened to. */
const MAX_ALIVE = 30;

export interface FeedStreams {
  readonly readable: Readable;
  readonly writable: Writable;
  /** Ends the connection at once. */
  destroy(): void;
}

export class FeedConnection<Incoming extends Frame> {
  readonly #streams: FeedStreams;
  readonly #reader: FeedReader<Incoming>;
  readonly #timer: NodeJS.Timeout;
  #frames: Incoming[] = [];
  #ended = false;
  #error: Error | null = null;
  #isReading = false;
  #heard = performance.now();
  #said = performance.now();
  #aliveHeard = 0;
  #wakeReader: (() => void) | null = null;
  readonly #wakeWriters = new Set<() => void>();

  constructor(streams: FeedStreams, reader: FeedReader<Incoming>) {
    const { readable, writable } = streams;
    this.#streams = streams;
    this.#reader = reader;
    const lost = (cause: Error): void => this.close(new HostError("NETWORK", "the connection was lost", { cause }));
    readable.on("data", (chunk: Buffer) => this.#receive(chunk));
    readable.on("error", lost);
    readable.on("end", () => this.#end());
    readable.on("close", () => this.#end());
    readable.pause();
    writable.on("error", lost);
    writable.on("close", () => this.#end());
    writable.on("drain", () => this.#wakeAllWriters());
    this.#timer = setInterval(() => this.#tick(), 1000);
    writable.write(`${FEED_HELLO}\n`);
  }

  /** True while the other side is there and has said that it speaks this. */
  get isUp(): boolean {
    return !this.#ended && this.#reader.isGreeted;
  }

  /**
   * The next frames, at least one, without `alive`; nothing more is read from the other side until this is called again.
   * @param waitMilliseconds gives [] when nothing came for so long; for ever without it
   * @returns null when the other side has ended, or {@link close} was called without an error
   * @throws FormatError FEED; HostError NETWORK, TIMEOUT; what {@link close} was given
   */
  async next(waitMilliseconds?: number): Promise<Incoming[] | null> {
    if (this.#frames.length === 0 && !this.#ended) {
      this.#isReading = true;
      this.#heard = performance.now();
      this.#streams.readable.resume();
      await new Promise<void>((resolve) => {
        const timer = waitMilliseconds === undefined ? undefined : setTimeout(resolve, waitMilliseconds);
        this.#wakeReader = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wakeReader = null;
      this.#isReading = false;
      this.#streams.readable.pause();
    }
    if (this.#error !== null) throw this.#error;
    const frames = this.#frames;
    this.#frames = [];
    return frames.length === 0 && this.#ended ? null : frames;
  }

  /**
   * Says something and returns when there is room for more.
   * @throws as {@link next}; HostError NETWORK when the connection has ended
   */
  async send(...frames: readonly Frame[]): Promise<void> {
    if (frames.length > 0) this.#write(Buffer.concat(frames.map(printFrame)));
    while (!this.#ended && this.#streams.writable.writableNeedDrain) {
      await new Promise<void>((resolve) => this.#wakeWriters.add(resolve));
    }
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw new HostError("NETWORK", "the connection has ended");
  }

  /** Ends the connection; whoever waits for it gets the error. */
  close(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error ?? null;
    clearInterval(this.#timer);
    this.#streams.destroy();
    this.#wakeReader?.();
    this.#wakeAllWriters();
  }

  #wakeAllWriters(): void {
    for (const wake of this.#wakeWriters) wake();
    this.#wakeWriters.clear();
  }

  #write(bytes: Buffer): void {
    if (this.#ended) return;
    this.#said = performance.now();
    this.#streams.writable.write(bytes);
  }

  #end(): void {
    const cut = new HostError("NETWORK", "the connection ended within a frame");
    this.close(this.#reader.isBetweenFrames ? undefined : cut);
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    this.#heard = performance.now();
    try {
      const frames = this.#reader.push(chunk);
      const telling = frames.filter(({ kind }) => kind !== "alive");
      this.#aliveHeard += frames.length - telling.length;
      if (this.#aliveHeard > MAX_ALIVE) throw new FormatError("FEED", 'feed: too many lines "alive"');
      this.#frames.push(...telling);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.#frames.length === 0) return;
    this.#streams.readable.pause();
    this.#wakeReader?.();
  }

  #tick(): void {
    const now = performance.now();
    this.#aliveHeard = Math.max(0, this.#aliveHeard - 1);
    if (this.#isReading && now - this.#heard > SILENCE_SECONDS * 1000) {
      this.close(new HostError("TIMEOUT", `nothing came for ${SILENCE_SECONDS} s`));
    } else if (now - this.#said > ALIVE_SECONDS * 1000 && !this.#streams.writable.writableNeedDrain) {
      this.#write(printFrame({ kind: "alive" }));
    }
  }
}
