/** Holds what machines say they know against each other, and their files against what they know. Pure. */

import { Accounts } from "#core/account/accounts.ts";
import { authKeys, ownerKeys, sealKeys } from "#core/account/derive.ts";
import type { Directory, DirectoryEntry } from "#core/account/directory.ts";
import type { RecordFrame } from "#core/account/feed.ts";
import { hashOfBody } from "#core/account/signed-text.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { printRecipients } from "#core/recipients.ts";
import { senders } from "#fleet/roles/senders.ts";

/** What somebody showed, verified from its first record on. */
export interface Shown {
  /** `ledger`, a machine, or the operator's copy. */
  readonly who: string;
  readonly accounts: Accounts;
  /** Account id -> hash of each version, from version 1. */
  readonly hashes: ReadonlyMap<string, readonly string[]>;
}

/** @param now Unix seconds; @returns what holds, and one line for each record that does not */
export function verifyDump(
  who: string,
  records: readonly RecordFrame[],
  directory: { readonly domain: string; readonly id: string },
  now: number,
): { shown: Shown; findings: string[] } {
  const accounts = new Accounts(directory.domain, directory.id);
  const hashes = new Map<string, string[]>();
  const findings: string[] = [];
  for (const { of, accepted, signed } of records) {
    let what = "a record of the directory";
    try {
      if (of === "directory") {
        accounts.takeDirectory(signed, accepted, now);
      } else {
        what = "an account state";
        const proposal = parseProposal(signed);
        what = `version ${proposal.state.version} of account ${proposal.id}`;
        accounts.takeState(proposal, accepted, now);
        hashes.set(proposal.id, [...(hashes.get(proposal.id) ?? []), hashOfBody(proposal.signed.body)]);
      }
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)) throw error;
      findings.push(`${who}: ${what} does not hold: ${error.code}: ${error.message}`);
    }
  }
  return { shown: { who, accounts, hashes }, findings };
}

/** Two directories of the same id, in the words of the second's finder. */
export function compareDirectories(reference: Directory, who: string, other: Directory): string[] {
  const versionOf = ({ latest }: Directory): number => latest?.record.version ?? 0;
  const [expected, found] = [versionOf(reference), versionOf(other)];
  if (expected !== found) return [`${who}: has version ${found} of the directory, expected ${expected}`];
  if (reference.latest?.hash === other.latest?.hash) return [];
  return [`${who}: FORK: has another version ${found} of the directory`];
}

/** Where a machine's accounts are not those of the ledger. */
export function compareAccounts(ledger: Shown, machine: Shown): string[] {
  const findings = compareDirectories(ledger.accounts.directory, machine.who, machine.accounts.directory);
  for (const account of new Set([...ledger.hashes.keys(), ...machine.hashes.keys()])) {
    const [expected, found] = [ledger, machine].map(({ hashes }) => hashes.get(account) ?? []);
    if (expected === undefined || found === undefined) continue;
    const name = ledger.accounts.directory.entryOf(account)?.name ?? account;
    const fork = expected.findIndex((hash, index) => index < found.length && hash !== found[index]);
    if (fork >= 0) findings.push(`${machine.who}: FORK: has another version ${fork + 1} of "${name}" than the ledger`);
    else if (expected.length !== found.length) {
      findings.push(`${machine.who}: has version ${found.length} of "${name}", the ledger has ${expected.length}`);
    }
  }
  return findings;
}

/** What a machine's files must be. */
export interface MachineFiles {
  /** Account users: name -> `UID:GID`. */
  readonly users: ReadonlyMap<string, string>;
  /** User -> text of its `authorized_keys`, of the machine's own users too. */
  readonly authorizedKeys: ReadonlyMap<string, string>;
  /** Text of the recipients file; null where there is none. */
  readonly recipients: string | null;
}

export type Serves =
  | { readonly role: "fetch"; readonly number: number }
  /** Number of a `fetch` machine -> its name. */
  | { readonly role: "in"; readonly fetch: ReadonlyMap<number, string> }
  | { readonly role: "keys" }
  | { readonly role: "out" };

const FIRST_USER_ID = 20_000;
const LAST_USER_ID = 59_999;

/**
 * Files as the chains give them.
 * @param own `authorized_keys` of users that are no accounts
 * @param now Unix seconds; removed recovery keys have their say for a time
 */
export function filesOf(
  accounts: Accounts,
  serves: Serves,
  own: ReadonlyMap<string, string>,
  now: number,
): MachineFiles {
  const entries = [...accounts.directory.entries.values()].filter(({ status }) => status !== "removed");
  if (serves.role === "in") {
    const [first = "fetch"] = serves.fetch.values();
    const recipients = entries.map((entry) => {
      const { name, account, quotaBytes, status } = entry;
      const fetch = serves.fetch.get(entry.fetch);
      // Nothing can be handed on to a machine that is not there.
      const standing = fetch !== undefined && status === "active" ? accounts.standing(account) : undefined;
      const seal = standing === undefined ? [] : sealKeys(standing);
      return { name, account, version: standing?.state.version ?? 0, quotaBytes, fetch: fetch ?? first, seal };
    });
    const text = printRecipients(accounts.directory.domain, recipients);
    return { users: new Map(), authorizedKeys: own, recipients: text };
  }
  const here = entries.filter(({ fetch }) => serves.role !== "fetch" || fetch === serves.number);
  const users = new Map(
    here.map(({ name, ordinal }) => {
      const uid = FIRST_USER_ID + ordinal;
      return [name, `${uid}:${serves.role === "out" ? senders.gid : uid}`];
    }),
  );
  const authorizedKeys = new Map(own);
  for (const entry of here) {
    authorizedKeys.set(
      entry.name,
      keysOf(accounts, entry, serves.role, now)
        .map((line) => `${line}\n`)
        .join(""),
    );
  }
  return { users, authorizedKeys, recipients: null };
}

function keysOf(accounts: Accounts, entry: DirectoryEntry, role: "fetch" | "keys" | "out", now: number): string[] {
  const standing = accounts.standing(entry.account);
  if (standing === undefined) return [];
  // Who is suspended gets no mail, and may still take the account back from a thief.
  if (role === "keys") return ownerKeys(standing, now);
  return entry.status === "active" ? authKeys(standing) : [];
}

/** Users of accounts in passwd(5): name -> `UID:GID`. */
export function accountUsers(passwd: string): Map<string, string> {
  const users = new Map<string, string>();
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", gid = ""] = line.split(":");
    if (Number(uid) >= FIRST_USER_ID && Number(uid) <= LAST_USER_ID) users.set(name, `${uid}:${gid}`);
  }
  return users;
}

/** One line for each thing that is another. */
export function compareFiles(who: string, expected: MachineFiles, found: MachineFiles): string[] {
  const findings = [
    ...compareMaps(expected.users, found.users).map((name) => `${who}: the user "${name}" is not as it should be`),
    ...compareMaps(expected.authorizedKeys, found.authorizedKeys).map(
      (name) => `${who}: the keys that "${name}" may log in with are not what its chain gives`,
    ),
  ];
  if (expected.recipients !== found.recipients)
    findings.push(`${who}: the file of recipients is not what the chains give`);
  return findings;
}

/** Names whose value is another, or is missing in one; an empty file of keys opens nothing, as none does. */
function compareMaps(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => (one.get(name) ?? "") !== (other.get(name) ?? "")).sort();
}
