/** An amount (bytes, places) that may be in use at once; whoever wants more waits in line. */
export class Budget {
  readonly #capacity: number;
  readonly #waiting: { amount: number; resume(): void }[] = [];
  #used = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Waits for `amount`; a wish above the whole capacity is granted when nothing else is in use. */
  async acquire(amount: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(amount)) this.#used += amount;
    else await new Promise<void>((resume) => this.#waiting.push({ amount, resume }));
  }

  /** Gives back what {@link acquire} granted. */
  release(amount: number): void {
    this.#used -= amount;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.amount); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.amount;
      next.resume();
    }
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#capacity;
  }
}
