/** Signs mail by DKIM (RFC 6376; Ed25519 by RFC 8463). Only what the corpus needs: whole bodies, no expiry. */

import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";
import { seededEd25519, seededRsa } from "#test/corpus/seeded.ts";

export type Canonicalization = "simple" | "relaxed";

export interface DkimKey {
  domain: string;
  selector: string;
  algorithm: "rsa-sha256" | "ed25519-sha256";
  privateKey: KeyObject;
}

export interface DkimOptions {
  key: DkimKey;
  header: Canonicalization;
  body: Canonicalization;
  /** Names of the fields to sign, in order; a name that stands more often than there are fields forbids more of them. */
  fields: readonly string[];
}

/** The keys that sign the corpus; the same in every run. */
export function corpusKeys(): { rsa: DkimKey; ed25519: DkimKey } {
  const domain = "post.example";
  return {
    rsa: { domain, selector: "r1", algorithm: "rsa-sha256", privateKey: seededRsa("corpus") },
    ed25519: { domain, selector: "e1", algorithm: "ed25519-sha256", privateKey: seededEd25519("corpus") },
  };
}

/** The TXT record that publishes a key: RSA as SubjectPublicKeyInfo, Ed25519 as its 32 bytes. */
export function dkimRecord({ domain, selector, algorithm, privateKey }: DkimKey): {
  name: string;
  type: "TXT";
  data: string;
} {
  const info = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const [kind, bytes] = algorithm === "rsa-sha256" ? ["rsa", info] : ["ed25519", info.subarray(-32)];
  return {
    name: `${selector}._domainkey.${domain}`,
    type: "TXT",
    data: `v=DKIM1; k=${kind}; p=${bytes.toString("base64")}`,
  };
}

/** TXT records of all keys of the corpus, for the name server of the test internet. */
export function corpusRecords(): { name: string; type: "TXT"; data: string }[] {
  return Object.values(corpusKeys()).map(dkimRecord);
}

/**
 * Puts a DKIM-Signature field in front of a message.
 * @param message CRLF line ends, with the empty line between header and body
 */
export function dkimSign(message: Buffer, { key, header, body, fields }: DkimOptions): Buffer {
  const text = message.toString("latin1");
  const split = text.indexOf("\r\n\r\n");
  if (split < 0) throw new TypeError("a message to sign needs an empty line after its header");
  const bodyHash = createHash("sha256")
    .update(canonicalBody(text.slice(split + 4), body), "latin1")
    .digest("base64");
  const signature = [
    `DKIM-Signature: v=1; a=${key.algorithm}; c=${header}/${body}; d=${key.domain};`,
    `\ts=${key.selector}; h=${fields.join(":")};`,
    `\tbh=${bodyHash};`,
    "\tb=",
  ].join("\r\n");
  const signed = [...selectFields(text.slice(0, split + 2), fields), signature].map((field, index, all) => {
    const canonical = canonicalField(field, header);
    return index === all.length - 1 ? canonical : `${canonical}\r\n`;
  });
  const data = Buffer.from(signed.join(""), "latin1");
  // Ed25519 signs the hash (RFC 8463, section 3), RSA signs the data with that hash inside.
  const value =
    key.algorithm === "rsa-sha256"
      ? sign("sha256", data, key.privateKey)
      : sign(null, createHash("sha256").update(data).digest(), key.privateKey);
  const folded = value.toString("base64").replaceAll(/.{70}(?=.)/g, "$&\r\n\t ");
  return Buffer.concat([Buffer.from(`${signature}${folded}\r\n`, "latin1"), message]);
}

/** The named fields without their final CRLF, of several with one name the lowest first (section 5.4.2). */
function selectFields(header: string, names: readonly string[]): string[] {
  const fields = header.split(/\r\n(?![ \t])/).filter((field) => field !== "");
  const left = new Map<string, string[]>();
  for (const field of fields) {
    const name = field.slice(0, field.indexOf(":")).trimEnd().toLowerCase();
    left.set(name, [...(left.get(name) ?? []), field]);
  }
  return names.flatMap((name) => left.get(name.toLowerCase())?.pop() ?? []);
}

/** Section 3.4.1 and 3.4.2. */
function canonicalField(field: string, how: Canonicalization): string {
  if (how === "simple") return field;
  const colon = field.indexOf(":");
  const value = field
    .slice(colon + 1)
    .replaceAll("\r\n", "")
    .replaceAll(/[ \t]+/g, " ")
    .trim();
  return `${field.slice(0, colon).trimEnd().toLowerCase()}:${value}`;
}

/** Sections 3.4.3 and 3.4.4. */
function canonicalBody(body: string, how: Canonicalization): string {
  const ended = body === "" || body.endsWith("\r\n") ? body : `${body}\r\n`;
  const lines = how === "simple" ? ended : ended.replaceAll(/[ \t]+(?=\r\n)/g, "").replaceAll(/[ \t]+/g, " ");
  const trimmed = lines.replace(/(?:\r\n)+$/, "");
  if (trimmed === "") return how === "simple" ? "\r\n" : "";
  return `${trimmed}\r\n`;
}
