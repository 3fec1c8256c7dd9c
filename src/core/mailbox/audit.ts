/**
 * Holds a mailbox, as a server shows it, against its signed ledger and against what this device has seen before
 * (docs/formats/mailbox-ledger.md, "Audit"). Pure, and nothing is opened before it has spoken.
 */

import type { Standing } from "#core/account/step.ts";
import type { Point } from "./chain.ts";
import { doneName } from "./deletion.ts";
import { type Entry, mailName } from "./entry.ts";
import { closesMailbox, type Finding, isAboutOneFile, keyOf } from "./finding.ts";
import type { Head } from "./head.ts";
import { judgeEntries } from "./judge-entries.ts";
import { judgeFiles } from "./judge-files.ts";
import { judgeHead } from "./judge-head.ts";
import { judgeRecords } from "./judge-records.ts";
import { type AuditMemory, type Believed, newMemory } from "./memory.ts";

export interface ListedFile {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
}

/** What a server shows, read in this order; null for a file that is not there. */
export interface Shown {
  readonly head: Buffer | null;
  readonly signers: Buffer | null;
  readonly entries: Buffer | null;
  /** Everything in `mail/`. */
  readonly mail: readonly ListedFile[];
  /** Everything in `del/`, listed after `mail/`; `.done` files are empty. */
  readonly del: readonly { readonly name: string; readonly bytes: Buffer }[];
}

export interface AuditInput extends Shown {
  /** The account by its verified chain, read after the head. */
  readonly standing: Standing;
  /** `auth` keys of all versions of the account, `TYPE BASE64`: what others sign was never a device's. */
  readonly formerKeys: ReadonlySet<string>;
  /** Keys of the operator's root that this device trusts, `TYPE BASE64`. */
  readonly roots: ReadonlySet<string>;
  /** SHA-256 in hex of files in `mail/`, by name, as far as they were read. */
  readonly digests: ReadonlyMap<string, string>;
  /** Null on a device that sees the mailbox for the first time. */
  readonly memory: AuditMemory | null;
  /** Unix seconds, by this device's clock. */
  readonly now: number;
  /** Of the same mailbox a moment ago, if that one asked to read again. */
  readonly before?: AuditResult;
}

export interface AuditResult {
  /** What a person has to know; empty in an honest world. */
  readonly findings: readonly Finding[];
  /** What still holds of what a person has seen and acknowledged. */
  readonly acknowledged: readonly Finding[];
  /** Files whose bytes are what was delivered. Nothing else may be opened. */
  readonly mayOpen: readonly Entry[];
  /** Files that fit by name and size and whose digest was not given: hash them, then {@link isGenuine}. */
  readonly toHash: readonly Entry[];
  /** Files that a device's record says are removed and that are there still: remove them. */
  readonly toRemove: readonly Entry[];
  /** Empty files to make in `del/`: all that these records name is removed, by whomever. */
  readonly toMark: readonly string[];
  /** Entries that are of interest: behind the base. */
  readonly live: readonly Entry[];
  /** Null if no head was verified. */
  readonly head: Head | null;
  /** Deliveries that expired since this device was here last, without its having seen them; 0 on a new device. */
  readonly expiredUnseen: number;
  /** Records that count. */
  readonly records: ReturnType<typeof judgeRecords>["counting"];
  /** What to remember; keep it whatever was found. */
  readonly memory: AuditMemory;
  /** Read everything once more and audit it with this as `before`: the server may have changed between two reads. */
  readonly readAgain: boolean;
}

/** True if a file that was read is what the entry names. */
export function isGenuine(entry: Entry, size: number, digest: string): boolean {
  return entry.size === size && entry.digest === digest;
}

export function audit(input: AuditInput): AuditResult {
  const memory = input.memory ?? newMemory(input.standing.id);
  const { head, signersTime, findings, headlessSince } = judgeHead(input, memory);
  const chain = head === null || findings.some(closesMailbox) ? null : judgeEntries(input.entries, head, memory);
  const closed = { findings: [], counting: [], deleted: new Map<number, never>() };
  const records = chain === null || chain.closed ? closed : judgeRecords(input, chain.hashAt, chain.live, head);
  const found = [...findings, ...(chain?.findings ?? []), ...records.findings];
  if (head === null || chain === null || found.some(closesMailbox)) {
    return {
      ...sorted(found, memory),
      ...{ mayOpen: [], toHash: [], toRemove: [], toMark: [], live: [], expiredUnseen: 0, records: records.counting },
      head,
      memory: { ...memory, headlessSince },
      readAgain: asksAgain(input, found),
    };
  }
  const files = judgeFiles(input, memory, chain.live, records.deleted, new Set(found.map(({ code }) => code)));
  // As arguments of a function they could be more than fit.
  const all = [...found, ...files.findings];
  const { findings: open, acknowledged } = sorted(all, memory);
  const believed = open.every(({ code }) => code === "STALE")
    ? believe(head, input.standing, signersTime, files.gone)
    : memory.believed;
  return {
    findings: open,
    acknowledged,
    mayOpen: files.mayOpen,
    toHash: files.toHash,
    toRemove: files.toRemove,
    toMark: undoneRecords(input, records.counting),
    live: chain.live,
    head,
    expiredUnseen: memory.believed === null ? 0 : expiredUnseen(memory.believed.last, head.base, files.expired),
    records: records.counting,
    memory: {
      account: memory.account,
      believed,
      headlessSince: null,
      waiting: files.waiting,
      acknowledged: stillOpen(memory.acknowledged, acknowledged, head.base),
    },
    readAgain: asksAgain(input, open),
  };
}

function believe(head: Head, { state, hash }: Standing, signersTime: number, gone: readonly number[]): Believed {
  const { last, base, time: headTime } = head;
  // Of a version that is on its way, or never was, only the ledger has spoken so far.
  const known = head.state.version > state.version ? { version: state.version, hash } : head.state;
  return { last, base, headTime, state: { version: known.version, hash: known.hash }, signersTime, gone };
}

function sorted(found: readonly Finding[], memory: AuditMemory): Pick<AuditResult, "findings" | "acknowledged"> {
  const isKnown = (finding: Finding): boolean => isAboutOneFile(finding) && memory.acknowledged.has(keyOf(finding));
  return { findings: found.filter((one) => !isKnown(one)), acknowledged: found.filter(isKnown) };
}

function undoneRecords({ mail, del }: AuditInput, counting: AuditResult["records"]): string[] {
  const present = new Set(mail.map(({ name }) => name));
  const marked = new Set(del.map(({ name }) => name));
  return counting
    .filter(({ record }) => !record.deleted.some((one) => present.has(mailName(one))))
    .map(({ record }) => doneName(record))
    .filter((name) => !marked.has(name));
}

/** What is behind the base, or still there, may come up again; the rest is history. */
function stillOpen(keys: ReadonlySet<string>, acknowledged: readonly Finding[], base: Point): ReadonlySet<string> {
  const present = new Set(acknowledged.map(keyOf));
  const isOpen = (key: string): boolean => {
    const seq = /^[A-Z]+ ([0-9]+)$/.exec(key)?.[1];
    return present.has(key) || (seq !== undefined && Number(seq) > base.seq);
  };
  return new Set([...keys].filter(isOpen));
}

function expiredUnseen(seen: Point, base: Point, expired: readonly number[]): number {
  return Math.max(0, base.seq - seen.seq) + expired.filter((seq) => seq > seen.seq).length;
}

function asksAgain({ before }: AuditInput, found: readonly Finding[]): boolean {
  return before === undefined && found.some(({ code }) => code !== "STALE" && code !== "CLOCK");
}
