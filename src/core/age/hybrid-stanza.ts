/**
 * Stanzas of post-quantum recipients, `-> mlkem768x25519 SHARE`: HPKE (RFC 9180, base mode, HKDF-SHA256,
 * ChaCha20-Poly1305) over the KEM X-Wing, which is ML-KEM-768 and X25519 side by side: it holds while one of them does.
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  encapsulate,
  type KeyObject,
} from "node:crypto";
import { decodeBase64Unpadded, encodeBase64Unpadded } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";
import { unwrapFileKey, wrapFileKey } from "./file-key.ts";
import type { Stanza } from "./header.ts";
import { ephemeralKey, pointOf, privateKeyOf, publicKeyOf, sharedSecret } from "./x25519.ts";
import { smallOrderShare } from "./x25519-stanza.ts";

const INFO = "age-encryption.org/mlkem768x25519";
const KEM_KEY_BYTES = 1184;
const KEM_TEXT_BYTES = 1088;
const POINT_BYTES = 32;
export const HYBRID_PUBLIC_BYTES = KEM_KEY_BYTES + POINT_BYTES;
const SHARE_BYTES = KEM_TEXT_BYTES + POINT_BYTES;

// X.509 wrappings of ML-KEM-768 keys, the private one as a 64-byte seed (RFC 9935).
const KEM_SPKI_PREFIX = Buffer.from("308204b2300b0609608648016503040402038204a100", "hex");
const KEM_PKCS8_PREFIX = Buffer.from("3054020100300b060960864801650304040204428040", "hex");

const XWING_LABEL = Buffer.from("\\.//^\\", "latin1");
const HPKE_VERSION = Buffer.from("HPKE-v1", "latin1");
// KEM 0x647a (X-Wing), KDF 1 (HKDF-SHA256), AEAD 3 (ChaCha20-Poly1305).
const SUITE = Buffer.concat([Buffer.from("HPKE", "latin1"), Buffer.of(0x64, 0x7a, 0, 1, 0, 3)]);

export interface HybridRecipient {
  readonly kem: KeyObject;
  readonly x25519: KeyObject;
  readonly point: Buffer;
}

export interface HybridIdentity extends HybridRecipient {
  readonly publicBytes: Buffer;
}

/** The two keys in the 1,216 bytes of a recipient. @throws FormatError KEY */
export function hybridRecipient(bytes: Buffer): HybridRecipient {
  const point = bytes.subarray(KEM_KEY_BYTES);
  let kem: KeyObject;
  try {
    const key = Buffer.concat([KEM_SPKI_PREFIX, bytes.subarray(0, KEM_KEY_BYTES)]);
    kem = createPublicKey({ key, format: "der", type: "spki" });
  } catch (cause) {
    throw new FormatError("KEY", "age recipient: its ML-KEM-768 part is not a public key", { cause });
  }
  return { kem, x25519: publicKeyOf(point), point };
}

/** The two private keys that a 32-byte seed stands for. */
export function hybridIdentity(seed: Buffer): HybridIdentity {
  const expanded = createHash("shake256", { outputLength: 96 }).update(seed).digest();
  const key = Buffer.concat([KEM_PKCS8_PREFIX, expanded.subarray(0, 64)]);
  const kem = createPrivateKey({ key, format: "der", type: "pkcs8" });
  const x25519 = privateKeyOf(expanded.subarray(64));
  const point = pointOf(x25519);
  const kemPublic = createPublicKey(kem).export({ format: "der", type: "spki" }).subarray(KEM_SPKI_PREFIX.length);
  return { kem, x25519, point, publicBytes: Buffer.concat([kemPublic, point]) };
}

function combine(kemSecret: Buffer, pointSecret: Buffer, share: Buffer, point: Buffer): Buffer {
  const hash = createHash("sha3-256").update(kemSecret).update(pointSecret);
  return hash.update(share).update(point).update(XWING_LABEL).digest();
}

function extract(salt: Buffer, label: string, material: Buffer | string): Buffer {
  return createHmac("sha256", salt).update(HPKE_VERSION).update(SUITE).update(label).update(material).digest();
}

/** RFC 9180's LabeledExpand for at most 32 bytes: one block of HKDF. */
function expand(key: Buffer, label: string, info: Buffer, length: number): Buffer {
  const hmac = createHmac("sha256", key).update(Buffer.of(0, length)).update(HPKE_VERSION).update(SUITE).update(label);
  return hmac.update(info).update(Buffer.of(1)).digest().subarray(0, length);
}

const NONE = Buffer.alloc(0);
const CONTEXT = Buffer.concat([Buffer.of(0), extract(NONE, "psk_id_hash", ""), extract(NONE, "info_hash", INFO)]);

function wrappingKey(secret: Buffer): { key: Buffer; nonce: Buffer } {
  const master = extract(secret, "secret", "");
  return { key: expand(master, "key", CONTEXT, 32), nonce: expand(master, "base_nonce", CONTEXT, 12) };
}

export function wrapHybrid(recipient: HybridRecipient, fileKey: Buffer): Stanza {
  const { sharedKey, ciphertext } = encapsulate(recipient.kem);
  const { privateKey, point: share } = ephemeralKey();
  const secret = sharedSecret(privateKey, recipient.x25519);
  if (secret === null) throw new FormatError("KEY", "age recipient: the point is of small order");
  const { key, nonce } = wrappingKey(combine(Buffer.from(sharedKey), secret, share, recipient.point));
  return {
    args: ["mlkem768x25519", encodeBase64Unpadded(Buffer.concat([Buffer.from(ciphertext), share]))],
    body: wrapFileKey(fileKey, key, nonce),
  };
}

export function unwrapHybrid(identity: HybridIdentity, { args, body }: Stanza): Buffer | null {
  if (args[0] !== "mlkem768x25519") return null;
  const encoded = args.length === 2 ? decodeBase64Unpadded(args[1] ?? "") : null;
  if (encoded?.length !== SHARE_BYTES) {
    throw new FormatError(
      "AGE-HEADER",
      `age header: an mlkem768x25519 stanza has not one argument of ${SHARE_BYTES} bytes`,
    );
  }
  const share = encoded.subarray(KEM_TEXT_BYTES);
  const secret = sharedSecret(identity.x25519, publicKeyOf(share));
  if (secret === null) throw smallOrderShare();
  const kemSecret = Buffer.from(decapsulate(identity.kem, encoded.subarray(0, KEM_TEXT_BYTES)));
  const { key, nonce } = wrappingKey(combine(kemSecret, secret, share, identity.point));
  return unwrapFileKey(body, key, nonce);
}
