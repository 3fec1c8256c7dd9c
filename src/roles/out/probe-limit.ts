/**
 * How many domains are looked at for one account: each look makes this machine connect to strangers, and nothing that
 * `check` asks for is counted elsewhere. In memory: a restart forgets it, and limits of sending do not hang on it.
 */

import { PolicyError } from "#core/errors.ts";

const HOUR_SECONDS = 3600;
/** So many accounts are remembered before those that have everything left are forgotten. */
const TIDY_AT = 1024;

interface Allowance {
  left: number;
  /** Unix seconds. */
  at: number;
}

/** What is used comes back evenly within the hour. */
export class ProbeLimit {
  readonly #perHour: number;
  readonly #byAccount = new Map<string, Allowance>();

  constructor(domainsPerHour: number) {
    this.#perHour = domainsPerHour;
  }

  /**
   * Counts before looking.
   * @param now Unix seconds
   * @throws PolicyError PACE, and then nothing is counted
   */
  take(account: string, domains: number, now: number): void {
    const left = this.#left(account, now);
    // An hour's worth is enough for anything that is allowed, so whoever has used nothing is never refused.
    const wanted = Math.min(domains, this.#perHour);
    if (wanted > left) {
      const seconds = Math.ceil(((wanted - left) * HOUR_SECONDS) / this.#perHour);
      throw new PolicyError("PACE", `${this.#perHour} domains were looked at in an hour: expected no more than that`, {
        hint: `try again in ${Math.ceil(seconds / 60)} minutes`,
      });
    }
    this.#byAccount.set(account, { left: left - wanted, at: now });
    if (this.#byAccount.size > TIDY_AT) this.#tidy(now);
  }

  #left(account: string, now: number): number {
    const { left, at } = this.#byAccount.get(account) ?? { left: this.#perHour, at: now };
    return Math.min(this.#perHour, left + (Math.max(0, now - at) * this.#perHour) / HOUR_SECONDS);
  }

  #tidy(now: number): void {
    for (const account of this.#byAccount.keys()) {
      if (this.#left(account, now) >= this.#perHour) this.#byAccount.delete(account);
    }
  }
}
