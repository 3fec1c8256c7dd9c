/**
 * SSH signatures as `ssh-keygen -Y sign` makes them (docs/formats/sshsig.md), read and verified without a process. Each is
 * accepted in one encoding only, but for the line breaks of its armor.
 */

import { hash as hashOf, verify } from "node:crypto";
import { FormatError, VerifyError } from "#core/errors.ts";
import { unarmorSignature } from "./armor.ts";
import { parsePublicKeyBlob, type SshPublicKey } from "./public-key.ts";
import { type ProofDigest, verifyingKey } from "./verifying-key.ts";
import { WireReader, wireString } from "./wire.ts";

/** The first bytes of a signature and of what is signed. */
export const SSHSIG_MAGIC = Buffer.from("SSHSIG", "latin1");
export const SSHSIG_VERSION = 1;
const WHAT = "signature";
const MAX_NAMESPACE_CHARACTERS = 255;

const FLAG_TOUCHED = 1 << 0;
const FLAG_USER_VERIFIED = 1 << 2;
/** Both say that more follows the counter, and in an SSH signature nothing does. The other bits are left to FIDO2. */
const FLAGS_OF_LONGER_DATA = (1 << 6) | (1 << 7);

export type SignedHash = "sha256" | "sha512";

/** One SSHSIG, parsed (PROTOCOL.sshsig of OpenSSH); nothing about it has been verified. */
export interface SshSignature {
  readonly publicKey: SshPublicKey;
  readonly namespace: string;
  /** What the message was hashed with. */
  readonly hash: SignedHash;
  readonly digest: ProofDigest;
  /** ed25519: R and S. rsa: as long as the modulus. ecdsa: r and s, each as long as a coordinate. */
  readonly proof: Buffer;
  /** FIDO2 keys only: what the token says about this signature, and signed with it. */
  readonly token: { readonly flags: number; readonly counter: number } | null;
}

/** What a verified signature says about the person: true or false for FIDO2 keys, null for others. */
export interface Verified {
  readonly touched: boolean | null;
  /** By a PIN or by biometrics. */
  readonly userVerified: boolean | null;
}

/** @throws FormatError SSHSIG if no signature can have this namespace */
export function checkNamespace(namespace: string): void {
  if (!/^[\x20-\x7e]+$/.test(namespace) || namespace.length > MAX_NAMESPACE_CHARACTERS) {
    const expected = `1 to ${MAX_NAMESPACE_CHARACTERS} characters of printable ASCII`;
    throw new FormatError("SSHSIG", `signature: the namespace is not ${expected}`);
  }
}

/**
 * Parses the text that `ssh-keygen -Y sign` writes.
 * @throws FormatError SSHSIG for anything malformed, KEY for a public key that parsePublicKeyBlob refuses
 */
export function parseSignature(armored: string): SshSignature {
  const reader = new WireReader(unarmorSignature(armored), "SSHSIG", WHAT);
  if (!reader.take(SSHSIG_MAGIC.length).equals(SSHSIG_MAGIC)) {
    throw new FormatError("SSHSIG", `signature: it does not start with "${SSHSIG_MAGIC.toString("latin1")}"`);
  }
  const version = reader.uint32();
  if (version !== SSHSIG_VERSION) {
    throw new FormatError("SSHSIG", `signature: version ${version}, expected ${SSHSIG_VERSION}`);
  }
  const keyBlob = reader.string();
  const namespace = reader.name();
  const reserved = reader.string();
  const hash = reader.name();
  const inner = reader.string();
  reader.end();
  checkNamespace(namespace);
  if (reserved.length !== 0) throw new FormatError("SSHSIG", "signature: its reserved field is not empty");
  if (hash !== "sha256" && hash !== "sha512") {
    throw new FormatError("SSHSIG", `signature: the message is hashed by "${hash}", expected sha256 or sha512`);
  }
  const publicKey = parsePublicKeyBlob(keyBlob);
  return { publicKey, namespace, hash, ...parseProof(publicKey, inner) };
}

