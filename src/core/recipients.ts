/** Whom mail can come for, as the machine `in` works with it (docs/formats/recipients.md). */

import { isChainId } from "./account/chain-id.ts";
import type { Recipient } from "./age/recipient.ts";
import { parseRecipient } from "./age/recipient.ts";
import { checkRecipients } from "./age/seal.ts";
import { FormatError } from "./errors.ts";
import { isAccountName, isDomain } from "./mail/address.ts";

const VERSION_LINE = "shoal-recipients/v1";
const MAX_SEAL_KEYS = 10;
const MACHINE = /^[a-z0-9][a-z0-9-]{0,62}$/;
const NUMBER = /^(0|[1-9][0-9]{0,14})$/;

/** What the file says of one account. */
export interface RecipientEntry {
  readonly name: string;
  /** Its id, 22 characters. */
  readonly account: string;
  /** Of the state that gives the keys; 0 where there are none. */
  readonly version: number;
  readonly quotaBytes: number;
  /** The `fetch` machine that keeps its mail. */
  readonly fetch: string;
  /** Recipients in canonical text, at most 10; none where no mail may be taken now: suspended, or no state yet. */
  readonly seal: readonly string[];
}

export interface ListedAccount extends RecipientEntry {
  /**
   * The keys that its mail is sealed to, parsed when first asked for and then kept.
   * @throws FormatError KEY, PolicyError NO-SEAL-KEY, KEY-MIX or KEY-TAG: each time, and no mail may be taken then
   */
  recipients(): readonly Recipient[];
}

export interface Recipients {
  readonly domain: string;
  readonly byName: ReadonlyMap<string, ListedAccount>;
}

/**
 * Prints the file, sorted by name, keys sorted and without duplicates.
 * @throws FormatError CONFIG for what the format can't say; keys are checked when mail comes, not here
 */
export function printRecipients(domain: string, entries: Iterable<RecipientEntry>): string {
  const sorted = [...entries].sort((a, b) => compare(a.name, b.name));
  const lines = [VERSION_LINE, `domain ${domain}`];
  for (const { name, account, version, quotaBytes, fetch, seal } of sorted) {
    lines.push(`account ${name} ${account} ${version} ${quotaBytes} ${fetch}`);
    for (const key of [...new Set(seal)].sort(compare)) lines.push(`seal ${key}`);
  }
  const text = `${lines.join("\n")}\n`;
  parseRecipients(text);
  return text;
}

/** By code units, as everywhere in our formats: the same on every machine. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Parses the file; 10,000 accounts take some 20 ms, because keys are looked at when mail comes for them.
 * @throws FormatError CONFIG with the line number
 */
export function parseRecipients(text: string): Recipients {
  const fail = (index: number, expected: string): never => {
    throw new FormatError("CONFIG", `recipients: line ${index + 1}: expected ${expected}`);
  };
  const lines = text.split("\n");
  if (lines.pop() !== "") fail(lines.length, "a line end behind the last line");
  if (lines[0] !== VERSION_LINE) fail(0, `"${VERSION_LINE}"`);
  const domain = lines[1]?.startsWith("domain ") === true ? lines[1].slice("domain ".length) : "";
  if (!isDomain(domain)) fail(1, '"domain NAME" in lower case');

  const byName = new Map<string, ListedAccount>();
  let previous = "";
  let index = 2;
  while (index < lines.length) {
    const words = (lines[index] ?? "").split(" ");
    const [keyword, name = "", account = "", version = "", quota = "", fetch = ""] = words;
    if (
      words.length !== 6 ||
      keyword !== "account" ||
      !isAccountName(name) ||
      !isChainId(account) ||
      !NUMBER.test(version) ||
      !NUMBER.test(quota) ||
      !MACHINE.test(fetch)
    ) {
      fail(index, '"account NAME ACCOUNT VERSION QUOTA-BYTES MACHINE"');
    }
    if (compare(previous, name) >= 0) fail(index, `an account behind "${previous}", each once and in order`);
    previous = name;
    index++;
    const seal: string[] = [];
    for (let line = lines[index]; line?.startsWith("seal ") === true; line = lines[++index]) {
      const key = line.slice("seal ".length);
      if (!/^[\x21-\x7e]+( [\x21-\x7e]+)?$/.test(key)) fail(index, '"seal KEY"');
      if (compare(seal.at(-1) ?? "", key) >= 0) fail(index, "a key behind the one before it, each once and in order");
      seal.push(key);
    }
    if (seal.length > MAX_SEAL_KEYS) fail(index, `at most ${MAX_SEAL_KEYS} keys for "${name}"`);
    if ((version === "0") !== (seal.length === 0)) fail(index, `"seal KEY" lines exactly where the version is not 0`);
    const entry = { name, account, version: Number(version), quotaBytes: Number(quota), fetch, seal };
    byName.set(name, new ParsedAccount(entry));
  }
  return { domain, byName };
}

class ParsedAccount implements ListedAccount {
  readonly name: string;
  readonly account: string;
  readonly version: number;
  readonly quotaBytes: number;
  readonly fetch: string;
  readonly seal: readonly string[];
  #recipients: readonly Recipient[] | undefined;

  constructor({ name, account, version, quotaBytes, fetch, seal }: RecipientEntry) {
    this.name = name;
    this.account = account;
    this.version = version;
    this.quotaBytes = quotaBytes;
    this.fetch = fetch;
    this.seal = seal;
  }

  recipients(): readonly Recipient[] {
    if (this.#recipients === undefined) {
      const recipients = this.seal.map(parseRecipient);
      for (const [index, { text }] of recipients.entries()) {
        if (text !== this.seal[index]) throw new FormatError("KEY", `a key of "${this.name}" is not in canonical form`);
      }
      checkRecipients(recipients);
      this.#recipients = recipients;
    }
    return this.#recipients;
  }
}
