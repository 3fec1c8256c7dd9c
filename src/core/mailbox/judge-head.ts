/** The first question of an audit: whether there is a head to believe, and whether it fits what this device has seen. */

import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { AuditInput } from "./audit.ts";
import { isSamePoint } from "./chain.ts";
import { type Finding, findings as say } from "./finding.ts";
import { type Head, verifyHead } from "./head.ts";
import type { AuditMemory, Believed } from "./memory.ts";
import { type SignerList, verifySigners } from "./signers.ts";

/** How far clocks may differ. */
export const MAX_SKEW_SECONDS = 600;
/** How long things may be on their way: the first head of a mailbox, and an entry for a file that is there. */
export const MAX_WAIT_SECONDS = 900;
/** How long a new account state may be on its way to the machine that shows it, by the ledger's clock. */
export const MAX_STATE_LAG_SECONDS = 60;

export interface JudgedHead {
  readonly head: Head | null;
  readonly signersTime: number;
  readonly findings: readonly Finding[];
  /** For the memory. */
  readonly headlessSince: number | null;
}

/** If no head is verified, it is null, and unless the mailbox is new there is a finding. */
export function judgeHead(input: AuditInput, memory: AuditMemory): JudgedHead {
  const { standing, now } = input;
  const bad = (detail: string): JudgedHead => ({
    head: null,
    signersTime: 0,
    findings: [say.badHead(detail)],
    headlessSince: memory.headlessSince,
  });
  if (input.head === null) {
    const since = Math.min(memory.headlessSince ?? now, now);
    if (!mayBeNew(input, memory, since)) return { ...bad("there is no head"), headlessSince: since };
    return { head: null, signersTime: 0, findings: [], headlessSince: since };
  }
  if (input.signers === null) return bad("there is no list of signers");
  let list: SignerList;
  let head: Head;
  try {
    list = verifySigners(input.signers, standing.state.domain, input.roots);
    head = verifyHead(input.head, standing.state.domain, list);
  } catch (error) {
    return bad(reasonOf(error));
  }
  const findings = [
    ...(head.account === standing.id ? [] : [say.wrongMailbox(head.account)]),
    ...judgeTime(head, now),
    ...(memory.believed === null || head.account !== standing.id ? [] : judgeProgress(head, list, memory.believed)),
    ...(head.account === standing.id ? judgeState(head, input) : []),
  ];
  return { head, signersTime: list.time, findings, headlessSince: null };
}

/** What made the bytes unbelievable; anything else than our own errors is a defect and goes on. */
export function reasonOf(error: unknown): string {
  if (error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)
    return error.message;
  throw error;
}

/** A machine could claim that for ever by moving the acceptance, which it alone vouches for: the device's memory ends it. */
function mayBeNew({ standing, now, mail }: AuditInput, { believed }: AuditMemory, since: number): boolean {
  const isYoung = standing.state.version === 1 && now - standing.accepted < MAX_WAIT_SECONDS;
  return believed === null && isYoung && now - since < MAX_WAIT_SECONDS && mail.length === 0;
}

function judgeTime({ time, next }: Head, now: number): Finding[] {
  if (time > now + MAX_SKEW_SECONDS) return [say.clock(time, now)];
  return now > next + MAX_SKEW_SECONDS ? [say.stale(time, now)] : [];
}

function judgeProgress(head: Head, list: SignerList, seen: Believed): Finding[] {
  const { last, base, time, state } = head;
  const found: Finding[] = [];
  if (last.seq === seen.last.seq && !isSamePoint(last, seen.last)) {
    found.push(say.fork(`entry ${last.seq} has another hash than this device has seen`));
  }
  if (state.version === seen.state.version && state.hash !== seen.state.hash) {
    found.push(say.fork(`version ${state.version} of the account has another hash than this device has seen`));
  }
  if (last.seq < seen.last.seq) found.push(say.rollback(`it ends at entry ${last.seq}, seen was ${seen.last.seq}`));
  if (time < seen.headTime) found.push(say.rollback(`the head is of ${time}, seen was one of ${seen.headTime}`));
  if (base.seq < seen.base.seq) found.push(say.rollback(`its base is entry ${base.seq}, seen was ${seen.base.seq}`));
  if (list.time < seen.signersTime) {
    found.push(say.rollback(`the list of signers is of ${list.time}, seen was one of ${seen.signersTime}`));
  }
  if (state.version < seen.state.version) {
    found.push(say.rollback(`it names version ${state.version} of the account, seen was ${seen.state.version}`));
  }
  return found.slice(0, 1);
}

function judgeState({ state, time }: Head, { standing }: AuditInput): Finding[] {
  const { version } = standing.state;
  if (state.version > version && time - state.accepted > MAX_STATE_LAG_SECONDS) {
    return [say.stateWithheld(version, state.version, state.accepted)];
  }
  if (state.version < version && time - standing.accepted > MAX_STATE_LAG_SECONDS) {
    return [say.rollback(`the head names version ${state.version} of the account, ${version} was accepted before it`)];
  }
  if (state.version === version && state.hash !== standing.hash) {
    return [say.fork(`the head names another version ${version} of the account`)];
  }
  return [];
}
