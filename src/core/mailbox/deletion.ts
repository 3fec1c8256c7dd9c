/** Deletion records: a device says what it removed (docs/formats/mailbox-ledger.md, "Deletion record"). */

import { createHash } from "node:crypto";
import { isChainId } from "#core/account/chain-id.ts";
import { LineReader } from "#core/account/lines.ts";
import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { SshPrivateKey } from "#core/ssh/private-key.ts";
import { parsePublicKey, type SshPublicKey } from "#core/ssh/public-key.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { parseSignature, verifySignature } from "#core/ssh/signature.ts";
import type { Point } from "./chain.ts";
import { isDigest } from "./entry.ts";

/** About 12,000 files. */
export const MAX_DELETION_BYTES = 1024 * 1024;
const VERSION_LINE = "shoal-delete/v1";

/** One file that is, or will be, removed. */
export interface Deleted {
  readonly seq: number;
  readonly digest: string;
}

export interface DeletionRecord {
  readonly account: string;
  /** See {@link deviceOf}. */
  readonly device: string;
  /** From 1, never used twice by a device. */
  readonly number: number;
  /** By the device's clock, Unix seconds. */
  readonly time: number;
  /** The last entry of the last head that the device has verified, and the time of that head. */
  readonly head: Point & { readonly time: number };
  /** At least one, by number, none behind the head. */
  readonly deleted: readonly Deleted[];
}

export function deletionNamespace(domain: string): string {
  return `mailbox-delete.v1@${domain}`;
}

/** How records name a device: the first 16 hex digits of the SHA-256 of its public key's wire encoding. */
export function deviceOf({ blob }: SshPublicKey): string {
  return createHash("sha256").update(blob).digest("hex").slice(0, 16);
}

/** The name in `del/`. */
export function deletionName({ device, number }: Pick<DeletionRecord, "device" | "number">): string {
  return `${device}-${number}`;
}

/** The empty file that says: all files of this record are removed. */
export function doneName(record: Pick<DeletionRecord, "device" | "number">): string {
  return `${deletionName(record)}.done`;
}

/** @throws FormatError DELETION with the line, TOO-LARGE */
export function parseDeletion(body: Uint8Array): DeletionRecord {
  const lines = new LineReader(body, MAX_DELETION_BYTES, "DELETION", "deletion record");
  lines.exactly(VERSION_LINE);
  const account = lines.value("account");
  if (!isChainId(account)) lines.refuse("22 characters of account id");
  const device = lines.value("device");
  if (!/^[0-9a-f]{16}$/.test(device)) lines.refuse("16 hex digits of the device's key");
  const number = lines.number("number");
  if (number < 1) lines.refuse("a number from 1");
  const time = lines.number("time");
  const [seq = "", hash = "", headTime = "", ...more] = lines.value("head").split(" ");
  const head = { seq: lines.toNumber(seq), hash, time: lines.toNumber(headTime) };
  if (!isDigest(hash) || more.length > 0) lines.refuse('"head SEQ HASH TIME", the hash in 64 hex digits');
  const deleted: Deleted[] = [];
  for (const line of lines.rest()) {
    const [text = "", digest = "", ...others] = line.split(" ");
    const seq = lines.toNumber(text);
    if (!isDigest(digest) || others.length > 0) lines.refuse('"SEQ SHA256"');
    if (seq <= (deleted.at(-1)?.seq ?? 0) || seq > head.seq) {
      lines.refuse("a number behind the one before it, and not behind the head");
    }
    deleted.push({ seq, digest });
  }
  if (deleted.length === 0) lines.refuse('"SEQ SHA256"');
  return { account, device, number, time, head, deleted };
}

/** The inverse of {@link parseDeletion}. @throws what that throws, for what the format can't say */
export function printDeletion({ account, device, number, time, head, deleted }: DeletionRecord): Buffer {
  const body = Buffer.from(
    [
      VERSION_LINE,
      `account ${account}`,
      `device ${device}`,
      `number ${number}`,
      `time ${time}`,
      `head ${head.seq} ${head.hash} ${head.time}`,
      ...deleted.map(({ seq, digest }) => `${seq} ${digest}`),
      "",
    ].join("\n"),
    "latin1",
  );
  parseDeletion(body);
  return body;
}

/** Prints a record and signs it with a key in a file; agents and tokens sign what {@link printDeletion} makes. */
export function signDeletion(record: DeletionRecord, domain: string, key: SshPrivateKey): Buffer {
  const body = printDeletion(record);
  return joinSigned({ body, signatures: [signMessage(key, deletionNamespace(domain), body)] });
}

/**
 * Verifies a file of `del/`.
 * @returns the record and the key that signed, `TYPE BASE64`; whether that key may is the caller's question
 * @throws as {@link splitSigned}, {@link parseSignature} and {@link parseDeletion}; FormatError SIGNED if it has not one
 * signature; VerifyError NAMESPACE, SIGNATURE, TOUCH; PolicyError SIGNER where the record names another device than its signer
 */
export function verifyDeletion(bytes: Buffer, domain: string): { record: DeletionRecord; key: string } {
  const { body, signatures } = splitSigned(bytes, MAX_DELETION_BYTES);
  const [armored, ...more] = signatures;
  if (armored === undefined || more.length > 0) {
    throw new FormatError("SIGNED", `deletion record: ${signatures.length} signatures, expected 1`);
  }
  const signature = parseSignature(armored);
  verifySignature(signature, deletionNamespace(domain), body);
  const record = parseDeletion(body);
  if (record.device !== deviceOf(signature.publicKey)) {
    throw new PolicyError("SIGNER", `deletion record: signed by another device than "${record.device}"`);
  }
  return { record, key: signature.publicKey.line };
}

/**
 * What of these records still has to be said: by a device that puts its own records together in one, or by the one that
 * removes a device and says again what that one deleted. The new record is written before the old ones are removed, and
 * before the new account state is handed in.
 * @param records verified ones that count
 * @param base of the current head: what is not behind it needs no record any more
 * @returns by number; empty if no new record is needed
 */
export function openDeletions(records: Iterable<DeletionRecord>, base: Pick<Point, "seq">): Deleted[] {
  const open = new Map<number, Deleted>();
  for (const { deleted } of records) {
    for (const one of deleted) if (one.seq > base.seq) open.set(one.seq, one);
  }
  return [...open.values()].sort((a, b) => a.seq - b.seq);
}

/**
 * The record in which a device says again what others said whose keys are about to go.
 * @param signer the device that signs it: one that stays, `TYPE BASE64`
 * @param number the signer's next one
 * @param head what the signer has verified last
 * @returns null if nothing is open
 * @throws VerifyError PREV if a record names a file behind the signer's head, which is then to be read again first
 */
export function resign(
  records: Iterable<DeletionRecord>,
  signer: string,
  number: number,
  head: DeletionRecord["head"] & { readonly base: Pick<Point, "seq"> },
  now: number,
): DeletionRecord | null {
  const [first] = records;
  const deleted = openDeletions(records, head.base);
  if (first === undefined || deleted.length === 0) return null;
  const behind = deleted.find(({ seq }) => seq > head.seq);
  if (behind !== undefined) {
    throw new VerifyError(
      "PREV",
      `deletion record: entry ${behind.seq} stands behind the head, which ends at ${head.seq}`,
    );
  }
  const { seq, hash, time } = head;
  const device = deviceOf(parsePublicKey(signer));
  return { account: first.account, device, number, time: now, head: { seq, hash, time }, deleted };
}
