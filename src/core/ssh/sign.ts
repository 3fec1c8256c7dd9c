/** Makes SSH signatures (docs/formats/sshsig.md) with keys that lie in files. */

import { type KeyObject, sign } from "node:crypto";
import { armorSignature } from "./armor.ts";
import { ed25519PrivateKey, type SshPrivateKey } from "./private-key.ts";
import { checkNamespace, SSHSIG_MAGIC, SSHSIG_VERSION, signedBytes } from "./signature.ts";
import { verifyingKey } from "./verifying-key.ts";
import { wirePositive, wireString } from "./wire.ts";

/** What ssh-keygen takes, too. */
const HASH = "sha512";

/**
 * Signs a message for a namespace: the text that `ssh-keygen -Y sign` would write, byte for byte for ed25519 and rsa, and
 * for ecdsa one of the many that it could.
 * @throws FormatError SSHSIG for a namespace that is not 1 to 255 characters of printable ASCII
 */
export function signMessage(key: SshPrivateKey, namespace: string, message: Uint8Array): string {
  checkNamespace(namespace);
  const version = Buffer.alloc(4);
  version.writeUInt32BE(SSHSIG_VERSION);
  return armorSignature(
    Buffer.concat([
      SSHSIG_MAGIC,
      version,
      wireString(key.publicKey.blob),
      wireString(namespace),
      wireString(""),
      wireString(HASH),
      wireString(proofOf(key, signedBytes(namespace, HASH, message))),
    ]),
  );
}

/** Making one costs several times what a signature does, and a server signs with the same key all day. */
const objects = new WeakMap<SshPrivateKey, KeyObject>();

function ed25519Object(key: Extract<SshPrivateKey, { type: "ssh-ed25519" }>): KeyObject {
  const object = objects.get(key) ?? ed25519PrivateKey(key.seed);
  objects.set(key, object);
  return object;
}

function proofOf(key: SshPrivateKey, bytes: Buffer): Buffer {
  if (key.type === "ssh-ed25519") {
    return Buffer.concat([wireString(key.type), wireString(sign(null, bytes, ed25519Object(key)))]);
  }
  if (key.type === "ssh-rsa") {
    return Buffer.concat([wireString("rsa-sha2-512"), wireString(sign("sha512", bytes, key.key))]);
  }
  const digest = verifyingKey(key.publicKey).algorithms.get(key.type);
  const halves = sign(digest, bytes, { key: key.key, dsaEncoding: "ieee-p1363" });
  const [r, s] = [halves.subarray(0, halves.length / 2), halves.subarray(halves.length / 2)];
  return Buffer.concat([wireString(key.type), wireString(Buffer.concat([wirePositive(r), wirePositive(s)]))]);
}
