/** How many versions an account may make in a time (docs/formats/account-state.md, "Pace"). */

import { PolicyError } from "#core/errors.ts";

/** One step more is allowed each hour, */
const STEP_SECONDS = 3600;
/** and so many are saved up at most. */
const MAX_SAVED_STEPS = 240;

/**
 * When all steps are saved up again, Unix seconds: for those that the oldest recovery key signed, and for the others. A
 * thief who has a master key can spend the others alone, and so can't outrun the owner's recovery key for 72 hours.
 */
export interface Pace {
  readonly oldest: number;
  readonly others: number;
}

/** @throws PolicyError PACE */
export function paceAfter(before: Pace | null, signedByOldest: boolean, accepted: number): Pace {
  const { oldest, others } = before ?? { oldest: 0, others: 0 };
  const full = Math.max(signedByOldest ? oldest : others, accepted) + STEP_SECONDS;
  if (full > accepted + MAX_SAVED_STEPS * STEP_SECONDS) {
    throw new PolicyError("PACE", `too many versions: ${MAX_SAVED_STEPS} and one more each hour are expected`, {
      hint: signedByOldest ? "wait an hour" : "wait an hour, or let the oldest recovery key sign",
    });
  }
  return signedByOldest ? { oldest: full, others } : { oldest, others: full };
}
