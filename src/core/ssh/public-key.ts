/** SSH public keys in the form of `authorized_keys` and `*.pub` (RFC 4253 section 6.6, sshd(8)), accepted strictly. */

import { bigIntOf, decodeBase64 } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";
import { faultOfPoint, type PointFault } from "./edwards25519.ts";
import { nistCurve, nistPublicKey } from "./nist-curves.ts";
import { WireReader } from "./wire.ts";

const MAX_LINE_CHARACTERS = 16 * 1024;
const MIN_RSA_BITS = 3072;
const MAX_RSA_BITS = 16384;
const RSA_EXPONENT = 65537n;
/** What `ssh-keygen` names in every FIDO2 key; a key of another application signs for a web site, too. */
const SK_APPLICATION = "ssh:";
/** With what verifying keeps of them, 30 MB at most; a hundred times the keys that one account may have. */
const MAX_ACCEPTED = 4096;
const MAX_ACCEPTED_CHARACTERS = 1024;

const TYPES = [
  "ssh-ed25519",
  "ssh-rsa",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
] as const;

export type SshKeyType = (typeof TYPES)[number];

/** A public key that may be used: parsing it is the check. */
export interface SshPublicKey {
  readonly type: SshKeyType;
  /** The wire encoding, what the base64 of the line stands for. */
  readonly blob: Buffer;
  /** The one canonical line: type, one space, base64; no comment, no line end. */
  readonly line: string;
}

/**
 * Parses one line `TYPE BASE64 [COMMENT]`; the comment is dropped, one line end after it is fine, options are not.
 * Ed25519 points must be canonical and of prime order, RSA keys have 3072 bits or more and the exponent 65537, ECDSA
 * points lie on the curve that the type names, FIDO2 keys belong to the application `ssh:`.
 * @throws FormatError KEY
 */
export function parsePublicKey(line: string): SshPublicKey {
  if (line.length > MAX_LINE_CHARACTERS) {
    throw new FormatError("KEY", `public key: ${line.length} characters, at most ${MAX_LINE_CHARACTERS} are expected`);
  }
  const match = /^([^\s]+)[ \t]+([^\s]+)(?:[ \t]+\P{Cc}*)?\r?\n?$/u.exec(line);
  const type = TYPES.find((known) => known === match?.[1]);
  if (match === null || type === undefined) {
    throw new FormatError("KEY", `public key: expected one line "TYPE BASE64 [COMMENT]", found ${quote(line)}`, {
      hint: `the types are ${TYPES.join(", ")}; options in front of the key are not accepted`,
    });
  }
  const known = accepted.get(`${type} ${match[2]}`);
  if (known !== undefined) return known;
  const blob = decodeBase64(match[2] ?? "");
  if (blob === null) throw new FormatError("KEY", `public key: the part after "${type}" is not canonical base64`);
  checkBlob(type, blob);
  return remember({ type, blob, line: `${type} ${blob.toString("base64")}` });
}

/**
 * Keys that passed, by their lines: judging a point costs 100 times as much as finding it here, and the same few keys
 * stand in every version of an account. The oldest make room.
 */
const accepted = new Map<string, SshPublicKey>();

function remember(key: SshPublicKey): SshPublicKey {
  if (key.line.length > MAX_ACCEPTED_CHARACTERS) return key;
  for (const oldest of accepted.keys()) {
    if (accepted.size < MAX_ACCEPTED) break;
    accepted.delete(oldest);
  }
  // Bytes of its own: a slice of Node's pool would keep 8 KiB alive.
  const own: SshPublicKey = { ...key, blob: Buffer.from(new Uint8Array(key.blob).buffer) };
  accepted.set(own.line, own);
  return own;
}

/**
 * Checks a wire encoding that stands without its line, as inside a private key file or a signature.
 * @throws FormatError KEY
 */
export function parsePublicKeyBlob(blob: Buffer): SshPublicKey {
  const name = new WireReader(blob, "KEY", "public key").name();
  return parsePublicKey(`${name} ${blob.toString("base64")}`);
}

function quote(line: string): string {
  const start = line.slice(0, 40).replace(/\p{Cc}/gu, "?");
  return `"${start}${line.length > 40 ? "…" : ""}"`;
}

function checkBlob(type: SshKeyType, blob: Buffer): void {
  const reader = new WireReader(blob, "KEY", `${type} key`);
  const inner = reader.name();
  if (inner !== type) throw new FormatError("KEY", `the line says "${type}" and the key inside "${inner}"`);
  switch (type) {
    case "ssh-ed25519":
      checkEd25519(reader.string());
      break;
    case "sk-ssh-ed25519@openssh.com":
      checkEd25519(reader.string());
      checkApplication(reader.name());
      break;
    case "ssh-rsa":
      checkRsa(reader.positive(), reader.positive());
      break;
    case "ecdsa-sha2-nistp256":
    case "ecdsa-sha2-nistp384":
    case "ecdsa-sha2-nistp521":
      checkEcdsa(type.slice("ecdsa-sha2-".length), reader.name(), reader.string());
      break;
    case "sk-ecdsa-sha2-nistp256@openssh.com":
      checkEcdsa("nistp256", reader.name(), reader.string());
      checkApplication(reader.name());
      break;
  }
  reader.end();
}

const POINT_MESSAGES: Record<PointFault, string> = {
  length: "has not 32 bytes",
  "non-canonical": "is not encoded in its one canonical form",
  "off-curve": "is not a point of the curve",
  "small-order": "is a point of small order, with which anyone can sign",
  "mixed-order": "is a point outside the prime-order group",
};

function checkEd25519(point: Buffer): void {
  const fault = faultOfPoint(point);
  if (fault !== null) throw new FormatError("KEY", `ed25519 key: the public key ${POINT_MESSAGES[fault]}`);
}

function checkRsa(exponent: Buffer, modulus: Buffer): void {
  const bits = bigIntOf(modulus).toString(2).length;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw new FormatError("KEY", `rsa key: ${bits} bits, expected ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`, {
      hint: "make an ed25519 key: ssh-keygen -t ed25519",
    });
  }
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw new FormatError("KEY", "rsa key: the modulus is even");
  if (bigIntOf(exponent) !== RSA_EXPONENT) {
    throw new FormatError("KEY", `rsa key: the public exponent is not ${RSA_EXPONENT}`);
  }
}

function checkEcdsa(expected: string, named: string, point: Buffer): void {
  const curve = nistCurve(expected);
  if (curve === null || named !== expected) {
    throw new FormatError("KEY", `ecdsa key: the curve is "${named}", expected "${expected}"`);
  }
  nistPublicKey(curve, point);
}

function checkApplication(application: string): void {
  if (application !== SK_APPLICATION) {
    throw new FormatError("KEY", `security key: the application is "${application}", expected "${SK_APPLICATION}"`);
  }
}

/** The 32 bytes of the point in an `ssh-ed25519` key. */
export function ed25519Point(key: SshPublicKey): Buffer {
  if (key.type !== "ssh-ed25519") throw new FormatError("KEY", `expected an ssh-ed25519 key, found ${key.type}`);
  return key.blob.subarray(-32);
}
