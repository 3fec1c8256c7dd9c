/** Private keys in OpenSSH's own file format (PROTOCOL.key of OpenSSH), with or without a passphrase. */

import { createDecipheriv, createPrivateKey, type KeyObject } from "node:crypto";
import bcryptPbkdf from "bcrypt-pbkdf";
import { bigIntOf, bytesOf, decodeBase64, equalBytes } from "#core/bytes.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { jwkPoint, nistCurve } from "./nist-curves.ts";
import { parsePublicKeyBlob, type SshPublicKey } from "./public-key.ts";
import { WireReader, wireString } from "./wire.ts";

const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC = Buffer.from("openssh-key-v1\0", "latin1");
const WHAT = "private key file";
/** `ssh-keygen -a` of 1,000 takes a minute here; more is a mistake or an attack. */
const MAX_ROUNDS = 1024;
const KEY_BYTES = 32;
const IV_BYTES = 16;
const BLOCK_BYTES = 16;

export type SshPrivateKey =
  | { readonly type: "ssh-ed25519"; readonly publicKey: SshPublicKey; readonly seed: Buffer }
  | {
      readonly type: "ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521";
      readonly publicKey: SshPublicKey;
      readonly key: KeyObject;
    };

/** True if the text is of the kind that {@link parsePrivateKey} reads. */
export function isPrivateKeyFile(text: string): boolean {
  return /^\s*-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);
}

/**
 * Parses a private key file of `ssh-keygen`, ed25519, rsa or ecdsa, protected by nothing or by aes256-ctr and bcrypt.
 * The public key in it passes the rules of {@link parsePublicKeyBlob} and belongs to the private one.
 * @throws FormatError KEY if it is no such file; PolicyError PASSPHRASE if it needs one and none was given; VerifyError
 * PASSPHRASE if the one given is wrong
 */
export function parsePrivateKey(text: string, passphrase?: string): SshPrivateKey {
  const reader = new WireReader(unarmor(text), "KEY", WHAT);
  if (!reader.take(MAGIC.length).equals(MAGIC)) throw new FormatError("KEY", `${WHAT}: expected "openssh-key-v1"`);
  const cipher = reader.name();
  const kdf = reader.name();
  const kdfOptions = reader.string();
  const keys = reader.uint32();
  if (keys !== 1) throw new FormatError("KEY", `${WHAT}: it holds ${keys} keys, expected 1`);
  const publicKey = parsePublicKeyBlob(reader.string());
  const protectedPart = reader.string();
  reader.end();
  if (protectedPart.length === 0 || protectedPart.length % (cipher === "none" ? 8 : BLOCK_BYTES) !== 0) {
    throw new FormatError("KEY", `${WHAT}: its private part is cut off`);
  }
  if (cipher === "none" && kdf === "none") return parsePrivatePart(publicKey, protectedPart, false);
  if (cipher !== "aes256-ctr" || kdf !== "bcrypt") {
    throw new FormatError("KEY", `${WHAT}: protected by "${cipher}" and "${kdf}", expected aes256-ctr and bcrypt`, {
      hint: "ssh-keygen -p -Z aes256-ctr -f FILE changes it",
    });
  }
  if (passphrase === undefined) throw new PolicyError("PASSPHRASE", "the private key is protected by a passphrase");
  return parsePrivatePart(publicKey, decrypt(kdfOptions, protectedPart, passphrase), true);
}

function unarmor(text: string): Buffer {
  const lines = text.trim().split(/\r?\n/);
  if (lines[0] !== BEGIN || lines.at(-1) !== END) {
    throw new FormatError("KEY", `${WHAT}: expected "${BEGIN}" and "${END}" around it`, {
      hint: isPrivateKeyFile(text) ? "ssh-keygen -p -f FILE rewrites a key in OpenSSH's own format" : undefined,
    });
  }
  const bytes = decodeBase64(lines.slice(1, -1).join(""));
  if (bytes === null) throw new FormatError("KEY", `${WHAT}: it is not canonical base64`);
  return bytes;
}

