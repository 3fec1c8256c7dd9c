/** X25519 (RFC 7748) on 32-byte strings; `node:crypto` does the work and wants key objects. */

import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";

// RFC 8410: everything in front of the 32 bytes of a key.
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

export function privateKeyOf(scalar: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, scalar]), format: "der", type: "pkcs8" });
}

export function publicKeyOf(point: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, point]), format: "der", type: "spki" });
}

/** The 32 bytes of the public half of either kind of key. As JWK, because that is ten times faster than DER. */
export function pointOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

/** The shared secret, or null if the point is of small order: everybody would know the secret. */
export function sharedSecret(privateKey: KeyObject, publicKey: KeyObject): Buffer | null {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (error) {
    // OpenSSL refuses an all-zero secret, as RFC 7748 section 6.1 asks, and nothing else can fail with these keys.
    if (error instanceof Error && "code" in error && error.code === "ERR_OSSL_FAILED_DURING_DERIVATION") return null;
    throw error;
  }
}

/** A key for one use. */
export function ephemeralKey(): { privateKey: KeyObject; point: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  return { privateKey, point: pointOf(publicKey) };
}
