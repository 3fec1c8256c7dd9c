/** The end of a message in an SMTP stream (RFC 5321, section 4.1.1.4), and the dots that were put before it (4.5.2). */

import type { MemoryBudget } from "../memory-budget.ts";

const end = Buffer.from("\r\n.\r\n");

/** Collects the bytes after DATA until CRLF dot CRLF. */
export class MessageCollector {
  readonly #maxBytes: number;
  readonly #budget: MemoryBudget;
  #takenBytes = 0;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The last bytes so far, where the end may have begun. A message may begin with its end. */
  #tail: Buffer = Buffer.from("\r\n");
  #tooLarge = false;

  constructor(maxBytes: number, budget: MemoryBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /**
   * Takes bytes; at the end gives the message (null when it did not fit and was dropped) and what follows it.
   */
  push(chunk: Buffer): { message: Buffer | null; rest: Buffer } | undefined {
    const window = Buffer.concat([this.#tail, chunk.subarray(0, end.length - 1)]);
    let from = window.indexOf(end);
    if (from === -1) {
      from = chunk.indexOf(end);
      if (from === -1) {
        this.#keep(chunk);
        const last = Buffer.concat([this.#tail, chunk.subarray(Math.max(0, chunk.length - end.length + 1))]);
        this.#tail = last.subarray(Math.max(0, last.length - end.length + 1));
        return undefined;
      }
    } else {
      from -= this.#tail.length;
    }
    // `from` counts from the chunk's start and is negative when the end began before it.
    const past = from + end.length;
    this.#keep(chunk.subarray(0, past));
    const all = Buffer.concat(this.#chunks);
    // The CRLF before the dot belongs to the last line.
    const message = this.#tooLarge ? null : unstuff(all.subarray(0, Math.max(0, all.length - 3)));
    return { message, rest: chunk.subarray(past) };
  }

  #keep(chunk: Buffer): void {
    if (this.#tooLarge) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes || !this.#budget.take(chunk.length)) {
      this.#tooLarge = true;
      this.forget();
      return;
    }
    this.#takenBytes += chunk.length;
    this.#chunks.push(chunk);
  }

  /** Gives its memory back; the message may not be used any more. */
  forget(): void {
    this.#budget.give(this.#takenBytes);
    this.#takenBytes = 0;
    this.#chunks = [];
  }
}

/** Removes the dot that was put before each line that begins with one. */
function unstuff(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = bytes[0] === 0x2e ? 1 : 0;
  for (let at = bytes.indexOf("\r\n.", from); at !== -1; at = bytes.indexOf("\r\n.", from)) {
    parts.push(bytes.subarray(from, at + 2));
    from = at + 3;
  }
  return parts.length === 0 && from === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
}
