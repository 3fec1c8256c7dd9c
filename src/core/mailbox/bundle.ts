/**
 * A proof bundle: what the ledger signed of some deliveries, in one file that a third person can check who has the operator's
 * key and the account's id (docs/formats/proof-bundle.md). Here its parts; `bundle-verify.ts` judges them.
 */

import { isChainId } from "#core/account/chain-id.ts";
import { LineReader } from "#core/account/lines.ts";
import { FormatError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { parseTar, printTar, type TarMember } from "./bundle-tar.ts";
import { firstPoint, type Point } from "./chain.ts";
import type { Deleted } from "./deletion.ts";
import { digestOfName, isDigest } from "./entry.ts";

/** The file `proof`: where the entries begin, and which of them the bundle is about. */
export interface ProofGuide {
  readonly domain: string;
  readonly account: string;
  /** The chain before the first of the entries. */
  readonly from: Point;
  /** By number; with none it is about all entries. */
  readonly about: readonly Deleted[];
}

export interface Bundle {
  readonly guide: ProofGuide;
  /** The account's versions up to the one that the head names. */
  readonly chain: Buffer;
  readonly signers: Buffer;
  readonly head: Buffer;
  readonly entries: Buffer;
  /** Deletion records, by their names in `del/`. */
  readonly records: readonly TarMember[];
  /** Sealed files, by their names in `mail/`, in the order of their entries. */
  readonly mail: readonly TarMember[];
  /** That of the head, Unix seconds. */
  readonly time: number;
}

const VERSION_LINE = "shoal-proof/v1";
/** About 12,000 entries. */
const MAX_GUIDE_BYTES = 1024 * 1024;
/** What lies in `del/` at most. */
const MAX_RECORDS = 2000;
const RECORD_NAME = /^[0-9a-f]{16}-[1-9][0-9]{0,14}$/;
const FIXED = ["proof", "account/chain", "ledger/signers", "ledger/head", "ledger/entries"] as const;

/** @throws FormatError BUNDLE with the line, TOO-LARGE */
export function parseGuide(bytes: Uint8Array): ProofGuide {
  const lines = new LineReader(bytes, MAX_GUIDE_BYTES, "BUNDLE", "proof");
  lines.exactly(VERSION_LINE);
  const domain = lines.value("domain");
  if (!isDomain(domain)) lines.refuse("a domain in lower case");
  const account = lines.value("account");
  if (!isChainId(account)) lines.refuse("22 characters of account id");
  const [seq = "", hash = "", ...more] = lines.value("from").split(" ");
  const from = { seq: lines.toNumber(seq), hash };
  if (!isDigest(hash) || more.length > 0) lines.refuse('"from SEQ HASH", the hash in 64 hex digits');
  if (from.seq === 0 && hash !== firstPoint(account).hash)
    lines.refuse("the hash that this account's chain begins with");
  const about: Deleted[] = [];
  for (const line of lines.rest()) {
    const [word, text = "", digest = "", ...others] = line.split(" ");
    if (word !== "entry" || !isDigest(digest) || others.length > 0) lines.refuse('"entry SEQ SHA256"');
    const seq = lines.toNumber(text);
    if (seq <= (about.at(-1)?.seq ?? from.seq)) lines.refuse('a number behind "from" and the one before it');
    about.push({ seq, digest });
  }
  return { domain, account, from, about };
}

/** The inverse of {@link parseGuide}. @throws what that throws, for what the format can't say */
export function printGuide({ domain, account, from, about }: ProofGuide): Buffer {
  const lines = [
    VERSION_LINE,
    `domain ${domain}`,
    `account ${account}`,
    `from ${from.seq} ${from.hash}`,
    ...about.map(({ seq, digest }) => `entry ${seq} ${digest}`),
    "",
  ];
  const bytes = Buffer.from(lines.join("\n"), "latin1");
  parseGuide(bytes);
  return bytes;
}

/**
 * Takes a bundle apart; nothing is verified. The parts are views.
 * @throws FormatError BUNDLE, TAR, TOO-LARGE
 */
export function parseBundle(bytes: Buffer): Bundle {
  const { members, time } = parseTar(bytes);
  for (const [index, name] of FIXED.entries()) {
    const found = members[index]?.name;
    if (found !== name) refuse(`"${name}"`, found);
  }
  const [guide, chain, signers, head, entries] = members.map((member) => member.bytes);
  const rest = members.slice(FIXED.length);
  const records = namesIn(rest, "del/");
  const mail = namesIn(rest.slice(records.length), "mail/");
  const odd = rest[records.length + mail.length];
  if (odd !== undefined) refuse("deletion records, then sealed files, and nothing else", odd.name);
  for (const [index, { name }] of records.entries()) {
    if (!RECORD_NAME.test(name)) refuse("a record's name", `del/${name}`);
    if ((records[index - 1]?.name ?? "") >= name) refuse("records each once and sorted by name", `del/${name}`);
  }
  if (records.length > MAX_RECORDS) throw new FormatError("BUNDLE", `bundle: more than ${MAX_RECORDS} records`);
  const odd2 = mail.find(({ name }) => digestOfName(name) === null);
  if (odd2 !== undefined) refuse("a sealed file's name", `mail/${odd2.name}`);
  const none = Buffer.alloc(0);
  return {
    guide: parseGuide(guide ?? none),
    chain: chain ?? none,
    signers: signers ?? none,
    head: head ?? none,
    entries: entries ?? none,
    records,
    mail,
    time,
  };
}

/** The members at the beginning that lie in a folder, by their names in it. */
function namesIn(members: readonly TarMember[], folder: string): TarMember[] {
  const end = members.findIndex(({ name }) => !name.startsWith(folder));
  return members
    .slice(0, end < 0 ? members.length : end)
    .map(({ name, bytes }) => ({ name: name.slice(folder.length), bytes }));
}

function refuse(expected: string, found: string | undefined): never {
  throw new FormatError(
    "BUNDLE",
    `bundle: expected ${expected}, found ${found === undefined ? "its end" : `"${found}"`}`,
  );
}

/** The inverse of {@link parseBundle}, in parts that follow each other. @throws FormatError BUNDLE, TAR, TOO-LARGE */
export function printBundle({ guide, chain, signers, head, entries, records, mail, time }: Bundle): Buffer[] {
  const fixed = [printGuide(guide), chain, signers, head, entries];
  return printTar(
    [
      ...fixed.map((bytes, index) => ({ name: FIXED[index] ?? "", bytes })),
      ...records.map(({ name, bytes }) => ({ name: `del/${name}`, bytes })),
      ...mail.map(({ name, bytes }) => ({ name: `mail/${name}`, bytes })),
    ],
    time,
  );
}
