/** What a device remembers of a mailbox from one audit to the next (docs/formats/mailbox-ledger.md, "Memory"). */

import { isChainId } from "#core/account/chain-id.ts";
import { LineReader } from "#core/account/lines.ts";
import { decodeBase64 } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";
import type { Point } from "./chain.ts";
import { isDigest } from "./entry.ts";
import { type Finding, isAboutOneFile, keyOf } from "./finding.ts";

export const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
const VERSION_LINE = "shoal-mailbox-memory/v1";

/** Of the last audit in which nothing but STALE was found. */
export interface Believed {
  readonly last: Point;
  readonly base: Point;
  readonly headTime: number;
  /** The account state that the head named, or the last of the chain if that was older. */
  readonly state: { readonly version: number; readonly hash: string };
  /** Time of the list of signers. */
  readonly signersTime: number;
  /** Numbers behind the base whose files are gone rightly, in order. */
  readonly gone: readonly number[];
}

export interface AuditMemory {
  readonly account: string;
  /** Null before the first. */
  readonly believed: Believed | null;
  /** Since when there is no head at all, Unix seconds by the device's clock. */
  readonly headlessSince: number | null;
  /** Files in `mail/` that no entry named yet -> when they were seen first. */
  readonly waiting: ReadonlyMap<string, number>;
  /** Findings that a person has seen, by {@link keyOf}. */
  readonly acknowledged: ReadonlySet<string>;
}

export function newMemory(account: string): AuditMemory {
  return { account, believed: null, headlessSince: null, waiting: new Map(), acknowledged: new Set() };
}

/**
 * Notes that this device has removed files, after the server has said so: they must not come back.
 * @param seqs numbers of their entries
 */
export function noteRemoved(memory: AuditMemory, seqs: Iterable<number>): AuditMemory {
  const { believed } = memory;
  if (believed === null) return memory;
  const gone = new Set([...believed.gone, ...[...seqs].filter((seq) => seq > believed.base.seq)]);
  return { ...memory, believed: { ...believed, gone: [...gone].sort((a, b) => a - b) } };
}

/** Takes a finding about one file off the list for good. Others are about the whole mailbox and can't be; null then. */
export function acknowledge(memory: AuditMemory, finding: Finding): AuditMemory | null {
  if (!isAboutOneFile(finding)) return null;
  return { ...memory, acknowledged: new Set([...memory.acknowledged, keyOf(finding)]) };
}

/** @throws FormatError MEMORY, TOO-LARGE */
export function parseMemory(bytes: Uint8Array): AuditMemory {
  const lines = new LineReader(bytes, MAX_MEMORY_BYTES, "MEMORY", "memory of a mailbox");
  lines.exactly(VERSION_LINE);
  const account = lines.value("account");
  if (!isChainId(account)) lines.refuse("22 characters of account id");
  const headless = lines.value("headless");
  const headlessSince = headless === "-" ? null : lines.toNumber(headless);
  const last = lines.value("last");
  const believed = last === "-" ? null : parseBelieved(lines, parsePoint(lines, last));
  const waiting = lines.sorted("waiting").map((text): [string, number] => {
    const [since = "", ...name] = text.split(" ");
    return [unescaped(name.join(" ")), lines.toNumber(since)];
  });
  const acknowledged = lines.sorted("acknowledged").map(unescaped);
  lines.end("nothing behind it");
  return { account, believed, headlessSince, waiting: new Map(waiting), acknowledged: new Set(acknowledged) };
}

function parseBelieved(lines: LineReader, last: Point): Believed {
  const base = parsePoint(lines, lines.value("base"));
  const headTime = lines.number("head");
  const [version = "", hash = ""] = lines.value("state").split(" ");
  if (decodeBase64(hash)?.length !== 32) lines.refuse('"state VERSION HASH"');
  const state = { version: lines.toNumber(version), hash };
  const signersTime = lines.number("signers");
  const gone = lines.value("gone");
  const numbers = gone === "-" ? [] : gone.split(" ").map((text) => lines.toNumber(text));
  return { last, base, headTime, state, signersTime, gone: numbers };
}

function parsePoint(lines: LineReader, text: string): Point {
  const [seq = "", hash = ""] = text.split(" ");
  if (!isDigest(hash)) lines.refuse("a number and a hash in 64 hex digits");
  return { seq: lines.toNumber(seq), hash };
}

/** The inverse of {@link parseMemory}. */
export function printMemory({ account, believed, headlessSince, waiting, acknowledged }: AuditMemory): Buffer {
  const about =
    believed === null
      ? ["last -"]
      : [
          `last ${believed.last.seq} ${believed.last.hash}`,
          `base ${believed.base.seq} ${believed.base.hash}`,
          `head ${believed.headTime}`,
          `state ${believed.state.version} ${believed.state.hash}`,
          `signers ${believed.signersTime}`,
          `gone ${believed.gone.length === 0 ? "-" : believed.gone.join(" ")}`,
        ];
  const lines = [
    VERSION_LINE,
    `account ${account}`,
    `headless ${headlessSince ?? "-"}`,
    ...about,
    ...[...waiting].map(([name, since]) => `waiting ${since} ${escaped(name)}`).sort(),
    ...[...acknowledged].map((key) => `acknowledged ${escaped(key)}`).sort(),
    "",
  ];
  return Buffer.from(lines.join("\n"), "latin1");
}

/** Names come from a server: any characters. */
function escaped(name: string): string {
  return encodeURIComponent(name.toWellFormed());
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new FormatError("MEMORY", "memory of a mailbox: a name is not written as it should be", { cause });
  }
}
