/** Remembers values until they expire, and no more of them than fit: the one that was not used for longest goes first. */

export class BoundedCache<Value> {
  readonly #maxEntries: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, { value: Value; expires: number }>();

  /** @param now milliseconds, as `Date.now` */
  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries;
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expires <= this.#now()) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param expires milliseconds on the clock of `now` */
  set(key: string, value: Value, expires: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries) break;
      this.#entries.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
