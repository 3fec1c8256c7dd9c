/**
 * Cuts what comes in pieces of any size into chunks of one size. The last chunk is told from the others, because it
 * waits until the end is known: it has 1 to `size` bytes, or none if nothing came at all.
 */
export class Chunks {
  readonly #size: number;
  /** Views of pieces; copied only if a chunk takes more than one. */
  #parts: Buffer[] = [];
  #bytes = 0;
  #joined: Buffer | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * The chunks that are full and not the last. A chunk is good until the next one is asked for; a piece must be left
   * alone until all that is in it has been handed out.
   */
  *push(piece: Uint8Array): Generator<Buffer, void, void> {
    let rest = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    while (rest.length > 0) {
      // A full chunk waits for the next byte: only then is it known not to be the last.
      if (this.#bytes === this.#size) yield this.last();
      const head = rest.subarray(0, this.#size - this.#bytes);
      this.#parts.push(head);
      this.#bytes += head.length;
      rest = rest.subarray(head.length);
    }
  }

  /** The last chunk, when nothing more comes. */
  last(): Buffer {
    const parts = this.#parts;
    const bytes = this.#bytes;
    this.#parts = [];
    this.#bytes = 0;
    if (parts.length === 1 && parts[0] !== undefined) return parts[0];
    this.#joined ??= Buffer.allocUnsafe(this.#size);
    let at = 0;
    for (const part of parts) {
      this.#joined.set(part, at);
      at += part.length;
    }
    return this.#joined.subarray(0, bytes);
  }
}
