/** Judges a proof bundle (docs/formats/proof-bundle.md, "What holds"): each part of it, or none. Pure. */

import { createHash } from "node:crypto";
import { type Accepted, parseChain, printChain, verifySteps } from "#core/account/chain.ts";
import { parseProposal, type Standing } from "#core/account/step.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { Bundle, ProofGuide } from "./bundle.ts";
import { isSamePoint, nextPoint, type Point } from "./chain.ts";
import { type DeletionRecord, deletionName, verifyDeletion } from "./deletion.ts";
import { parseEntries, printEntries } from "./entries.ts";
import { type Entry, mailName } from "./entry.ts";
import { type Head, verifyHead } from "./head.ts";
import { verifySigners } from "./signers.ts";

/** What a device of the account signed of an entry. */
export interface ProvedRemoval {
  /** As the record's file is named. */
  readonly record: string;
  readonly device: string;
  /** By the device's clock, Unix seconds. */
  readonly time: number;
  /** False if the device was removed from the account before the head was signed: its records don't count any more. */
  readonly counts: boolean;
}

/** What a bundle proves of one entry that it is about. */
export interface ProvedEntry {
  readonly entry: Entry;
  /** True if the sealed file is in the bundle, and is what was delivered. */
  readonly hasFile: boolean;
  readonly removals: readonly ProvedRemoval[];
}

/** What a bundle proves. */
export interface Proof {
  readonly domain: string;
  readonly account: string;
  readonly head: Head;
  /** When the operator signed the list of signers, Unix seconds. */
  readonly signersTime: number;
  /** The account at the version that the head names. */
  readonly standing: Standing;
  /** Those that it is about, by number. */
  readonly entries: readonly ProvedEntry[];
}

/**
 * @param roots keys of the operator that the reader trusts, `TYPE BASE64`
 * @param account whose mailbox it has to be; null to be told by the result
 * @throws as the parsers and verifiers of its parts; FormatError BUNDLE; VerifyError ACCOUNT, VERSION, PREV, FORK, DIGEST;
 * PolicyError SIGNER
 */
export function verifyBundle(bundle: Bundle, roots: ReadonlySet<string>, account: string | null): Proof {
  const { guide } = bundle;
  if (account !== null && guide.account !== account) {
    throw new VerifyError("ACCOUNT", `proof: it is of the account ${guide.account}, expected ${account}`);
  }
  const list = verifySigners(bundle.signers, guide.domain, roots);
  const head = verifyHead(bundle.head, guide.domain, list);
  if (head.account !== guide.account) {
    throw new VerifyError("ACCOUNT", `head: it is of the account ${head.account}, expected ${guide.account}`);
  }
  if (bundle.time !== head.time) {
    throw new FormatError("BUNDLE", `bundle: its files are of ${bundle.time}, expected the head's ${head.time}`);
  }
  const { standing, devices } = verifyAccount(bundle, guide, head);
  const { entries, points } = verifyEntries(bundle.entries, guide.from, head);
  const chosen = chooseEntries(entries, guide);
  const removals = verifyRecords(bundle, chosen, { standing, devices, points, entries });
  const files = verifyMail(bundle, chosen);
  return {
    domain: guide.domain,
    account: guide.account,
    head,
    signersTime: list.time,
    standing,
    entries: [...chosen.values()].map((entry) => ({
      entry,
      hasFile: files.has(entry.seq),
      removals: removals.get(entry.seq) ?? [],
    })),
  };
}

/** @returns the account at the head's version, and the `auth` keys of all its versions */
function verifyAccount(
  { chain }: Bundle,
  { domain, account }: ProofGuide,
  { state }: Head,
): { standing: Standing; devices: ReadonlySet<string> } {
  const versions: Accepted[] = parseChain(chain);
  if (!printChain(versions).equals(chain)) throw new FormatError("CHAIN", "chain: expected whole versions");
  const standing = verifySteps(versions, domain, null);
  if (standing === null || standing.id !== account) {
    throw new VerifyError("ACCOUNT", `chain: it is of the account ${standing?.id ?? "-"}, expected ${account}`);
  }
  // A later version would be nobody's word but the owner's, an earlier one could hide a removed device.
  if (standing.state.version !== state.version) {
    throw new VerifyError(
      "VERSION",
      `chain: it ends at version ${standing.state.version}, expected the head's ${state.version}`,
    );
  }
  if (standing.hash !== state.hash) {
    throw new VerifyError("FORK", `chain: the head names another version ${state.version} of the account`);
  }
  const all = versions.flatMap(({ signed }) => parseProposal(signed).state.devices);
  return { standing, devices: new Set(all.filter(({ auth }) => auth).map(({ key }) => key)) };
}

