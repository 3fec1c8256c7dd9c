/** The second question of an audit: whether the entries are those that the head signs, and continue what was seen. */

import { isSamePoint, nextPoint, type Point } from "./chain.ts";
import { parseEntries } from "./entries.ts";
import type { Entry } from "./entry.ts";
import { type Finding, findings as say } from "./finding.ts";
import type { Head } from "./head.ts";
import { reasonOf } from "./judge-head.ts";
import type { AuditMemory } from "./memory.ts";

export interface JudgedEntries {
  /** Behind the base, in order; empty if they are not those of the head. */
  readonly live: readonly Entry[];
  readonly findings: readonly Finding[];
  readonly closed: boolean;
  /** H of a number, if it could be computed. */
  readonly hashAt: (seq: number) => string | undefined;
}

export function judgeEntries(bytes: Buffer | null, head: Head, { believed }: AuditMemory): JudgedEntries {
  const fail = (finding: Finding): JudgedEntries => ({
    ...{ live: [], findings: [finding], closed: true },
    hashAt: () => undefined,
  });
  let entries: Entry[];
  try {
    entries = parseEntries(bytes ?? Buffer.alloc(0), head.last.seq);
  } catch (error) {
    return fail(say.broken(reasonOf(error)));
  }
  const first = entries[0]?.seq ?? head.last.seq + 1;
  const end = entries.at(-1)?.seq ?? head.last.seq;
  if (first > head.base.seq + 1 || end < head.last.seq) {
    return fail(say.broken(`there are entries ${first} to ${end}, expected ${head.base.seq + 1} to ${head.last.seq}`));
  }
  // What was seen is a place to begin as good as the base, and shows that the base lies on the same chain.
  const seen = believed?.last;
  const start = seen !== undefined && seen.seq < head.base.seq && seen.seq >= first - 1 ? seen : head.base;
  const hashes = new Map<number, string>([[start.seq, start.hash]]);
  let point: Point = start;
  for (const entry of entries) {
    if (entry.seq <= start.seq) continue;
    point = nextPoint(point, entry);
    hashes.set(point.seq, point.hash);
  }
  if (!isSamePoint(point, head.last)) {
    const reaches = start === head.base ? "the base" : "what this device has seen";
    return fail(say.broken(`the entries behind ${reaches} do not lead to the hash that the head names`));
  }
  const isOther = (known: Point | undefined): boolean =>
    known !== undefined && hashes.has(known.seq) && hashes.get(known.seq) !== known.hash;
  if (isOther(head.base))
    return fail(say.fork(`base ${head.base.seq} does not lie on the chain that this device has seen`));
  if (isOther(seen)) return fail(say.fork(`entry ${seen?.seq} is not the one that this device has seen`));
  return {
    live: entries.filter(({ seq }) => seq > head.base.seq),
    findings: [],
    closed: false,
    hashAt: (seq) => hashes.get(seq),
  };
}
