/** What the filter says to smtpd, never faster than smtpd reads. */

import type { Writable } from "node:stream";

export class Output {
  readonly #stream: Writable;
  #wake: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    for (const event of ["drain", "close", "error"]) stream.on(event, () => this.#wakeAll());
  }

  /** Says something short. */
  say(text: string): void {
    if (!this.#stream.destroyed) this.#stream.write(Buffer.from(text, "latin1"));
  }

  /** Resolves when smtpd has read enough that more may be said, or reads no more at all. */
  async room(): Promise<void> {
    while (this.#stream.writableNeedDrain && !this.#stream.destroyed) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
