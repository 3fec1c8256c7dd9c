/** Every account of a domain with its directory, verified step by step: what ledger and all other machines hold in memory. */

import { PolicyError, VerifyError } from "#core/errors.ts";
import { Directory, type DirectoryEntry, MAX_DIRECTORY_BYTES } from "./directory.ts";
import { hashOfBody, splitSigned } from "./signed-text.ts";
import { acceptStep, MAX_AHEAD_SECONDS, type Proposal, type Standing } from "./step.ts";

/** Nothing comes in but by a verified step; what throws has changed nothing. */
export class Accounts {
  readonly directory: Directory;
  readonly #standings = new Map<string, Standing>();

  /** @param directoryId what the first record of the directory must hash to */
  constructor(domain: string, directoryId: string) {
    this.directory = new Directory(domain, directoryId);
  }

  /** The standing of an account id; undefined before its first state and after its removal. */
  standing(account: string): Standing | undefined {
    return this.#standings.get(account);
  }

  get standings(): ReadonlyMap<string, Standing> {
    return this.#standings;
  }

  /**
   * Takes the next record of the directory.
   * @param accepted when it was accepted, Unix seconds
   * @param now what the caller's own clock says
   * @returns names that changed
   * @throws as {@link Directory.take}, VerifyError CLOCK
   */
  takeDirectory(signed: Buffer, accepted: number, now: number): string[] {
    checkClock(accepted, now);
    const names = this.directory.take(splitSigned(signed, MAX_DIRECTORY_BYTES), accepted);
    for (const name of names) {
      const entry = this.directory.entries.get(name);
      if (entry?.status === "removed") this.#standings.delete(entry.account);
    }
    return names;
  }

  /**
   * Takes the next state of an account; `parseProposal` makes it of bytes.
   * @throws as {@link acceptStep}, VerifyError CLOCK, PolicyError ACCOUNT-UNKNOWN for accounts that the directory does not
   * name, ACCOUNT-REMOVED
   */
  takeState(proposal: Proposal, accepted: number, now: number): { entry: DirectoryEntry; standing: Standing } {
    checkClock(accepted, now);
    const entry = this.directory.entryOf(proposal.id);
    if (entry === undefined) {
      throw new PolicyError("ACCOUNT-UNKNOWN", `the directory names no account "${proposal.id}"`);
    }
    if (entry.status === "removed") throw new PolicyError("ACCOUNT-REMOVED", `the account "${entry.name}" was removed`);
    const previous = this.#standings.get(proposal.id) ?? null;
    const standing = acceptStep(previous, proposal, accepted, this.directory.domain);
    this.#standings.set(proposal.id, standing);
    return { entry, standing };
  }

  /** True if it is the very state that is the latest one: handed in twice, or seen already. */
  isCurrent({ id, signed }: Proposal): boolean {
    return this.#standings.get(id)?.hash === hashOfBody(signed.body);
  }
}

/** Who could move acceptances into the future could end the grace of removed recovery keys. */
function checkClock(accepted: number, now: number): void {
  if (accepted > now + MAX_AHEAD_SECONDS) {
    throw new VerifyError("CLOCK", `accepted at ${accepted}, more than ${MAX_AHEAD_SECONDS} seconds ahead of ${now}`);
  }
}
