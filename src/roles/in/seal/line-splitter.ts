const LF = 10;

/** Cuts a stream of bytes into lines at LF. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #skipping = false;

  /** @param maxLineBytes a longer line is dropped whole */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Calls `onLine` with each line that is complete now, without its LF; the bytes are only lent. */
  push(chunk: Buffer, onLine: (line: Buffer) => void): void {
    let from = 0;
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, from)) {
      const line = this.#takeTail(chunk.subarray(from, lf));
      from = lf + 1;
      if (line !== null) onLine(line);
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  #takeTail(end: Buffer): Buffer | null {
    const whole = this.#tail.length === 0 ? end : Buffer.concat([...this.#tail, end]);
    const skipped = this.#skipping || whole.length > this.#maxLineBytes;
    this.#forget();
    this.#skipping = false;
    return skipped ? null : whole;
  }

  #keep(part: Buffer): void {
    if (this.#skipping) return;
    this.#tail.push(part);
    this.#tailBytes += part.length;
    if (this.#tailBytes > this.#maxLineBytes) {
      this.#skipping = true;
      this.#forget();
    }
  }

  #forget(): void {
    this.#tail = [];
    this.#tailBytes = 0;
  }
}
