/** Which state of an account a head names: never one that the owner can't see yet, never an older one than before. */

import type { Accounts } from "#core/account/accounts.ts";
import type { NamedState } from "#core/mailbox/head.ts";

/** A machine that does not take a state for so long hides it, or is down: readers shall know. */
const TAKING_SECONDS = 60;

export class NamedStates {
  readonly #accounts: Pick<Accounts, "standing">;
  readonly #named = new Map<string, NamedState>();

  constructor(accounts: Pick<Accounts, "standing">) {
    this.#accounts = accounts;
  }

  /** A head has named it. */
  note(account: string, state: NamedState): void {
    if (state.version > (this.#named.get(account)?.version ?? 0)) this.#named.set(account, state);
  }

  forget(account: string): void {
    this.#named.delete(account);
  }

  /**
   * @param taken the version that the machine which shows `account/chain` has said that it has
   * @param now Unix seconds
   * @returns null while there is none that may be named
   */
  nameable(account: string, taken: number, now: number): NamedState | null {
    const standing = this.#accounts.standing(account);
    const named = this.#named.get(account) ?? null;
    if (standing === undefined || standing.state.version < (named?.version ?? 0)) return null;
    const { state, hash, accepted } = standing;
    if (taken < state.version && now < accepted + TAKING_SECONDS) return named;
    return { version: state.version, hash, accepted };
  }
}
