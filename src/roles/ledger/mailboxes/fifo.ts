/**
 * Names in the order of their coming, each once. A `Set` would do but for its cost: it steps over all that were taken before
 * from its front, which for a hundred thousand is most of the time.
 */
export class Fifo {
  #order: string[] = [];
  #at = 0;
  readonly #present = new Set<string>();

  get size(): number {
    return this.#present.size;
  }

  /** Does nothing if it waits already. */
  add(name: string): void {
    if (this.#present.has(name)) return;
    this.#present.add(name);
    this.#order.push(name);
  }

  delete(name: string): void {
    this.#present.delete(name);
  }

  /** The one that waits longest; undefined when none does. */
  take(): string | undefined {
    while (this.#at < this.#order.length) {
      const name = this.#order[this.#at++];
      if (this.#at > 1000 && this.#at * 2 > this.#order.length) {
        this.#order = this.#order.slice(this.#at);
        this.#at = 0;
      }
      // What was deleted meanwhile stands here still.
      if (name !== undefined && this.#present.delete(name)) return name;
    }
    this.#order = [];
    this.#at = 0;
    return undefined;
  }
}