function parseProof(key: SshPublicKey, bytes: Buffer): Pick<SshSignature, "digest" | "proof" | "token"> {
  const { algorithms, proofBytes, twoNumbers, applicationHash } = verifyingKey(key);
  const reader = new WireReader(bytes, "SSHSIG", WHAT);
  const algorithm = reader.name();
  const digest = algorithms.get(algorithm);
  if (digest === undefined) {
    const expected = [...algorithms.keys()].join(" or ");
    throw new FormatError("SSHSIG", `signature: made by "${algorithm}" with a ${key.type} key, expected ${expected}`);
  }
  const proof = twoNumbers ? parseNumbers(proofBytes / 2, reader.string()) : reader.string();
  if (proof.length !== proofBytes) {
    throw new FormatError("SSHSIG", `signature: it has ${proof.length} bytes, expected ${proofBytes}`);
  }
  const token = applicationHash === null ? null : parseToken(reader);
  reader.end();
  return { digest, proof, token };
}

/** r and s, two mpints (RFC 5656 section 3.1.2), each padded to the length of a coordinate. */
function parseNumbers(length: number, bytes: Buffer): Buffer {
  const reader = new WireReader(bytes, "SSHSIG", WHAT);
  const numbers = [reader.positive(), reader.positive()];
  reader.end();
  if (numbers.some((number) => number.length > length)) {
    throw new FormatError("SSHSIG", `signature: a number in it has more than ${length} bytes`);
  }
  return Buffer.concat(numbers.flatMap((number) => [Buffer.alloc(length - number.length), number]));
}

function parseToken(reader: WireReader): { flags: number; counter: number } {
  const flags = reader.take(1).readUInt8(0);
  const counter = reader.uint32();
  if ((flags & FLAGS_OF_LONGER_DATA) !== 0) {
    throw new FormatError("SSHSIG", `signature: the token's flags ${flags} announce data that is not there`);
  }
  return { flags, counter };
}

/** The bytes that a key signs: the hash of the message in its namespace. */
export function signedBytes(namespace: string, hash: SignedHash, message: Uint8Array): Buffer {
  const digest = hashOf(hash, message, "buffer");
  const reserved = wireString("");
  return Buffer.concat([SSHSIG_MAGIC, wireString(namespace), reserved, wireString(hash), wireString(digest)]);
}

/**
 * Verifies that the holder of `signature.publicKey` signed this message for this namespace; whether that key may is the
 * caller's question.
 * @throws VerifyError NAMESPACE (another namespace than expected), SIGNATURE (does not verify), TOUCH (a FIDO2 signature
 * without a touch)
 */
export function verifySignature(signature: SshSignature, namespace: string, message: Uint8Array): Verified {
  const { publicKey, hash, digest, proof, token } = signature;
  if (signature.namespace !== namespace) {
    throw new VerifyError("NAMESPACE", `the signature is for "${signature.namespace}", expected "${namespace}"`);
  }
  const { object, applicationHash } = verifyingKey(publicKey);
  const signed = signedBytes(namespace, hash, message);
  const bytes = token === null || applicationHash === null ? signed : tokenBytes(applicationHash, token, signed);
  // The encoding of the two numbers matters to ECDSA alone.
  if (!verify(digest, bytes, { key: object, dsaEncoding: "ieee-p1363" }, proof)) {
    throw new VerifyError("SIGNATURE", "the signature does not fit the message and its key");
  }
  if (token === null) return { touched: null, userVerified: null };
  if ((token.flags & FLAG_TOUCHED) === 0) {
    throw new VerifyError("TOUCH", "the signature was made without a touch of the token", {
      hint: "make the key without -O no-touch-required",
    });
  }
  return { touched: true, userVerified: (token.flags & FLAG_USER_VERIFIED) !== 0 };
}

/** What a token signs instead of the bytes (PROTOCOL.u2f of OpenSSH). */
function tokenBytes(applicationHash: Buffer, token: { flags: number; counter: number }, signed: Buffer): Buffer {
  const said = Buffer.alloc(5);
  said.writeUInt8(token.flags, 0);
  said.writeUInt32BE(token.counter, 1);
  return Buffer.concat([applicationHash, said, hashOf("sha256", signed, "buffer")]);
}
