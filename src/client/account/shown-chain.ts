/** Judges a chain that a machine shows by what this computer knows already. Pure. */

import { type Accepted, parseChain, verifySteps } from "#core/account/chain.ts";
import { MAX_AHEAD_SECONDS, parseProposal, type Standing } from "#core/account/step.ts";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";

/** What is known of an account: its versions from the first, each verified. */
export interface KnownChain {
  /** 22 characters; null before anything is known. */
  readonly id: string | null;
  readonly versions: readonly Accepted[];
  /** After the last of the versions; null while there is none. */
  readonly standing: Standing | null;
  /** When the last of the versions became known, by this computer's own clock, Unix seconds. */
  readonly learned: number | null;
}

/** A new version is on all machines after this long; one that shows less then hides something. */
export const MAX_LAG_SECONDS = 10;

/**
 * @param domain of the account; null to take what version 1 says
 * @param now Unix seconds
 * @returns what is known now: all that was known, and what the machine showed beyond
 * @throws VerifyError FORK where it shows anything else than the owner's one chain, ROLLBACK where it shows less than is
 * known, CLOCK for acceptances in the future
 */
export function judgeShown(known: KnownChain, shown: Buffer, domain: string | null, now: number): KnownChain {
  const versions = readVersions(shown);
  const common = Math.min(versions.length, known.versions.length);
  for (let index = 0; index < common; index++) {
    const [theirs, ours] = [versions[index], known.versions[index]];
    if (theirs === undefined || ours === undefined) break;
    if (!theirs.signed.equals(ours.signed)) {
      fork(`another version ${index + 1} than this computer knows`);
    }
    if (theirs.accepted !== ours.accepted) {
      fork(
        `version ${index + 1} as accepted at ${theirs.accepted}, this computer knows it as accepted at ${ours.accepted}`,
      );
    }
  }
  if (versions.length < known.versions.length) {
    const age = now - (known.learned ?? 0);
    if (age >= 0 && age < MAX_LAG_SECONDS) return known;
    throw new VerifyError("ROLLBACK", `it shows version ${versions.length} of ${known.versions.length}`, {
      hint: "it may let removed keys in, and hide keys that were added: tell the operator, and write nothing there that only this account may read until it shows the rest",
    });
  }
  const more = versions.slice(common);
  const last = more.at(-1);
  if (last === undefined) return known;
  if (last.accepted > now + MAX_AHEAD_SECONDS) {
    throw new VerifyError("CLOCK", `it shows a version as accepted at ${last.accepted}, which is in the future`, {
      hint: "check this computer's clock; if it is right, tell the operator",
    });
  }
  return { ...extend(known, more, domain), versions: [...known.versions, ...more], learned: now };
}

function extend(
  known: KnownChain,
  more: readonly Accepted[],
  domain: string | null,
): Pick<KnownChain, "id" | "standing"> {
  try {
    const [first] = more;
    const first1 = known.standing === null && first !== undefined ? parseProposal(first.signed) : null;
    if (first1 !== null && known.id !== null && first1.id !== known.id) {
      fork(`the account ${first1.id}, this computer knows it as ${known.id}`);
    }
    const standing = verifySteps(
      more,
      domain ?? known.standing?.state.domain ?? first1?.state.domain ?? "",
      known.standing,
    );
    return { id: standing?.id ?? known.id, standing };
  } catch (cause) {
    if (cause instanceof VerifyError && cause.code === "FORK") throw cause;
    if (cause instanceof HostError || !isOurs(cause)) throw cause;
    return fork(`versions that do not hold: ${cause.message}`, cause);
  }
}

function readVersions(shown: Buffer): Accepted[] {
  try {
    return parseChain(shown);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return fork(`no chain of an account: ${cause.message}`, cause);
  }
}

function isOurs(error: unknown): error is FormatError | VerifyError | PolicyError {
  return error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError;
}

function fork(what: string, cause?: unknown): never {
  throw new VerifyError("FORK", `it shows ${what}`, {
    cause,
    hint: "the account's keys have not signed that as its one history: change nothing there, tell the operator, and compare with your other devices (shoal account show)",
  });
}
