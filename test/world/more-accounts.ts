/** Accounts of people who have no computer in the world: first states with given keys, for tests that bring their own. */

import type { Device } from "#core/account/state.ts";
import type { Addition } from "#fleet/accounts/additions.ts";
import { lineOf, makeKey, signState } from "#test/owner.ts";

export interface MoreAccount {
  readonly name: string;
  /** `USES KEY` with the uses `auth`, `seal` or `auth,seal`; what stands behind the key is left out. */
  readonly keys: readonly string[];
  /** Default: that of the stage's definition, 100 MB. */
  readonly quotaBytes?: number;
  /** Default 1. */
  readonly fetch?: number;
}

const defaultQuotaBytes = 100_000_000;

/** Its master key is forgotten at once. @param now Unix seconds */
export function additionOf({ name, keys, quotaBytes, fetch }: MoreAccount, domain: string, now: number): Addition {
  const master = makeKey();
  const genesis = signState(
    {
      domain,
      account: null,
      version: 1,
      prev: null,
      time: now,
      master: [lineOf(master)],
      recovery: [],
      devices: keys.map(deviceOf),
    },
    [master],
  );
  return { name, genesis, quotaBytes: quotaBytes ?? defaultQuotaBytes, fetch: fetch ?? 1 };
}

function deviceOf(line: string): Device {
  const [uses = "", type = "", blob] = line.split(" ");
  const key = blob === undefined || type.startsWith("age1") ? type : `${type} ${blob}`;
  return { auth: uses.split(",").includes("auth"), seal: uses.split(",").includes("seal"), key };
}

/** `user0` and on, with a key each that nobody has. */
export function generatedAdditions(count: number, domain: string, now: number): Addition[] {
  return Array.from({ length: count }, (_, index) =>
    additionOf({ name: `user${index}`, keys: [`auth,seal ${lineOf(makeKey())}`] }, domain, now),
  );
}
