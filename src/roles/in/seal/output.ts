/** What the filter says to smtpd: in as few writes as may be, for each of them wakes smtpd up, and never faster than smtpd reads. */

import type { Writable } from "node:stream";

/** More than this does not wait for more. */
const maxWaitingCharacters = 64 * 1024;

export class Output {
  readonly #stream: Writable;
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #wake: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    for (const event of ["drain", "close", "error"]) stream.on(event, () => this.#wakeAll());
  }

  /** Says something short, together with what else is said before the next look at what smtpd has to say. */
  say(text: string): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push(text);
    this.#waitingCharacters += text.length;
    if (this.#waitingCharacters > maxWaitingCharacters) this.#flush();
  }

  /** Resolves when smtpd has read enough that more may be said, or reads no more at all. */
  async room(): Promise<void> {
    while (this.#stream.writableNeedDrain && !this.#stream.destroyed) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const text = this.#waiting.join("");
    this.#waiting = [];
    this.#waitingCharacters = 0;
    if (!this.#stream.destroyed) this.#stream.write(Buffer.from(text, "latin1"));
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
