/** For how long a server that is asked something is waited for: neither silence nor a trickle may hold a client for ever. */

const SILENT_SECONDS = 120;
/** Slower than any line that mail is read over, and than any answer that takes long to make. */
const PACE_BYTES_PER_SECOND = 100;
const PACE_SECONDS = 600;

/** Times are of one monotonic clock, in milliseconds. */
export class Patience {
  #heardAt = 0;
  #paceSince = 0;
  #paceBytes = 0;

  /** Something is asked while nothing else was under way. */
  begin(now: number): void {
    this.#heardAt = now;
    this.#paceSince = now;
    this.#paceBytes = 0;
  }

  sent(bytes: number): void {
    this.#paceBytes += bytes;
  }

  received(bytes: number, now: number): void {
    this.#heardAt = now;
    this.#paceBytes += bytes;
  }

  /** To be asked every few seconds while answers are awaited. @returns what the server did, when that is too little */
  complaint(now: number): string | undefined {
    if (now - this.#heardAt >= SILENT_SECONDS * 1000) return `did not answer for ${SILENT_SECONDS} s`;
    if (now - this.#paceSince < PACE_SECONDS * 1000) return undefined;
    const bytes = this.#paceBytes;
    this.#paceSince = now;
    this.#paceBytes = 0;
    if (bytes >= PACE_BYTES_PER_SECOND * PACE_SECONDS) return undefined;
    return `took ${PACE_SECONDS / 60} minutes for ${bytes} bytes`;
  }
}
