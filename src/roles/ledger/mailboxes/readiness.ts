/** Which mailboxes were looked at on their machine since this start, and what came of it. */

export class Readiness {
  readonly #ready = new Set<string>();
  readonly #lost = new Map<string, string>();
  /** Those that the operator wants to be taken as their machine shows them. */
  readonly #adopting = new Set<string>();
  readonly #tell: (account: string) => void;

  /** @param tell called when somebody may go on who waits for a mailbox */
  constructor(tell: (account: string) => void) {
    this.#tell = tell;
  }

  isReady(account: string): boolean {
    return this.#ready.has(account);
  }

  /** Why the store is not the mailbox's; null if it is, or nobody knows yet. */
  whyLost(account: string): string | null {
    return this.#lost.get(account) ?? null;
  }

  get lost(): ReadonlyMap<string, string> {
    return this.#lost;
  }

  /** Lets all that are lost be taken as their machine shows them. @returns which */
  adoptLost(): string[] {
    const accounts = [...this.#lost.keys()];
    this.#lost.clear();
    for (const account of accounts) this.#adopting.add(account);
    return accounts;
  }

  mayAdopt(account: string): boolean {
    return this.#adopting.has(account);
  }

  setReady(account: string): void {
    this.#lost.delete(account);
    this.#adopting.delete(account);
    this.#ready.add(account);
    this.#tell(account);
  }

  setLost(account: string, why: string): void {
    this.#ready.delete(account);
    this.#adopting.delete(account);
    this.#lost.set(account, why);
    this.#tell(account);
  }

  forget(account: string): void {
    this.#ready.delete(account);
    this.#lost.delete(account);
    this.#adopting.delete(account);
  }
}
