/** Heads: what the ledger says of a whole mailbox at a time (docs/formats/mailbox-ledger.md, "Head"). */

import { isChainId } from "#core/account/chain-id.ts";
import { LineReader } from "#core/account/lines.ts";
import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { decodeBase64 } from "#core/bytes.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import type { SshPrivateKey } from "#core/ssh/private-key.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { parseSignature, verifySignature } from "#core/ssh/signature.ts";
import { firstPoint, type Point } from "./chain.ts";
import { isDigest } from "./entry.ts";
import { headNamespace, type SignerList } from "./signers.ts";

export const MAX_HEAD_BYTES = 2048;
const VERSION_LINE = "shoal-mailbox-head/v1";
/** Between heartbeats. */
export const MAX_HEARTBEAT_SECONDS = 3600;

/** The account state that was the latest one when a head was signed. */
export interface NamedState {
  readonly version: number;
  /** See `hashOfBody`. */
  readonly hash: string;
  /** When the ledger accepted it, Unix seconds. */
  readonly accepted: number;
}

export interface Head {
  readonly domain: string;
  readonly account: string;
  /** The last entry. */
  readonly last: Point;
  /** The last entry that is of no more interest: the file may begin behind it. */
  readonly base: Point;
  readonly state: NamedState;
  /** Unix seconds, by the ledger's clock; a later head has no earlier time. */
  readonly time: number;
  /** When the next head comes at the latest, Unix seconds. */
  readonly next: number;
}

/** @throws FormatError HEAD with the line, TOO-LARGE */
export function parseHead(body: Uint8Array): Head {
  const lines = new LineReader(body, MAX_HEAD_BYTES, "HEAD", "head");
  lines.exactly(VERSION_LINE);
  const domain = lines.value("domain");
  if (!isDomain(domain)) lines.refuse("a domain in lower case");
  const account = lines.value("account");
  if (!isChainId(account)) lines.refuse("22 characters of account id");
  const last = parsePoint(lines, "last", account);
  const base = parsePoint(lines, "base", account);
  if (base.seq > last.seq || (base.seq === last.seq && base.hash !== last.hash)) {
    lines.refuse("a base that is no later than the last entry, and the same if it has the same number");
  }
  const state = parseNamedState(lines);
  const time = lines.number("time");
  const next = lines.number("next");
  if (next <= time || next > time + MAX_HEARTBEAT_SECONDS) {
    lines.refuse(`a time of the next head 1 to ${MAX_HEARTBEAT_SECONDS} seconds later`);
  }
  lines.end("nothing behind it");
  return { domain, account, last, base, state, time, next };
}

function parsePoint(lines: LineReader, word: string, account: string): Point {
  const [seq = "", hash = "", ...more] = lines.value(word).split(" ");
  const point = { seq: lines.toNumber(seq), hash };
  if (!isDigest(hash) || more.length > 0) lines.refuse(`"${word} SEQ HASH", the hash in 64 hex digits`);
  if (point.seq === 0 && hash !== firstPoint(account).hash)
    lines.refuse("the hash that this account's chain begins with");
  return point;
}

function parseNamedState(lines: LineReader): NamedState {
  const [version = "", hash = "", accepted = "", ...more] = lines.value("state").split(" ");
  const state = { version: lines.toNumber(version), hash, accepted: lines.toNumber(accepted) };
  if (state.version < 1 || decodeBase64(hash)?.length !== 32 || more.length > 0) {
    lines.refuse('"state VERSION HASH ACCEPTED", the hash in base64 of a SHA-256');
  }
  return state;
}

/** The inverse of {@link parseHead}. @throws what that throws, for what the format can't say */
export function printHead({ domain, account, last, base, state, time, next }: Head): Buffer {
  const body = Buffer.from(
    [
      VERSION_LINE,
      `domain ${domain}`,
      `account ${account}`,
      `last ${last.seq} ${last.hash}`,
      `base ${base.seq} ${base.hash}`,
      `state ${state.version} ${state.hash} ${state.accepted}`,
      `time ${time}`,
      `next ${next}`,
      "",
    ].join("\n"),
    "latin1",
  );
  parseHead(body);
  return body;
}

/** Prints and signs a head: the file `ledger/head`. */
export function signHead(head: Head, key: SshPrivateKey): Buffer {
  const body = printHead(head);
  return joinSigned({ body, signatures: [signMessage(key, headNamespace(head.domain), body)] });
}

/**
 * Verifies a signed head; whose mailbox it is of and whether it is recent is the caller's question.
 * @throws as {@link splitSigned}, {@link parseSignature} and {@link parseHead}; FormatError SIGNED if it has not one signature;
 * PolicyError SIGNER for a key that the list does not name, or not for this time; VerifyError NAMESPACE, SIGNATURE, TOUCH,
 * DOMAIN
 */
export function verifyHead(bytes: Buffer, domain: string, { signers }: SignerList): Head {
  const { body, signatures } = splitSigned(bytes, MAX_HEAD_BYTES);
  const [armored, ...more] = signatures;
  if (armored === undefined || more.length > 0) {
    throw new FormatError("SIGNED", `head: ${signatures.length} signatures, expected 1`);
  }
  const signature = parseSignature(armored);
  const signer = signers.find(({ key }) => key === signature.publicKey.line);
  if (signer === undefined) throw new PolicyError("SIGNER", "head: signed by a key that the operator does not list");
  verifySignature(signature, headNamespace(domain), body);
  const head = parseHead(body);
  if (head.domain !== domain) {
    throw new VerifyError("DOMAIN", `head: the domain is "${head.domain}", expected "${domain}"`);
  }
  if (head.time < signer.from || head.time > signer.until) {
    throw new PolicyError("SIGNER", "head: signed at a time for which its key is not listed");
  }
  return head;
}