function decrypt(kdfOptions: Buffer, bytes: Buffer, passphrase: string): Buffer {
  const reader = new WireReader(kdfOptions, "KEY", WHAT);
  const salt = reader.string();
  const rounds = reader.uint32();
  reader.end();
  if (salt.length === 0 || rounds === 0 || rounds > MAX_ROUNDS) {
    throw new FormatError("KEY", `${WHAT}: ${rounds} rounds of bcrypt, expected 1 to ${MAX_ROUNDS}`);
  }
  const secret = Buffer.from(passphrase, "utf8");
  // No passphrase is empty for OpenSSH: an empty one means an unprotected file.
  if (secret.length === 0) throw new VerifyError("PASSPHRASE", "the passphrase is wrong: it is empty");
  const derived = Buffer.alloc(KEY_BYTES + IV_BYTES);
  if (bcryptPbkdf.pbkdf(secret, secret.length, salt, salt.length, derived, derived.length, rounds) !== 0) {
    throw new FormatError("KEY", `${WHAT}: a salt of ${salt.length} bytes is too long`);
  }
  const cipher = createDecipheriv("aes-256-ctr", derived.subarray(0, KEY_BYTES), derived.subarray(KEY_BYTES));
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

function parsePrivatePart(publicKey: SshPublicKey, bytes: Buffer, encrypted: boolean): SshPrivateKey {
  const reader = new WireReader(bytes, "KEY", WHAT);
  if (reader.uint32() !== reader.uint32()) {
    if (encrypted) throw new VerifyError("PASSPHRASE", "the passphrase of the private key is wrong");
    throw new FormatError("KEY", `${WHAT}: it is damaged, its check numbers differ`);
  }
  const type = reader.name();
  if (type !== publicKey.type)
    throw new FormatError("KEY", `${WHAT}: a ${publicKey.type} key and a private ${type} one`);
  const key = parseKey(publicKey, reader);
  reader.string(); // The comment.
  const padding = reader.rest();
  if (padding.length >= BLOCK_BYTES || padding.some((byte, index) => byte !== index + 1)) {
    throw new FormatError("KEY", `${WHAT}: it is damaged, its padding is not 1, 2, 3`);
  }
  return key;
}

function parseKey(publicKey: SshPublicKey, reader: WireReader): SshPrivateKey {
  const { type } = publicKey;
  if (type === "ssh-ed25519") return parseEd25519(publicKey, reader);
  if (type === "ssh-rsa") return parseRsa(publicKey, reader);
  if (type === "sk-ssh-ed25519@openssh.com" || type === "sk-ecdsa-sha2-nistp256@openssh.com") {
    throw new FormatError("KEY", `the file of a ${type} key holds no private key: that stays in its token`, {
      hint: "ssh-keygen -Y sign asks the token",
    });
  }
  return parseEcdsa(publicKey, type, reader);
}

// RFC 8410: everything in front of the seed of an Ed25519 key.
const ED25519_PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** The private key of an Ed25519 key pair, from its 32 bytes. */
export function ed25519PrivateKey(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
}

function parseEd25519(publicKey: SshPublicKey, reader: WireReader): SshPrivateKey {
  const point = reader.string();
  const pair = reader.string();
  if (pair.length !== 64) throw new FormatError("KEY", `${WHAT}: an ed25519 key has ${pair.length} bytes, expected 64`);
  const seed = pair.subarray(0, 32);
  const key = ed25519PrivateKey(seed);
  const derived = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  const parts = [point, pair.subarray(32), publicKey.blob.subarray(-32)];
  if (!parts.every((part) => equalBytes(part, derived))) {
    throw new FormatError("KEY", `${WHAT}: its public and its private key don't belong together`);
  }
  return { type: "ssh-ed25519", publicKey, seed };
}

function parseRsa(publicKey: SshPublicKey, reader: WireReader): SshPrivateKey {
  const [n, e, d, qi, p, q] = [
    reader.positive(),
    reader.positive(),
    reader.positive(),
    reader.positive(),
    reader.positive(),
    reader.positive(),
  ] as const;
  const inside = new WireReader(publicKey.blob, "KEY", WHAT);
  inside.string();
  const samePublic = inside.positive().equals(e) && inside.positive().equals(n);
  if (!samePublic || bigIntOf(p) * bigIntOf(q) !== bigIntOf(n)) {
    throw new FormatError("KEY", `${WHAT}: its public and its private key don't belong together`);
  }
  const exponent = (prime: Buffer): Buffer => bytesOf(bigIntOf(d) % (bigIntOf(prime) - 1n));
  const text = (bytes: Buffer): string => bytes.toString("base64url");
  const jwk = {
    kty: "RSA",
    n: text(n),
    e: text(e),
    d: text(d),
    p: text(p),
    q: text(q),
    dp: text(exponent(p)),
    dq: text(exponent(q)),
    qi: text(qi),
  };
  try {
    return { type: "ssh-rsa", publicKey, key: createPrivateKey({ key: jwk, format: "jwk" }) };
  } catch (cause) {
    throw new FormatError("KEY", `${WHAT}: its numbers don't make an RSA key`, { cause });
  }
}

function parseEcdsa(
  publicKey: SshPublicKey,
  type: "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521",
  reader: WireReader,
): SshPrivateKey {
  const named = reader.name();
  const point = reader.string();
  const scalar = reader.positive();
  const curve = nistCurve(type.slice("ecdsa-sha2-".length));
  const jwk = curve === null ? null : jwkPoint(curve, point);
  const blob = Buffer.concat([wireString(type), wireString(named), wireString(point)]);
  if (curve === null || jwk === null || !blob.equals(publicKey.blob) || scalar.length > curve.bytes) {
    throw new FormatError("KEY", `${WHAT}: its public and its private key don't belong together`);
  }
  try {
    // OpenSSL refuses a number that does not lead to the point.
    const d = bytesOf(bigIntOf(scalar), curve.bytes).toString("base64url");
    return { type, publicKey, key: createPrivateKey({ key: { ...jwk, d }, format: "jwk" }) };
  } catch (cause) {
    throw new FormatError("KEY", `${WHAT}: its public and its private key don't belong together`, { cause });
  }
}
