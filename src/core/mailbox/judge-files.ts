/** The last question of an audit: whether the files are those that the entries name, no more and no fewer. */

import type { AuditInput } from "./audit.ts";
import { digestOfName, type Entry, mailName } from "./entry.ts";
import { type Finding, type FindingCode, findings as say } from "./finding.ts";
import { MAX_SKEW_SECONDS, MAX_WAIT_SECONDS } from "./judge-head.ts";
import type { Removal } from "./judge-records.ts";
import type { AuditMemory } from "./memory.ts";

export interface JudgedFiles {
  readonly findings: readonly Finding[];
  readonly mayOpen: readonly Entry[];
  readonly toHash: readonly Entry[];
  readonly toRemove: readonly Entry[];
  /** Numbers whose files are gone rightly, in order. */
  readonly gone: readonly number[];
  /** Those of them that went by expiry, without a record. */
  readonly expired: readonly number[];
  /** For the memory. */
  readonly waiting: ReadonlyMap<string, number>;
}

type Verdict = "may-open" | "to-hash" | "to-remove" | "gone" | "expired" | "none" | Finding;

/** @param codes of what is known to be wrong with the head */
export function judgeFiles(
  input: AuditInput,
  memory: AuditMemory,
  live: readonly Entry[],
  deleted: ReadonlyMap<number, Removal>,
  codes: ReadonlySet<FindingCode>,
): JudgedFiles {
  // The device can't judge what is expired.
  const isClockWrong = codes.has("CLOCK");
  const sizes = new Map<string, number>();
  // A name that is listed twice with two sizes fits neither.
  for (const { name, size } of input.mail) sizes.set(name, sizes.has(name) && sizes.get(name) !== size ? -1 : size);
  const wereGone = new Set(memory.believed?.gone);
  const verdicts = live.map((entry): [Entry, Verdict] => {
    const removal = deleted.get(entry.seq);
    const size = sizes.get(mailName(entry));
    if (size === undefined)
      return [entry, judgeAbsent(entry, removal, wereGone.has(entry.seq), input.now, isClockWrong)];
    return [entry, judgePresent(entry, removal, wereGone.has(entry.seq), size, input)];
  });
  const withVerdict = (...wanted: Verdict[]): Entry[] =>
    verdicts.filter(([, verdict]) => wanted.includes(verdict)).map(([entry]) => entry);
  const isGone = new Set(withVerdict("gone", "expired"));
  // What a person knows to be gone must not come back either.
  const isAbsent = (entry: Entry): boolean => !sizes.has(mailName(entry));
  const named = new Set(live.map(mailName));
  const unnamed = judgeUnnamed(
    input.mail.map(({ name }) => name).filter((name) => !named.has(name)),
    input,
    memory,
    codes.has("STALE"),
  );
  return {
    findings: [
      ...verdicts.flatMap(([, verdict]) => (typeof verdict === "string" ? [] : [verdict])),
      ...unnamed.findings,
    ],
    mayOpen: withVerdict("may-open"),
    toHash: withVerdict("to-hash"),
    toRemove: withVerdict("to-remove"),
    gone: live
      .filter((entry) => isGone.has(entry) || (memory.acknowledged.has(`MISSING ${entry.seq}`) && isAbsent(entry)))
      .map(({ seq }) => seq),
    expired: withVerdict("expired").map(({ seq }) => seq),
    waiting: unnamed.waiting,
  };
}

function judgeAbsent(
  entry: Entry,
  removal: Removal | undefined,
  wasGone: boolean,
  now: number,
  isClockWrong: boolean,
): Verdict {
  if (removal !== undefined || wasGone) return "gone";
  if (isClockWrong) return "none";
  return entry.expiry <= now + MAX_SKEW_SECONDS ? "expired" : say.missing(entry);
}

function judgePresent(
  entry: Entry,
  removal: Removal | undefined,
  wasGone: boolean,
  size: number,
  { digests, before }: AuditInput,
): Verdict {
  const name = mailName(entry);
  if (wasGone) return say.resurrected(entry, name, "this device knows it to be gone");
  if (removal?.isDone === true) {
    // The folder was listed before the record was, so the file may have gone meanwhile: only a second look tells.
    const wasBack = before?.findings.some(({ code, seq }) => code === "RESURRECTED" && seq === entry.seq) ?? true;
    return wasBack ? say.resurrected(entry, name, `your device ${removal.device} removed it`) : "none";
  }
  if (size !== entry.size) return say.modified(entry, name, `it has ${size} bytes, delivered were ${entry.size}`);
  const digest = digests.get(name);
  if (digest !== undefined && digest !== entry.digest) return say.modified(entry, name, `its SHA-256 is ${digest}`);
  if (removal !== undefined) return "to-remove";
  return digest === undefined ? "to-hash" : "may-open";
}

function judgeUnnamed(
  names: readonly string[],
  { digests, now }: AuditInput,
  memory: AuditMemory,
  isStale: boolean,
): { findings: Finding[]; waiting: Map<string, number> } {
  const findings: Finding[] = [];
  const waiting = new Map<string, number>();
  for (const name of new Set(names)) {
    const expected = digestOfName(name);
    const digest = digests.get(name);
    if (expected === null || (digest !== undefined && digest !== expected)) {
      findings.push(say.neverDelivered(name, "it is not named after its content"));
      continue;
    }
    // While the signer is silent nothing can be named, and that it is silent is a finding itself.
    const since = isStale ? now : Math.min(memory.waiting.get(name) ?? now, now);
    waiting.set(name, since);
    if (now - since >= MAX_WAIT_SECONDS) findings.push(say.neverDelivered(name, "no entry names it"));
  }
  return { findings, waiting };
}
