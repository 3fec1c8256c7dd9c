/** The step rule: from one account state to the next (docs/formats/account-state.md, "A step"). Pure. */

import { PolicyError, VerifyError } from "#core/errors.ts";
import { gracedAt, isSignedByOldest, type RecoveryKeys, recoveryAfter } from "./grace.ts";
import { type Pace, paceAfter } from "./pace.ts";
import { chainId, hashOfBody, type SignedText, splitSigned, verifiedSigners } from "./signed-text.ts";
import { type AccountState, MAX_STATE_BYTES, parseState, stateNamespace } from "./state.ts";

export { GRACE_SECONDS, type GracedKey, gracedAt } from "./grace.ts";

/** How far an owner's clock may be ahead. */
export const MAX_AHEAD_SECONDS = 600;

/** An account after its latest accepted version: all that the next step is judged by. */
export interface Standing extends RecoveryKeys {
  /** 22 characters, see {@link chainId}. */
  readonly id: string;
  readonly state: AccountState;
  /** Of the latest body, see {@link hashOfBody}. */
  readonly hash: string;
  /** When the latest version was accepted, Unix seconds. */
  readonly accepted: number;
  readonly pace: Pace;
}

/** A state with its signatures, well formed and not verified. */
export interface Proposal {
  readonly state: AccountState;
  readonly signed: SignedText;
  /** The account that it claims to be of; for version 1 the one that it would make. */
  readonly id: string;
}

/** @throws as {@link splitSigned} and {@link parseState} */
export function parseProposal(bytes: Buffer): Proposal {
  const signed = splitSigned(bytes, MAX_STATE_BYTES);
  const state = parseState(signed.body);
  return { state, signed, id: state.account ?? chainId(signed.body) };
}

/**
 * Judges one step; either the whole of it holds or it throws and nothing has changed.
 * @param previous null for version 1
 * @param accepted when this version is, or was, accepted: Unix seconds, never before the last acceptance
 * @throws VerifyError DOMAIN, ACCOUNT, VERSION, PREV, TIME, then as
 * {@link verifiedSigners}, then PolicyError UNAUTHORIZED, POSSESSION, PACE; the first that applies, in this order
 */
export function acceptStep(
  previous: Standing | null,
  { state, signed, id }: Proposal,
  accepted: number,
  domain: string,
): Standing {
  checkPlace(previous, state, accepted, domain);
  const old = previous?.state;
  const graced = previous === null ? [] : gracedAt(previous, accepted);
  const allowing = new Set([...(old?.master ?? []), ...(old?.recovery ?? []), ...graced.map(({ key }) => key)]);
  const known = new Set([...(old?.master ?? []), ...(old?.recovery ?? [])]);
  const fresh = [...state.master, ...state.recovery].filter((key) => !known.has(key));

  const signers = verifiedSigners(signed, stateNamespace(domain), new Set([...allowing, ...fresh]));
  if (previous !== null && ![...signers].some((key) => allowing.has(key))) {
    throw new PolicyError("UNAUTHORIZED", "no master or recovery key of the version before has signed", {
      hint: "sign with a master key, or with a recovery key",
    });
  }
  const silent = fresh.find((key) => !signers.has(key));
  if (silent !== undefined) {
    throw new PolicyError("POSSESSION", `a new master or recovery key has not signed: ${silent}`, {
      hint: "each new master and recovery key signs the state that names it first",
    });
  }
  const pace = paceAfter(previous?.pace ?? null, isSignedByOldest(previous, signers, accepted), accepted);
  return {
    id: previous?.id ?? id,
    state,
    hash: hashOfBody(signed.body),
    accepted,
    pace,
    ...recoveryAfter(previous, state, signers, accepted),
  };
}

function checkPlace(previous: Standing | null, state: AccountState, accepted: number, domain: string): void {
  const fail = (code: "DOMAIN" | "ACCOUNT" | "VERSION" | "PREV" | "TIME", message: string): never => {
    throw new VerifyError(code, `account state: ${message}`);
  };
  if (state.domain !== domain) fail("DOMAIN", `the domain is "${state.domain}", expected "${domain}"`);
  // In a first state nobody knows the id yet; a second first state is a matter of versions.
  if (previous !== null && state.account !== null && state.account !== previous.id) {
    fail("ACCOUNT", `the account is "${state.account}", expected "${previous.id}"`);
  }
  const version = (previous?.state.version ?? 0) + 1;
  if (state.version !== version) fail("VERSION", `the version is ${state.version}, expected ${version}`);
  if (state.prev !== (previous?.hash ?? null)) {
    fail("PREV", `the version before is "${state.prev}", expected "${previous?.hash}"`);
  }
  if (previous !== null && accepted < previous.accepted) {
    fail("TIME", `accepted at ${accepted}, before the last acceptance at ${previous.accepted}`);
  }
  if (previous !== null && state.time < previous.state.time) {
    fail("TIME", `the time is ${state.time}, before that of the version before, ${previous.state.time}`);
  }
  if (state.time > accepted + MAX_AHEAD_SECONDS) {
    fail("TIME", `the time is ${state.time}, more than ${MAX_AHEAD_SECONDS} seconds ahead of ${accepted}`);
  }
}
