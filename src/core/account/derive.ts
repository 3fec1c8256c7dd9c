/** What machines make of a standing: who may log in where, and what mail is sealed to. Pure. */

import { GRACE_SECONDS, gracedAt } from "./grace.ts";
import type { Standing } from "./step.ts";

/** Keys that fetch mail and send it: lines of `authorized_keys` (sshd(8)), sorted. */
export function authKeys({ state }: Standing): string[] {
  return restricted(state.devices.filter(({ auth }) => auth).map(({ key }) => key));
}

/** Keys that may hand in the next state at a time: masters, recovery keys, and removed ones that have their say. */
export function ownerKeys(standing: Standing, now: number): string[] {
  const { master, recovery } = standing.state;
  return restricted([...master, ...recovery, ...gracedAt(standing, now).map(({ key }) => key)]);
}

/** Recipients that mail is sealed to, sorted. */
export function sealKeys({ state }: Standing): string[] {
  return state.devices
    .filter(({ seal }) => seal)
    .map(({ key }) => key)
    .sort();
}

/** When {@link ownerKeys} changes next without a new version, Unix seconds; null for never. */
export function nextGraceEnd(standing: Standing, now: number): number | null {
  const ends = gracedAt(standing, now).map(({ removedAt }) => removedAt + GRACE_SECONDS);
  return ends.length === 0 ? null : Math.min(...ends);
}

function restricted(keys: readonly string[]): string[] {
  return [...new Set(keys)].sort().map((key) => `restrict ${key}`);
}
