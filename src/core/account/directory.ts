/** The directory: which account has which name, signed by the operator, a chain as well (docs/formats/directory.md). */

import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { isChainId } from "./chain-id.ts";
import { joinLines, LineReader } from "./lines.ts";
import { accountNameMistake } from "./names.ts";
import { chainId, hashOfBody, type SignedText, verifiedSigners } from "./signed-text.ts";
import { MAX_AHEAD_SECONDS } from "./step.ts";

/** Ten thousand accounts can be added in one record. */
export const MAX_DIRECTORY_BYTES = 4 * 1024 * 1024;
const VERSION_LINE = "shoal-directory/v1";
const MAX_OPERATORS = 5;
const MAX_FETCH = 9;
/** User ids of accounts are 20000 and their ordinal, below 60000. */
export const MAX_ACCOUNTS_EVER = 40_000;

/** One change of a record; a name stands in one change only. */
export type DirectoryChange =
  | {
      readonly kind: "add";
      readonly name: string;
      readonly account: string;
      readonly quotaBytes: number;
      readonly fetch: number;
    }
  | { readonly kind: "set"; readonly name: string; readonly quotaBytes: number; readonly fetch: number }
  | { readonly kind: "remove" | "resume" | "suspend"; readonly name: string };

export interface DirectoryRecord {
  readonly domain: string;
  readonly version: number;
  readonly prev: string | null;
  /** Unix time in seconds. */
  readonly time: number;
  /** Keys that may sign the next record, `TYPE BASE64`. */
  readonly operators: readonly string[];
  readonly changes: readonly DirectoryChange[];
}

/** What the directory says of one name. */
export interface DirectoryEntry {
  readonly name: string;
  /** Account id, 22 characters. */
  readonly account: string;
  readonly status: "active" | "suspended" | "removed";
  readonly quotaBytes: number;
  /** Number of the `fetch` machine that keeps its mail, from 1. */
  readonly fetch: number;
  /** How many accounts were added before it: the same for ever, on every machine. */
  readonly ordinal: number;
}

export function directoryNamespace(domain: string): string {
  return `account-directory.v1@${domain}`;
}

/** @throws FormatError DIRECTORY with the line, KEY, TOO-LARGE; PolicyError NAME */
export function parseDirectoryRecord(bytes: Uint8Array): DirectoryRecord {
  const lines = new LineReader(bytes, MAX_DIRECTORY_BYTES, "DIRECTORY", "directory");
  lines.exactly(VERSION_LINE);
  const domain = lines.value("domain");
  if (!isDomain(domain)) lines.refuse("a domain in lower case");
  const version = lines.number("version");
  if (version < 1) lines.refuse("a version from 1");
  const prev = lines.previous();
  if ((version === 1) !== (prev === null)) lines.refuse('the hash of the version before, "-" in version 1 only');
  const time = lines.number("time");
  const operators = lines.sorted("operator");
  if (operators.length < 1 || operators.length > MAX_OPERATORS) lines.refuse(`1 to ${MAX_OPERATORS} operators`);
  for (const key of operators) {
    if (parsePublicKey(key).line !== key) {
      throw new FormatError("KEY", "an operator key is not written as type, one space, base64");
    }
  }
  const changes: DirectoryChange[] = [];
  const names = new Set<string>();
  let before = "";
  for (const line of lines.rest()) {
    if (before >= line) lines.refuse("a line behind the one before it, each once and sorted");
    before = line;
    const change = parseChange(line, lines);
    const mistake = accountNameMistake(change.name);
    if (mistake !== null) throw new PolicyError("NAME", `"${change.name}": expected ${mistake}`);
    if (names.has(change.name)) lines.refuse(`one change for "${change.name}"`);
    names.add(change.name);
    changes.push(change);
  }
  return { domain, version, prev, time, operators, changes };
}

