/** Keys of the vectors of accounts and directories, each the same from the same name. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeBech32 } from "#core/age/bech32.ts";
import { hybridIdentity } from "#core/age/hybrid-stanza.ts";
import { pointOf, privateKeyOf } from "#core/age/x25519.ts";
import { armorSignature } from "#core/ssh/armor.ts";
import { bytesFrom, concat, ecdsa, ed25519, rsa, type Signer, token, uint32, wire } from "../sshsig/keys.ts";

/** A key that signs whatever it is asked to. */
export interface Key {
  /** `TYPE BASE64` */
  readonly line: string;
  /** @param how where the signature differs from a usual one */
  readonly sign: (namespace: string, body: Buffer, how?: { hash?: "sha256" | "sha512"; signed?: Buffer }) => string;
}

export function keyOf(signer: Signer): Key {
  const type = signer.key.toString("latin1", 4, 4 + signer.key.readUInt32BE());
  return {
    line: `${type} ${signer.key.toString("base64")}`,
    sign: (namespace, body, { hash = "sha512", signed = body } = {}) => {
      const digest = createHash(hash).update(signed).digest();
      const proof = signer.proof(concat("SSHSIG", wire(namespace), wire(""), wire(hash), wire(digest)));
      const head = concat("SSHSIG", uint32(1), wire(signer.key), wire(namespace), wire(""), wire(hash));
      return armorSignature(concat(head, wire(proof)));
    },
  };
}

const made = new Map<string, Key>();

/** The ed25519 key of a name. */
export function named(name: string): Key {
  return kept(name, () => ed25519(`account ${name}`));
}

function kept(name: string, make: () => Signer): Key {
  const key = made.get(name) ?? keyOf(make());
  made.set(name, key);
  return key;
}

const TYPES = {
  ed25519: (name: string) => ed25519(name),
  rsa: (name: string) => rsa(name, 3072),
  nistp256: (name: string) => ecdsa(name, "nistp256"),
  nistp384: (name: string) => ecdsa(name, "nistp384"),
  nistp521: (name: string) => ecdsa(name, "nistp521"),
  "sk-ed25519": (name: string) => token(ed25519(name)),
  "sk-ecdsa": (name: string) => token(ecdsa(name, "nistp256")),
};
export type KeyType = keyof typeof TYPES;
export const KEY_TYPES = Object.keys(TYPES) as KeyType[];

export function typed(type: KeyType, name: string): Key {
  return kept(`${type} ${name}`, () => TYPES[type](`account ${type} ${name}`));
}

/** A native age recipient. */
export function ageKey(name: string): string {
  return encodeBech32("age", pointOf(privateKeyOf(bytesFrom(`account age ${name}`, 32))));
}

export function ageHybridKey(name: string): string {
  return encodeBech32("age1pq", hybridIdentity(bytesFrom(`account pq ${name}`, 32)).publicBytes);
}

/** A public key of the vectors of public keys, `TYPE BASE64`. */
export function publicVector(path: string): string {
  const text = readFileSync(join(import.meta.dirname, "../ssh-public-key", path), "latin1");
  return text.trimEnd().split(" ").slice(0, 2).join(" ");
}

/** The public halves of two keys whose age tags are the same, `TYPE BASE64`. */
export function collidingKeys(): [string, string] {
  const lineOf = (name: string): string => {
    const text = readFileSync(join(import.meta.dirname, "../age", name), "latin1");
    const bytes = Buffer.from(text.split("\n").slice(1, -2).join(""), "base64");
    // PROTOCOL.key of OpenSSH: the public key stands behind 39 bytes, without a passphrase.
    const length = bytes.readUInt32BE(39);
    return `ssh-ed25519 ${bytes.subarray(43, 43 + length).toString("base64")}`;
  };
  return [lineOf("colliding-tag-1"), lineOf("colliding-tag-2")];
}
