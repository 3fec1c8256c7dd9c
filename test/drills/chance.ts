/** Randomness that a seed repeats: a drill that failed is run again with the seed it printed. */

export class Chance {
  #state: number;

  /** @param seed whole number; its lower 32 bits count */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Number from 0, less than 1 (the mulberry32 generator). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Number from `low`, less than `high`. */
  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** Like {@link between}, small numbers as likely as large ones of the same number of digits. */
  magnitude(low: number, high: number): number {
    return Math.exp(this.between(Math.log(low), Math.log(high)));
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.fraction() * list.length)];
    if (picked === undefined) throw new RangeError("nothing to pick from");
    return picked;
  }
}
