/** Adding accounts: names for first states, in one record of the directory. */

import type { Directory, DirectoryChange } from "#core/account/directory.ts";
import { accountNameMistake } from "#core/account/names.ts";
import { acceptStep, type Proposal, parseProposal } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { certifyWhenDue } from "#fleet/ledger/certify.ts";
import type { Addition } from "./additions.ts";
import { changeDirectory, type Operator, settle } from "./change.ts";

/**
 * Signs names for accounts and hands in their first states, and the list of the keys that sign mailboxes where it is time for a new
 * one: without it nobody could trust a mailbox. What was cut short can be repeated: names that are given
 * already and states that the ledger has are left out.
 * @returns as {@link changeDirectory}
 * @throws as {@link settle}, {@link changesFor}, {@link certifyWhenDue} and {@link changeDirectory}
 */
export async function addAccounts(operator: Operator, additions: readonly Addition[]): Promise<string[]> {
  const dump = await settle(operator);
  const changes = changesFor(operator.copy.directory, additions, operator.now());
  await certifyWhenDue(operator);
  const known = new Set(
    dump
      .filter(({ of }) => of === "state")
      .map(({ signed }) => parseProposal(signed))
      .filter(isFirst)
      .map(({ id }) => id),
  );
  const states = additions.map(({ genesis }) => genesis).filter((signed) => !known.has(parseProposal(signed).id));
  return await changeDirectory(operator, changes, states);
}

function isFirst({ state }: Proposal): boolean {
  return state.version === 1;
}

/**
 * What has to be signed for additions. Accounts that stand in the directory already, under that name, need nothing:
 * what was interrupted can be repeated.
 * @param now Unix seconds
 * @throws PolicyError NAME, USAGE for a state that is no first one; as `acceptStep` for one that does not hold
 */
export function changesFor(directory: Directory, additions: readonly Addition[], now: number): DirectoryChange[] {
  return additions.flatMap(({ name, genesis, quotaBytes, fetch }): DirectoryChange[] => {
    const mistake = accountNameMistake(name);
    if (mistake !== null) throw new PolicyError("NAME", `"${name}": expected ${mistake}`);
    const account = verifiedGenesis(name, genesis, directory.domain, now).id;
    const entry = directory.entries.get(name);
    if (entry?.account === account && entry.status !== "removed") return [];
    return [{ kind: "add", name, account, quotaBytes, fetch }];
  });
}

function verifiedGenesis(name: string, genesis: Buffer, domain: string, now: number): Proposal {
  const proposal = parseProposal(genesis);
  if (proposal.state.version !== 1) {
    throw new PolicyError("USAGE", `the state of "${name}" is version ${proposal.state.version}, expected the first`, {
      hint: "later states go to the keys machine, or with `shoalctl account submit`",
    });
  }
  acceptStep(null, proposal, now, domain);
  return proposal;
}