function parseChange(line: string, lines: LineReader): DirectoryChange {
  const words = line.split(" ");
  const [kind, name = "", ...rest] = words;
  if ((kind === "remove" || kind === "resume" || kind === "suspend") && words.length === 2) return { kind, name };
  if (kind === "set" && rest.length === 2) return { kind, name, ...parsePlace(rest[0], rest[1], lines) };
  if (kind === "add" && rest.length === 3) {
    const [account = "", quota, fetch] = rest;
    if (!isChainId(account)) lines.refuse("22 characters of account id");
    return { kind, name, account, ...parsePlace(quota, fetch, lines) };
  }
  return lines.refuse(
    '"add NAME ACCOUNT QUOTA FETCH", "set NAME QUOTA FETCH", "remove NAME", "resume NAME" or "suspend NAME"',
  );
}

function parsePlace(quota = "", fetch = "", lines: LineReader): { quotaBytes: number; fetch: number } {
  const number = lines.toNumber(fetch);
  if (number < 1 || number > MAX_FETCH) lines.refuse(`the number of a fetch machine, 1 to ${MAX_FETCH}`);
  return { quotaBytes: lines.toNumber(quota), fetch: number };
}

/** Prints a record, sorted. @throws what {@link parseDirectoryRecord} throws, for what the format can't say */
export function printDirectoryRecord(record: DirectoryRecord): Buffer {
  const changes = record.changes.map((change) => {
    if (change.kind === "add") return `add ${change.name} ${change.account} ${change.quotaBytes} ${change.fetch}`;
    if (change.kind === "set") return `set ${change.name} ${change.quotaBytes} ${change.fetch}`;
    return `${change.kind} ${change.name}`;
  });
  const body = joinLines(
    [
      VERSION_LINE,
      `domain ${record.domain}`,
      `version ${record.version}`,
      `prev ${record.prev ?? "-"}`,
      `time ${record.time}`,
      ...record.operators.map((key) => `operator ${key}`).sort(),
      ...changes.sort(),
    ],
    "DIRECTORY",
    "directory",
  );
  parseDirectoryRecord(body);
  return body;
}

/** The directory after its latest record; {@link take} either takes the whole of a record or throws and changes nothing. */
export class Directory {
  readonly domain: string;
  /** The pinned id that its first record must have. */
  readonly id: string;
  #latest: { record: DirectoryRecord; hash: string; accepted: number } | null = null;
  readonly #byName = new Map<string, DirectoryEntry>();
  readonly #nameOf = new Map<string, string>();

  constructor(domain: string, id: string) {
    this.domain = domain;
    this.id = id;
  }

  /** The latest record; null before the first. */
  get latest(): { readonly record: DirectoryRecord; readonly hash: string; readonly accepted: number } | null {
    return this.#latest;
  }

  /** Every name that was ever given. */
  get entries(): ReadonlyMap<string, DirectoryEntry> {
    return this.#byName;
  }

