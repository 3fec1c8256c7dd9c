/** A narrow door: only so many may stand in it at a time, the others wait in line. */
export class Doorway {
  readonly #width: number;
  readonly #holdMilliseconds: number;
  #inside = 0;
  readonly #line: (() => void)[] = [];

  /**
   * @param width how many at a time
   * @param holdMilliseconds nobody stands in it for longer, whatever holds them up
   */
  constructor(width: number, holdMilliseconds: number) {
    this.#width = width;
    this.#holdMilliseconds = holdMilliseconds;
  }

  /** Runs `action` once there is room. */
  async pass<T>(action: () => Promise<T>): Promise<T> {
    while (this.#inside >= this.#width) await new Promise<void>((resolve) => this.#line.push(resolve));
    this.#inside += 1;
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      this.#inside -= 1;
      this.#line.shift()?.();
    };
    const timer = setTimeout(leave, this.#holdMilliseconds);
    try {
      return await action();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }
}
