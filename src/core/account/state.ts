/** Account states: whose keys may do what, one whole text a version (docs/formats/account-state.md). */

import { parseRecipient } from "#core/age/recipient.ts";
import { checkRecipients } from "#core/age/seal.ts";
import { sshTag } from "#core/age/ssh-stanza.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { isChainId } from "./chain-id.ts";
import { joinLines, LineReader } from "./lines.ts";

export const MAX_STATE_BYTES = 65_536;
const MAX_MASTERS = 5;
const MAX_RECOVERIES = 5;
const MAX_DEVICES_PER_USE = 10;
const VERSION_LINE = "shoal-account/v1";

/** A key of one device, or of several that share it. */
export interface Device {
  /** May log in and fetch mail. */
  readonly auth: boolean;
  /** Mail is sealed to it. */
  readonly seal: boolean;
  /** `TYPE BASE64`, or `age1…` where it only seals. */
  readonly key: string;
}

export interface AccountState {
  readonly domain: string;
  /** 22 characters; null in version 1, whose hash the id is derived from. */
  readonly account: string | null;
  /** From 1. */
  readonly version: number;
  /** Base64 SHA-256 of the body before; null in version 1. */
  readonly prev: string | null;
  /** Unix time in seconds, by the owner's clock. */
  readonly time: number;
  /** Keys that may change the account, `TYPE BASE64`. */
  readonly master: readonly string[];
  /** Keys that may change the account and outlive their removal by 72 hours. */
  readonly recovery: readonly string[];
  readonly devices: readonly Device[];
}

/** The namespace of signatures over account states of a domain. */
export function stateNamespace(domain: string): string {
  return `account-state.v1@${domain}`;
}

/**
 * Parses a body: one byte string for each state, everything else is refused.
 * @throws FormatError STATE with the line, KEY for a key that can't be used as it says, TOO-LARGE;
 * PolicyError KEY-TWICE, NO-AUTH-KEY, NO-SEAL-KEY, KEY-MIX, KEY-TAG
 */
export function parseState(bytes: Uint8Array): AccountState {
  const lines = new LineReader(bytes, MAX_STATE_BYTES, "STATE", "account state");
  lines.exactly(VERSION_LINE);
  const domain = lines.value("domain");
  if (!isDomain(domain)) lines.refuse("a domain in lower case");
  const id = lines.value("account");
  const version = lines.number("version");
  const isFirst = version === 1;
  if (version < 1) lines.refuse("a version from 1");
  if (isFirst ? id !== "-" : !isChainId(id)) lines.refuse('22 characters of account id, "-" in version 1 only');
  const prev = lines.previous();
  if (isFirst !== (prev === null)) lines.refuse('the hash of the version before, "-" in version 1 only');
  const time = lines.number("time");
  const master = lines.sorted("master");
  if (master.length < 1 || master.length > MAX_MASTERS) lines.refuse(`1 to ${MAX_MASTERS} masters`);
  const recovery = lines.sorted("recovery");
  if (recovery.length > MAX_RECOVERIES) lines.refuse(`at most ${MAX_RECOVERIES} recovery keys`);
  const devices = lines.sorted("device").map((text) => parseDevice(text, lines));
  lines.end('"master", "recovery" and "device" lines, in this order, and nothing else');
  for (const use of ["auth", "seal"] as const) {
    if (devices.filter((device) => device[use]).length > MAX_DEVICES_PER_USE) {
      lines.refuse(`at most ${MAX_DEVICES_PER_USE} devices with "${use}"`);
    }
  }
  const state = { domain, account: isFirst ? null : id, version, prev, time, master, recovery, devices };
  checkKeys(state);
  return state;
}

function parseDevice(text: string, lines: LineReader): Device {
  const match = /^(auth|seal|auth,seal) (\S+(?: \S+)?)$/.exec(text);
  if (match === null) lines.refuse('"device USES KEY", where USES is auth, seal or auth,seal');
  const [, uses = "", key = ""] = match;
  return { auth: uses.startsWith("auth"), seal: uses.endsWith("seal"), key };
}

function checkKeys({ master, recovery, devices }: AccountState): void {
  const seen = new Set<string>();
  for (const key of [...master, ...recovery, ...devices.map((device) => device.key)]) {
    if (seen.has(key)) throw new PolicyError("KEY-TWICE", `a key stands in two lines: ${key}`);
    seen.add(key);
  }
  for (const key of [...master, ...recovery]) checkedSshKey(key);
  const sealing = [];
  for (const { auth, seal, key } of devices) {
    if (auth) checkedSshKey(key);
    if (seal) sealing.push(sealKey(key));
  }
  if (!devices.some(({ auth }) => auth)) throw new PolicyError("NO-AUTH-KEY", "no device could log in");
  checkRecipients(sealing);
}

function checkedSshKey(key: string) {
  const parsed = parsePublicKey(key);
  if (parsed.line !== key) throw new FormatError("KEY", "a key is not written as type, one space, base64");
  return parsed;
}

/** What {@link checkRecipients} asks of a recipient, without the work that sealing would need. */
function sealKey(key: string): { text: string; tag: string | null; postQuantum: boolean } {
  if (key.startsWith("ssh-ed25519 ") || key.startsWith("ssh-rsa ")) {
    return { text: key, tag: sshTag(checkedSshKey(key).blob), postQuantum: false };
  }
  const recipient = parseRecipient(key);
  if (recipient.text !== key) throw new FormatError("KEY", "a recipient is not in its one canonical text");
  return recipient;
}

/**
 * Prints a state, keys sorted: the inverse of {@link parseState}.
 * @throws what {@link parseState} throws, for what the format can't say
 */
export function printState(state: AccountState): Buffer {
  const lines = (word: string, values: readonly string[]): string[] => values.map((value) => `${word} ${value}`).sort();
  const body = joinLines(
    [
      VERSION_LINE,
      `domain ${state.domain}`,
      `account ${state.account ?? "-"}`,
      `version ${state.version}`,
      `prev ${state.prev ?? "-"}`,
      `time ${state.time}`,
      ...lines("master", state.master),
      ...lines("recovery", state.recovery),
      ...lines(
        "device",
        state.devices.map(
          ({ auth, seal, key }) => `${[auth && "auth", seal && "seal"].filter(Boolean).join(",")} ${key}`,
        ),
      ),
    ],
    "STATE",
    "account state",
  );
  parseState(body);
  return body;
}