  /** The entry of an account id. */
  entryOf(account: string): DirectoryEntry | undefined {
    const name = this.#nameOf.get(account);
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /**
   * @returns the names that the record changed
   * @throws as {@link parseDirectoryRecord}, then VerifyError DOMAIN, VERSION, ACCOUNT (another directory than the pinned one),
   * PREV, TIME, then as {@link verifiedSigners}, then PolicyError UNAUTHORIZED, POSSESSION, then NAME-TAKEN,
   * ACCOUNT-TAKEN, NAME-UNKNOWN, STATUS, FULL; the first that applies, in this order
   */
  take(signed: SignedText, accepted: number): string[] {
    const record = parseDirectoryRecord(signed.body);
    this.#checkPlace(record, signed.body, accepted);
    const old = this.#latest?.record.operators ?? [];
    const fresh = record.operators.filter((key) => !old.includes(key));
    const signers = verifiedSigners(signed, directoryNamespace(this.domain), new Set([...old, ...fresh]));
    if (this.#latest !== null && !old.some((key) => signers.has(key))) {
      throw new PolicyError("UNAUTHORIZED", "no operator key of the record before has signed");
    }
    const silent = fresh.find((key) => !signers.has(key));
    if (silent !== undefined) throw new PolicyError("POSSESSION", `a new operator key has not signed: ${silent}`);
    const changed = this.#changedEntries(record.changes);
    for (const entry of changed) {
      this.#byName.set(entry.name, entry);
      this.#nameOf.set(entry.account, entry.name);
    }
    this.#latest = { record, hash: hashOfBody(signed.body), accepted };
    return changed.map(({ name }) => name);
  }

  /**
   * Whether a next record could make these changes, before it is signed.
   * @throws PolicyError NAME-TAKEN, ACCOUNT-TAKEN, NAME-UNKNOWN, STATUS, FULL
   */
  checkChanges(changes: readonly DirectoryChange[]): void {
    this.#changedEntries(changes);
  }

  #checkPlace(record: DirectoryRecord, body: Buffer, accepted: number): void {
    const fail = (code: "DOMAIN" | "ACCOUNT" | "VERSION" | "PREV" | "TIME", message: string): never => {
      throw new VerifyError(code, `directory: ${message}`);
    };
    if (record.domain !== this.domain) fail("DOMAIN", `the domain is "${record.domain}", expected "${this.domain}"`);
    const version = (this.#latest?.record.version ?? 0) + 1;
    if (record.version !== version) fail("VERSION", `the version is ${record.version}, expected ${version}`);
    if (this.#latest === null && chainId(body) !== this.id) {
      fail("ACCOUNT", `the first record is of the directory "${chainId(body)}", expected "${this.id}"`);
    }
    if (record.prev !== (this.#latest?.hash ?? null)) {
      fail("PREV", `the record before is "${record.prev}", expected "${this.#latest?.hash}"`);
    }
    if (accepted < (this.#latest?.accepted ?? 0)) fail("TIME", `accepted at ${accepted}, before the last acceptance`);
    if (record.time < (this.#latest?.record.time ?? 0)) {
      fail("TIME", `the time is ${record.time}, before that of the record before`);
    }
    if (record.time > accepted + MAX_AHEAD_SECONDS) {
      fail("TIME", `the time is ${record.time}, more than ${MAX_AHEAD_SECONDS} seconds ahead of ${accepted}`);
    }
  }

  #changedEntries(changes: readonly DirectoryChange[]): DirectoryEntry[] {
    const changed: DirectoryEntry[] = [];
    const accounts = new Set<string>();
    let ordinal = this.#byName.size;
    for (const change of changes) {
      const entry = this.#byName.get(change.name);
      if (change.kind === "add") {
        if (entry !== undefined) {
          throw new PolicyError("NAME-TAKEN", `the name "${change.name}" was given before`, {
            hint: "a name is never given to somebody else, not after its removal either",
          });
        }
        if (this.#nameOf.has(change.account) || accounts.has(change.account)) {
          throw new PolicyError("ACCOUNT-TAKEN", `the account "${change.account}" has a name already`);
        }
        if (ordinal >= MAX_ACCOUNTS_EVER) {
          throw new PolicyError("FULL", `${MAX_ACCOUNTS_EVER} accounts were added, which is all that a fleet can have`);
        }
        accounts.add(change.account);
        const { name, account, quotaBytes, fetch } = change;
        changed.push({ name, account, status: "active", quotaBytes, fetch, ordinal: ordinal++ });
        continue;
      }
      if (entry === undefined || entry.status === "removed") {
        throw new PolicyError("NAME-UNKNOWN", `there is no account "${change.name}"`);
      }
      if (change.kind === "set") {
        changed.push({ ...entry, quotaBytes: change.quotaBytes, fetch: change.fetch });
        continue;
      }
      const status = ({ remove: "removed", resume: "active", suspend: "suspended" } as const)[change.kind];
      if (status === entry.status) throw new PolicyError("STATUS", `"${change.name}" is ${status} already`);
      changed.push({ ...entry, status });
    }
    return changed;
  }
}
