/** Mail accounts of a definition: names, mailbox sizes, and the keys that open them. */

import { accountNameMistake } from "#core/account/names.ts";
import { type KeyOwners, readKeys } from "./keys.ts";
import { readQuota } from "./limits.ts";
import type { Value } from "./value.ts";

export interface Account {
  /** Local part of the address and user name on `fetch`. */
  name: string;
  /** Size of the mailbox in bytes. */
  quotaBytes: number;
  /** Number of the `fetch` machine that holds the mailbox, from 1. */
  fetch: number;
  /** Keys that log in, as `TYPE BASE64` lines in the order of the file. */
  auth: string[];
  /** Recipients that mail is sealed to: `TYPE BASE64` lines and native `age1…` recipients, in the order of the file. */
  seal: string[];
}

/** What accounts are read against; `NaN` where the file is wrong there. */
export interface AccountRules {
  /** Mailbox size where an account names none. */
  quotaBytes: number;
  /** Largest message; a mailbox holds at least one. */
  messageBytes: number;
  fetchMachines: number;
}

/** Reads the mapping NAME -> account, sorted by name (bytewise). */
export function readAccounts(accounts: Value, rules: AccountRules): Account[] {
  const owners: KeyOwners = new Map();
  return accounts
    .named("a mapping from account names to accounts, {} for none", accountNameMistake)
    .map(({ name, value }) => readAccount(name, value, rules, owners))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readAccount(name: string, account: Value, rules: AccountRules, owners: KeyOwners): Account {
  const { quota, fetch, keys } = account.fields(["keys"], ["quota", "fetch"]);
  return {
    name,
    quotaBytes: quota.isAbsent ? rules.quotaBytes : readQuota(quota, rules.messageBytes),
    fetch: readFetch(account, fetch, rules.fetchMachines),
    ...readKeys(keys, owners),
  };
}

function readFetch(account: Value, fetch: Value, machines: number): number {
  if (!fetch.isAbsent) return fetch.wholeNumber(1, Number.isNaN(machines) ? 9 : machines, "which fetch machine");
  if (machines > 1) account.lacks("fetch", `a whole number from 1 to ${machines} (which fetch machine)`);
  return 1;
}
