/**
 * Stanzas for SSH keys as the `age` command writes them: `-> ssh-ed25519 TAG SHARE` and `-> ssh-rsa TAG`. The format is
 * normative in docs/formats/sealed-mail.md. A tag is 32 bits of a hash: it says which key to try, never that it fits.
 */

import { constants, createHash, hash, hkdfSync, type KeyObject, privateDecrypt, publicEncrypt } from "node:crypto";
import { encodeBase64Unpadded } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";
import { FILE_KEY_BYTES, unwrapFileKey, wrapFileKey } from "./file-key.ts";
import type { Stanza } from "./header.ts";
import { ephemeralKey, pointOf, privateKeyOf, publicKeyOf, sharedSecret } from "./x25519.ts";
import { parseShare, smallOrderShare } from "./x25519-stanza.ts";

const ED25519_INFO = "age-encryption.org/v1/ssh-ed25519";
const RSA_OPTIONS = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: "sha256",
  oaepLabel: Buffer.from("age-encryption.org/v1/ssh-rsa"),
};

/** The tag of a key, from its wire encoding. */
export function sshTag(blob: Buffer): string {
  return encodeBase64Unpadded(hash("sha256", blob, "buffer").subarray(0, 4));
}

/**
 * The secret scalar that binds a shared secret to one SSH key: x and -x are the same point on Curve25519, so without
 * it two Ed25519 keys could share a stanza.
 */
export function tweakOf(blob: Buffer): KeyObject {
  return privateKeyOf(new Uint8Array(hkdfSync("sha256", Buffer.alloc(0), blob, ED25519_INFO, 32)));
}

function ed25519WrappingKey(secret: Buffer, share: Buffer, montgomery: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, Buffer.concat([share, montgomery]), ED25519_INFO, 32));
}

/** What a recipient keeps, so that sealing costs one multiplication of a point. */
export interface Ed25519Recipient {
  readonly tag: string;
  readonly montgomery: Buffer;
  /** The tweak times the point: multiplying by the tweak first gives the same secret as doing it last. */
  readonly tweaked: KeyObject;
}

/** @throws FormatError KEY */
export function ed25519Recipient(blob: Buffer, montgomery: Buffer): Ed25519Recipient {
  const tweaked = sharedSecret(tweakOf(blob), publicKeyOf(montgomery));
  if (tweaked === null) throw new FormatError("KEY", "ed25519 key: the point is of small order");
  return { tag: sshTag(blob), montgomery, tweaked: publicKeyOf(tweaked) };
}

export function wrapSshEd25519({ tag, montgomery, tweaked }: Ed25519Recipient, fileKey: Buffer): Stanza {
  const { privateKey, point: share } = ephemeralKey();
  const secret = sharedSecret(privateKey, tweaked);
  if (secret === null) throw new FormatError("KEY", "ed25519 key: the point is of small order");
  return {
    args: ["ssh-ed25519", tag, encodeBase64Unpadded(share)],
    body: wrapFileKey(fileKey, ed25519WrappingKey(secret, share, montgomery)),
  };
}

export interface Ed25519Identity {
  readonly tag: string;
  readonly tweak: KeyObject;
  readonly privateKey: KeyObject;
  readonly montgomery: Buffer;
}

/** @param seed the 32 bytes of the private key, as RFC 8032 section 5.1.5 has them */
export function ed25519Identity(blob: Buffer, seed: Uint8Array): Ed25519Identity {
  const privateKey = privateKeyOf(createHash("sha512").update(seed).digest().subarray(0, 32));
  return { tag: sshTag(blob), tweak: tweakOf(blob), privateKey, montgomery: pointOf(privateKey) };
}

export function unwrapSshEd25519(identity: Ed25519Identity, { args, body }: Stanza): Buffer | null {
  if (args[0] !== "ssh-ed25519") return null;
  if (args.length !== 3) throw new FormatError("AGE-HEADER", "age header: an ssh-ed25519 stanza has not two arguments");
  const share = parseShare(args[2]);
  if (args[1] !== identity.tag) return null;
  const secret = sharedSecret(identity.privateKey, publicKeyOf(share));
  const tweaked = secret === null ? null : sharedSecret(identity.tweak, publicKeyOf(secret));
  if (tweaked === null) throw smallOrderShare();
  return unwrapFileKey(body, ed25519WrappingKey(tweaked, share, identity.montgomery));
}

export function wrapSshRsa(key: KeyObject, tag: string, fileKey: Buffer): Stanza {
  return { args: ["ssh-rsa", tag], body: publicEncrypt({ key, ...RSA_OPTIONS }, fileKey) };
}

export function unwrapSshRsa(key: KeyObject, tag: string, { args, body }: Stanza): Buffer | null {
  if (args[0] !== "ssh-rsa") return null;
  if (args.length !== 2) throw new FormatError("AGE-HEADER", "age header: an ssh-rsa stanza has not one argument");
  if (args[1] !== tag) return null;
  let fileKey: Buffer;
  try {
    fileKey = privateDecrypt({ key, ...RSA_OPTIONS }, body);
  } catch (error) {
    // Another key of the same tag: OpenSSL says no more than that decryption failed.
    if (error instanceof Error && "code" in error && String(error.code).startsWith("ERR_OSSL_")) return null;
    throw error;
  }
  if (fileKey.length !== FILE_KEY_BYTES) {
    throw new FormatError("AGE-HEADER", `age header: a file key has ${fileKey.length} bytes, expected 16`);
  }
  return fileKey;
}
