/** Messages on their way through memory. */

import type { MemoryBudget } from "../memory-budget.ts";

const LF = 10;
const DOT = 46;
const firstBytes = 16_384;

/** One message as it comes in, line by line. */
export class MessageStore {
  readonly #budget: MemoryBudget;
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #failed = false;

  /** @param maxBytes largest message, its line ends counted as one byte */
  constructor(budget: MemoryBudget, maxBytes: number) {
    this.#budget = budget;
    this.#maxBytes = maxBytes;
  }

  /** It did not fit, and was forgotten. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Adds a line as SMTP carries it: the dot in front of a dot is taken off (RFC 5321, section 4.5.2). */
  addLine(line: Buffer): void {
    if (this.#failed) return;
    const text = line[0] === DOT ? line.subarray(1) : line;
    if (!this.#makeRoom(text.length + 1)) {
      this.forget();
      this.#failed = true;
      return;
    }
    this.#bytes.set(text, this.#length);
    this.#length += text.length;
    this.#bytes[this.#length] = LF;
    this.#length += 1;
  }

  /** The whole message, LF line ends; a view. */
  get message(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Gives the memory back. */
  forget(): void {
    this.#budget.give(this.#bytes.length);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
  }

  #makeRoom(more: number): boolean {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return true;
    if (needed > this.#maxBytes) return false;
    const size = Math.min(Math.max(firstBytes, needed, this.#bytes.length * 2), this.#maxBytes);
    if (!this.#budget.take(size - this.#bytes.length)) return false;
    const larger = Buffer.allocUnsafeSlow(size);
    larger.set(this.message);
    this.#bytes = larger;
    return true;
  }
}
