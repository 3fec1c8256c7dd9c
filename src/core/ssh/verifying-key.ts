/** What checking a signature needs of a public key: per type of key, the signatures that it can make. */

import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { FormatError } from "#core/errors.ts";
import { nistCurve, nistPublicKey } from "./nist-curves.ts";
import type { SshPublicKey } from "./public-key.ts";
import { WireReader } from "./wire.ts";

/** What the key's own algorithm hashes with; null for ed25519, which brings its own. */
export type ProofDigest = "sha256" | "sha384" | "sha512" | null;

export interface VerifyingKey {
  readonly object: KeyObject;
  /** The algorithms that a signature of this key may name. */
  readonly algorithms: ReadonlyMap<string, ProofDigest>;
  /** Of the signature: of R and S, of a number as long as the modulus, or of r and s padded to the curve's length. */
  readonly proofBytes: number;
  /** True for ECDSA: the signature is two mpints. */
  readonly twoNumbers: boolean;
  /** SHA-256 of a FIDO2 key's application; null for keys that are no FIDO2 keys. */
  readonly applicationHash: Buffer | null;
}

/** Kept for as long as the parsed key is, and the parser keeps those that it meets often. */
const known = new WeakMap<SshPublicKey, VerifyingKey>();

/** The same object for the same parsed key. */
export function verifyingKey(publicKey: SshPublicKey): VerifyingKey {
  const kept = known.get(publicKey);
  if (kept !== undefined) return kept;
  const made = makeVerifyingKey(publicKey);
  known.set(publicKey, made);
  return made;
}

function makeVerifyingKey({ type, blob }: SshPublicKey): VerifyingKey {
  const reader = new WireReader(blob, "KEY", `${type} key`);
  reader.string(); // The type.
  if (type === "ssh-rsa") {
    const [e, n] = [reader.positive(), reader.positive()];
    const key = { kty: "RSA", e: e.toString("base64url"), n: n.toString("base64url") };
    return {
      object: createPublicKey({ key, format: "jwk" }),
      algorithms: new Map([
        ["rsa-sha2-512", "sha512"],
        ["rsa-sha2-256", "sha256"],
      ]),
      proofBytes: n.length,
      twoNumbers: false,
      applicationHash: null,
    };
  }
  const isToken = type.startsWith("sk-");
  const hashOfRest = (): Buffer | null => (isToken ? createHash("sha256").update(reader.string()).digest() : null);
  if (type === "ssh-ed25519" || type === "sk-ssh-ed25519@openssh.com") {
    const key = { kty: "OKP", crv: "Ed25519", x: reader.string().toString("base64url") };
    return {
      object: createPublicKey({ key, format: "jwk" }),
      algorithms: new Map([[type, null]]),
      proofBytes: 64,
      twoNumbers: false,
      applicationHash: hashOfRest(),
    };
  }
  const name = reader.name();
  const curve = nistCurve(name);
  if (curve === null) throw new FormatError("KEY", `ecdsa key: the curve is "${name}"`);
  return {
    object: nistPublicKey(curve, reader.string()),
    algorithms: new Map([[type, curve.hash]]),
    proofBytes: 2 * curve.bytes,
    twoNumbers: true,
    applicationHash: hashOfRest(),
  };
}
