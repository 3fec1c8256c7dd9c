/** Keys that sign for the vectors: the same from the same name each time, and able to sign what no honest key would. */

import {
  checkPrimeSync,
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
} from "node:crypto";
import { bigIntOf, bytesOf } from "#core/bytes.ts";
import { ed25519PrivateKey } from "#core/ssh/private-key.ts";
import { wirePositive, wireString } from "#core/ssh/wire.ts";

export function bytesFrom(name: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 64 < length; i++) blocks.push(createHash("sha512").update(`${name} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const concat = (...parts: (Buffer | string)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
export const wire = (value: Buffer | string): Buffer =>
  wireString(typeof value === "string" ? Buffer.from(value, "latin1") : value);
export const sha256 = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();

/** A key and how it signs: the content of the signature field. */
export interface Signer {
  key: Buffer;
  proof(bytes: Buffer): Buffer;
}

export const ORDER_25519 = 2n ** 252n + 27742317777372353535851937790883648493n;
export const littleEndian = (bytes: Buffer): bigint => bigIntOf(Buffer.from(bytes).reverse());
export const littleEndianOf = (value: bigint): Buffer => Buffer.from(bytesOf(value, 32)).reverse();

export function ed25519(
  name: string,
): Signer & { raw(bytes: Buffer): Buffer; withR(r: Buffer, bytes: Buffer): Buffer; point: Buffer } {
  const seed = bytesFrom(name, 32);
  const secret = ed25519PrivateKey(seed);
  const point = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32);
  const raw = (bytes: Buffer): Buffer => sign(null, bytes, secret);
  // RFC 8032 section 5.1.6 with r = 0, so that S fits any R of small order but for that R.
  const withR = (r: Buffer, bytes: Buffer): Buffer => {
    const scalar = createHash("sha512").update(seed).digest().subarray(0, 32);
    scalar.writeUInt8(scalar.readUInt8(0) & 248, 0);
    scalar.writeUInt8((scalar.readUInt8(31) & 63) | 64, 31);
    const h = littleEndian(
      createHash("sha512")
        .update(concat(r, point, bytes))
        .digest(),
    );
    return concat(r, littleEndianOf((h * littleEndian(scalar)) % ORDER_25519));
  };
  const type = "ssh-ed25519";
  return {
    key: concat(wire(type), wire(point)),
    proof: (bytes) => concat(wire(type), wire(raw(bytes))),
    raw,
    withR,
    point,
  };
}

function primeFrom(name: string, bits: number, exponent: bigint): bigint {
  const bytes = bytesFrom(name, bits / 8);
  bytes.writeUInt8(bytes.readUInt8(0) | 0xc0, 0);
  let candidate = bigIntOf(bytes) | 1n;
  while ((candidate - 1n) % exponent === 0n || !checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [((value % modulus) + modulus) % modulus, modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b, x, y] = [b - quotient * a, a, y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

export function rsa(
  name: string,
  bits: number,
  e = 65537n,
): Signer & { secret: KeyObject; modulus: bigint; with(hash: string, bytes: Buffer): Buffer } {
  const [p, q] = [primeFrom(`${name} p`, bits / 2, e), primeFrom(`${name} q`, bits / 2, e)];
  const d = inverse(e, (p - 1n) * (q - 1n));
  const text = (value: bigint): string => bytesOf(value).toString("base64url");
  const jwk = {
    kty: "RSA",
    n: text(p * q),
    e: text(e),
    d: text(d),
    p: text(p),
    q: text(q),
    dp: text(d % (p - 1n)),
    dq: text(d % (q - 1n)),
    qi: text(inverse(q, p)),
  };
  const secret = createPrivateKey({ key: jwk, format: "jwk" });
  return {
    key: concat(wire("ssh-rsa"), wirePositive(bytesOf(e)), wirePositive(bytesOf(p * q))),
    proof: (bytes) => concat(wire("rsa-sha2-512"), wire(sign("sha512", bytes, secret))),
    with: (hash, bytes) => sign(hash, bytes, secret),
    secret,
    modulus: p * q,
  };
}

const CURVES = {
  nistp256: {
    openssl: "prime256v1",
    hash: "sha256",
    bytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  nistp384: {
    openssl: "secp384r1",
    hash: "sha384",
    bytes: 48,
    order: 2n ** 384n - 0x389cb27e0bc8d220a7e5f24db74f58851313e695333ad68dn,
  },
  nistp521: {
    openssl: "secp521r1",
    hash: "sha512",
    bytes: 66,
    order: 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n,
  },
} as const;

type Numbers = { r: bigint; s: bigint };
export const mpints = ({ r, s }: Numbers): Buffer => concat(wirePositive(bytesOf(r)), wirePositive(bytesOf(s)));

export function ecdsa(
  name: string,
  curveName: keyof typeof CURVES,
): Signer & {
  point: Buffer;
  order: bigint;
  type: string;
  numbers(bytes: Buffer, wanted?: (numbers: Numbers) => boolean): Numbers;
} {
  const { openssl, hash, order, bytes: length } = CURVES[curveName];
  const secret = 1n + (bigIntOf(bytesFrom(name, length)) % (order - 1n));
  const ecdh = createECDH(openssl);
  const pointOf = (scalar: bigint): Buffer => {
    ecdh.setPrivateKey(bytesOf(scalar, length));
    return ecdh.getPublicKey();
  };
  const point = pointOf(secret);
  // SEC 1 section 4.1.3; each k comes from a name, as it must never do outside of vectors.
  const numbers = (bytes: Buffer, wanted: (numbers: Numbers) => boolean = () => true): Numbers => {
    const digest = bigIntOf(createHash(hash).update(bytes).digest());
    for (let i = 0; ; i++) {
      const k = 1n + (bigIntOf(bytesFrom(`${name} k ${i}`, length)) % (order - 1n));
      const r = bigIntOf(pointOf(k).subarray(1, 1 + length)) % order;
      const s = (inverse(k, order) * (digest + r * secret)) % order;
      if (wanted({ r, s })) return { r, s };
    }
  };
  const type = `ecdsa-sha2-${curveName}`;
  const key = concat(wire(type), wire(curveName), wire(point));
  return { key, proof: (bytes) => concat(wire(type), wire(mpints(numbers(bytes)))), point, order, type, numbers };
}

interface Said {
  flags: number;
  counter: number;
  application: string;
}

/** A FIDO2 key around another one: what the token says is signed with the bytes. */
export function token(
  inside: { key: Buffer; proof(bytes: Buffer): Buffer },
  changes: Partial<Said> = {},
  says: Partial<Said> = {},
): Signer {
  const { flags, counter, application } = { flags: 1, counter: 7, application: "ssh:", ...changes };
  const said = concat(Buffer.of(says.flags ?? flags), uint32(says.counter ?? counter));
  const rename = (bytes: Buffer): Buffer => {
    const name = bytes.toString("latin1", 4, 4 + bytes.readUInt32BE());
    return concat(wire(`sk-${name}@openssh.com`), bytes.subarray(4 + name.length));
  };
  return {
    key: concat(rename(inside.key), wire(application)),
    proof: (bytes) =>
      concat(
        rename(
          inside.proof(concat(sha256(Buffer.from(application)), Buffer.of(flags), uint32(counter), sha256(bytes))),
        ),
        said,
      ),
  };
}
