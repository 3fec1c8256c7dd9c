/** The third question of an audit: what this account's devices say that they removed, and which history they saw. */

import { FormatError } from "#core/errors.ts";
import type { AuditInput } from "./audit.ts";
import { type DeletionRecord, deletionName, doneName, verifyDeletion } from "./deletion.ts";
import type { Entry } from "./entry.ts";
import { type Finding, findings as say } from "./finding.ts";
import type { Head } from "./head.ts";
import { reasonOf } from "./judge-head.ts";

/** What a record says of one entry. */
export interface Removal {
  readonly device: string;
  /** True if the device says that the file is removed; before that it may still be there. */
  readonly isDone: boolean;
}

export interface JudgedRecords {
  /** By number of entry. */
  readonly deleted: ReadonlyMap<number, Removal>;
  /** Records that count: signed by devices of the account's current state. */
  readonly counting: readonly { readonly name: string; readonly record: DeletionRecord }[];
  readonly findings: readonly Finding[];
}

export function judgeRecords(
  { standing, formerKeys, del }: AuditInput,
  hashAt: (seq: number) => string | undefined,
  live: readonly Entry[],
  head: Head | null,
): JudgedRecords {
  const mayDelete = new Set(standing.state.devices.filter(({ auth }) => auth).map(({ key }) => key));
  const names = new Set(del.map(({ name }) => name));
  const digests = new Map(live.map(({ seq, digest }) => [seq, digest]));
  const deleted = new Map<number, Removal>();
  const counting: { name: string; record: DeletionRecord }[] = [];
  const findings: Finding[] = [];
  const forked = new Set<string>();
  for (const { name, bytes } of del) {
    if (!/^[0-9a-f]{16}-[1-9][0-9]{0,14}$/.test(name)) continue;
    const judged = readRecord(name, bytes, standing.id, standing.state.domain);
    if (typeof judged === "string") findings.push(say.forgedRecord(name, judged));
    if (judged === null || typeof judged === "string") continue;
    const { record, key } = judged;
    if (!mayDelete.has(key)) {
      if (!formerKeys.has(key)) findings.push(say.forgedRecord(name, "its key was never a device of this account"));
      continue;
    }
    const contradiction = contradictionOf(record, hashAt, digests, head);
    if (contradiction !== null && !forked.has(record.device)) {
      forked.add(record.device);
      findings.push(say.deviceFork(record.device, name, contradiction));
    }
    counting.push({ name, record });
    const isDone = names.has(doneName(record));
    for (const { seq, digest } of record.deleted) {
      if (digests.get(seq) !== digest) continue;
      deleted.set(seq, { device: record.device, isDone: isDone || deleted.get(seq)?.isDone === true });
    }
  }
  return { deleted, counting, findings };
}

/** Null for what may be half an upload, a text for what no device can have left there. */
function readRecord(
  name: string,
  bytes: Buffer,
  account: string,
  domain: string,
): { record: DeletionRecord; key: string } | string | null {
  try {
    const { record, key } = verifyDeletion(bytes, domain);
    if (deletionName(record) !== name) return `it says that its name is "${deletionName(record)}"`;
    if (record.account !== account) return `it is of the account ${record.account}`;
    return { record, key };
  } catch (error) {
    return error instanceof FormatError ? null : reasonOf(error);
  }
}

/** The ledger's heads are one row: whoever saw a head of an earlier time saw no more entries, and the same ones. */
function contradictionOf(
  { head: seen, deleted }: DeletionRecord,
  hashAt: (seq: number) => string | undefined,
  digests: ReadonlyMap<number, string>,
  head: Head | null,
): string | null {
  const hash = hashAt(seen.seq);
  if (hash !== undefined && hash !== seen.hash) return `it saw another entry ${seen.seq}`;
  if (head !== null && seen.seq > head.last.seq && seen.time < head.time) {
    return `it saw ${seen.seq} entries before there were ${head.last.seq}`;
  }
  if (head !== null && seen.seq < head.last.seq && seen.time > head.time) {
    return `it saw ${seen.seq} entries after there were ${head.last.seq}`;
  }
  for (const { seq, digest } of deleted) {
    const known = digests.get(seq);
    if (known !== undefined && known !== digest) return `it saw another file as entry ${seq}`;
  }
  return null;
}