function verifyEntries(
  bytes: Buffer,
  from: Point,
  { last, base }: Head,
): { entries: Entry[]; points: ReadonlyMap<number, string> } {
  const entries = parseEntries(bytes, last.seq);
  if (!printEntries(entries).equals(bytes)) {
    throw new FormatError("LEDGER", `entries: expected those up to ${last.seq}, and nothing behind them`);
  }
  const points = new Map([[from.seq, from.hash]]);
  let point = from;
  for (const entry of entries) {
    point = nextPoint(point, entry);
    points.set(point.seq, point.hash);
  }
  if (!isSamePoint(point, last)) {
    throw new VerifyError(
      "PREV",
      `entries: they lead from ${from.seq} to ${point.seq} and another hash than the head names for ${last.seq}`,
    );
  }
  if ((points.get(base.seq) ?? base.hash) !== base.hash) {
    throw new VerifyError("PREV", `entries: the hash of ${base.seq} is another than the head names as its base`);
  }
  return { entries, points };
}

/** By number. */
function chooseEntries(entries: readonly Entry[], { about }: ProofGuide): Map<number, Entry> {
  const all = new Map(entries.map((entry) => [entry.seq, entry]));
  if (about.length === 0) return all;
  return new Map(
    about.map(({ seq, digest }) => {
      const entry = all.get(seq);
      if (entry?.digest !== digest) {
        throw new VerifyError("DIGEST", `proof: entry ${seq} is about ${entry?.digest ?? "nothing"}, not ${digest}`);
      }
      return [seq, entry];
    }),
  );
}

function verifyRecords(
  { records, guide }: Bundle,
  chosen: ReadonlyMap<number, Entry>,
  ground: {
    readonly standing: Standing;
    readonly devices: ReadonlySet<string>;
    readonly points: ReadonlyMap<number, string>;
    /** All that are in the bundle. */
    readonly entries: readonly Entry[];
  },
): ReadonlyMap<number, ProvedRemoval[]> {
  const { standing, devices, points } = ground;
  const digests = new Map(ground.entries.map(({ seq, digest }) => [seq, digest]));
  const current = new Set(standing.state.devices.filter(({ auth }) => auth).map(({ key }) => key));
  const removals = new Map<number, ProvedRemoval[]>();
  for (const { name, bytes } of records) {
    const { record, key } = verifyDeletion(bytes, guide.domain);
    if (deletionName(record) !== name) {
      throw new FormatError("BUNDLE", `record "${name}": it says that its name is "${deletionName(record)}"`);
    }
    if (record.account !== guide.account) {
      throw new VerifyError("ACCOUNT", `record "${name}": it is of the account ${record.account}`);
    }
    if (!devices.has(key)) {
      throw new PolicyError("SIGNER", `record "${name}": its key was never a device of this account`);
    }
    checkHistory(record, name, points, digests);
    const named = record.deleted.filter(({ seq }) => chosen.has(seq));
    if (named.length === 0) throw new FormatError("BUNDLE", `record "${name}": it names none of the entries`);
    const { device, time } = record;
    for (const { seq } of named) {
      const list = removals.get(seq) ?? [];
      list.push({ record: name, device, time, counts: current.has(key) });
      removals.set(seq, list);
    }
  }
  return removals;
}

/** The device must have seen the history that the head is of. */
function checkHistory(
  { head, deleted }: DeletionRecord,
  name: string,
  points: ReadonlyMap<number, string>,
  digests: ReadonlyMap<number, string>,
): void {
  if ((points.get(head.seq) ?? head.hash) !== head.hash) {
    throw new VerifyError("FORK", `record "${name}": its device saw another entry ${head.seq}`);
  }
  const other = deleted.find(({ seq, digest }) => (digests.get(seq) ?? digest) !== digest);
  if (other !== undefined) {
    throw new VerifyError("FORK", `record "${name}": its device saw another file as entry ${other.seq}`);
  }
}

/** @returns numbers of the entries whose files are there */
function verifyMail({ mail }: Bundle, chosen: ReadonlyMap<number, Entry>): Set<number> {
  const byName = new Map([...chosen.values()].map((entry) => [mailName(entry), entry]));
  const there = new Set<number>();
  let before = 0;
  for (const { name, bytes } of mail) {
    const entry = byName.get(name);
    if (entry === undefined || entry.seq <= before) {
      throw new FormatError("BUNDLE", `mail "${name}": expected files of entries that it is about, in their order`);
    }
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (bytes.length !== entry.size || digest !== entry.digest) {
      throw new VerifyError("DIGEST", `mail "${name}": it is not the file that was delivered`);
    }
    before = entry.seq;
    there.add(entry.seq);
  }
  return there;
}
