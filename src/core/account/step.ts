/** The step rule: from one account state to the next (docs/formats/account-state.md, "A step"). Pure. */

import { PolicyError, VerifyError } from "#core/errors.ts";
import { chainId, hashOfBody, type SignedText, splitSigned, verifiedSigners } from "./signed-text.ts";
import { type AccountState, MAX_STATE_BYTES, parseState, stateNamespace } from "./state.ts";

/** How long a removed recovery key keeps its say, between acceptances. */
export const GRACE_SECONDS = 72 * 3600;
/** How far an owner's clock may be ahead. */
export const MAX_AHEAD_SECONDS = 600;

/** A recovery key that was removed and still has its say. */
export interface GracedKey {
  /** `TYPE BASE64`. */
  readonly key: string;
  /** Version that made it a recovery key. */
  readonly since: number;
  /** Acceptance time of the version that removed it, Unix seconds. */
  readonly removedAt: number;
}

/** An account after its latest accepted version: all that the next step is judged by. */
export interface Standing {
  /** 22 characters, see {@link chainId}. */
  readonly id: string;
  readonly state: AccountState;
  /** Of the latest body, see {@link hashOfBody}. */
  readonly hash: string;
  /** When the latest version was accepted, Unix seconds. */
  readonly accepted: number;
  /** Recovery key -> version that made it one; a key that comes back while it still had its say keeps its version. */
  readonly recoverySince: ReadonlyMap<string, number>;
  /** In the order of their removal; expired ones may still stand here. */
  readonly graced: readonly GracedKey[];
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

/** Removed recovery keys that still have their say at a time. */
export function gracedAt(standing: Standing, time: number): GracedKey[] {
  return standing.graced.filter(({ removedAt }) => time - removedAt < GRACE_SECONDS);
}

/**
 * Judges one step; either the whole of it holds or it throws and nothing has changed.
 * @param previous null for version 1
 * @param accepted when this version is, or was, accepted: Unix seconds, never before the last acceptance
 * @throws VerifyError DOMAIN, ACCOUNT, VERSION, PREV, TIME, then as
 * {@link verifiedSigners}, then PolicyError UNAUTHORIZED, POSSESSION; the first that applies, in this order
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
  return {
    id: previous?.id ?? id,
    state,
    hash: hashOfBody(signed.body),
    accepted,
    ...recoveryAfter(previous, graced, state, signers, accepted),
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

/**
 * Who is a recovery key since when, and which removed ones keep their say. A removal counts at once only if a recovery key
 * at least as old signed it: so a thief with a newer key can't shut out the owner's older one.
 */
function recoveryAfter(
  previous: Standing | null,
  graced: readonly GracedKey[],
  state: AccountState,
  signers: ReadonlySet<string>,
  accepted: number,
): Pick<Standing, "recoverySince" | "graced"> {
  const before = new Map(previous?.recoverySince);
  const sinceOf = new Map([...before, ...graced.map(({ key, since }) => [key, since] as const)]);
  const recoverySince = new Map(state.recovery.map((key) => [key, sinceOf.get(key) ?? state.version]));
  const oldestSigner = Math.min(...[...sinceOf].filter(([key]) => signers.has(key)).map(([, since]) => since));
  const removed = [...before].filter(([key, since]) => !recoverySince.has(key) && oldestSigner > since);
  return {
    recoverySince,
    graced: [
      ...graced.filter(({ key }) => !recoverySince.has(key)),
      ...removed.map(([key, since]) => ({ key, since, removedAt: accepted })),
    ],
  };
}
