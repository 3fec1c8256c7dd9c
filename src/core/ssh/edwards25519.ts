/**
 * The curve of Ed25519 (RFC 8032 section 5.1), for judging and converting public keys only: plain BigInt, not constant
 * time, so no secret may come near it.
 */

import { createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SQRT_MINUS_1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;

/** Extended coordinates: x = X/Z, y = Y/Z, T = XY/Z. */
interface Point {
  x: bigint;
  y: bigint;
  z: bigint;
  t: bigint;
}

const IDENTITY: Point = { x: 0n, y: 1n, z: 1n, t: 0n };

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let bits = exponent; bits > 0n; bits >>= 1n) {
    if ((bits & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/** Of Euclid's two numbers, give or take one: doubles hold them exactly, and all that is made of them. */
const LEADING_BITS = 50;

/**
 * Euclid's algorithm; the inverse of 0 is 0. As Lehmer had it (Knuth, The Art of Computer Programming, 4.5.2, algorithm
 * L): several steps at a time are found from leading digits alone, for as long as no other digits could change them.
 */
function inverse(value: bigint): bigint {
  // a = x * value and b = y * value (mod P) all the time, and a > b.
  let [a, b, x, y] = [P, mod(value), 0n, 1n];
  if (b === 0n) return 0n;
  while (b > 1n) {
    const steps = leadingSteps(a, b);
    if (steps === null) {
      const quotient = a / b;
      [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
      continue;
    }
    const [aa, ab, ba, bb] = steps;
    [a, b, x, y] = [aa * a + ab * b, ba * a + bb * b, aa * x + ab * y, ba * x + bb * y];
  }
  return mod(y);
}

/** Steps of Euclid's algorithm on a > b that are certain, as the matrix that they multiply (a, b) by; null for none. */
function leadingSteps(a: bigint, b: bigint): [bigint, bigint, bigint, bigint] | null {
  const bits = Math.ceil(Math.log2(Number(a)));
  if (bits <= LEADING_BITS) return null;
  const shift = BigInt(bits - LEADING_BITS);
  let [high, low] = [Number(a >> shift), Number(b >> shift)];
  let [aa, ab, ba, bb] = [1, 0, 0, 1];
  while (low + ba !== 0 && low + bb !== 0) {
    const quotient = Math.floor((high + aa) / (low + ba));
    if (quotient !== Math.floor((high + ab) / (low + bb))) break;
    [aa, ab, ba, bb] = [ba, bb, aa - quotient * ba, ab - quotient * bb];
    [high, low] = [low, high - quotient * low];
  }
  return ab === 0 ? null : [BigInt(aa), BigInt(ab), BigInt(ba), BigInt(bb)];
}

function add(a: Point, b: Point): Point {
  const xx = a.x * b.x;
  const yy = a.y * b.y;
  const tt = mod(a.t * b.t) * D;
  const zz = a.z * b.z;
  const e = mod((a.x + a.y) * (b.x + b.y) - xx - yy);
  const f = mod(zz - tt);
  const g = mod(zz + tt);
  const h = mod(yy + xx);
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(point: Point, scalar: bigint): Point {
  let result = IDENTITY;
  let double = point;
  for (let bits = scalar; bits > 0n; bits >>= 1n) {
    if ((bits & 1n) === 1n) result = add(result, double);
    double = add(double, double);
  }
  return result;
}

function isIdentity(point: Point): boolean {
  return mod(point.x) === 0n && mod(point.y - point.z) === 0n;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

/** y and the sign of x from the 32 bytes, or why they are not the one encoding of a point. */
function decode(bytes: Uint8Array): Point | "length" | "non-canonical" | "off-curve" {
  if (bytes.length !== 32) return "length";
  const encoded = littleEndian(bytes);
  const sign = encoded >> 255n;
  const y = encoded & (2n ** 255n - 1n);
  if (y >= P) return "non-canonical";
  const yy = (y * y) % P;
  const u = mod(yy - 1n);
  const v = mod(D * yy + 1n);
  // RFC 8032 section 5.1.3: x = u v^3 (u v^7)^((p-5)/8), up to a square root of -1.
  const v3 = (((v * v) % P) * v) % P;
  let x = (((u * v3) % P) * power(u * v3 * v3 * v, (P - 5n) / 8n)) % P;
  const check = (((v * x) % P) * x) % P;
  if (check === mod(-u)) x = (x * SQRT_MINUS_1) % P;
  else if (check !== u) return "off-curve";
  if (x === 0n && sign === 1n) return "non-canonical";
  if ((x & 1n) !== sign) x = mod(-x);
  return { x, y, z: 1n, t: (x * y) % P };
}

/** What is wrong with 32 bytes as an Ed25519 public key. */
export type PointFault = "length" | "non-canonical" | "off-curve" | "small-order" | "mixed-order";

/**
 * Judges an encoded point: null if it is the canonical encoding of a point of the prime-order group other than its
 * identity. Small-order keys make signatures that fit every message; mixed-order ones mean different keys to different
 * verifiers.
 */
export function faultOfPoint(bytes: Uint8Array): PointFault | null {
  return isSurelyPrimeOrder(bytes) ? null : faultByDefinition(bytes);
}

const ORDER_SCALAR = createPrivateKey({
  // RFC 8410 in front of the 32 bytes. X25519 sets and clears no bit of this scalar: 2^254 < 5 * order - 1 < 2^255, and
  // it is a multiple of 8.
  key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), encode(5n * ORDER - 1n)]),
  format: "der",
  type: "pkcs8",
});

/**
 * The quick way to a yes, ten times faster than {@link faultByDefinition}; a no means nothing. With k = 5 * order - 1, a
 * multiple of 8, k times (point of prime order + point of small order) is minus the first: the u coordinate stays the
 * same if and only if the second is the identity. A y that is no point of the curve gives a u on its twist, whose order
 * is 4 times a prime that divides neither k + 1 nor k - 1, so u never stays the same there.
 */
function isSurelyPrimeOrder(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const y = littleEndian(bytes) & (2n ** 255n - 1n);
  if (y <= 1n || y >= P - 1n) return false;
  const u = montgomeryOf(bytes);
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: u.toString("base64url") }, format: "jwk" });
  try {
    return diffieHellman({ privateKey: ORDER_SCALAR, publicKey }).equals(u);
  } catch (error) {
    // OpenSSL refuses a result of zero, which is what points of small order give.
    if (error instanceof Error && "code" in error && error.code === "ERR_OSSL_FAILED_DURING_DERIVATION") return false;
    throw error;
  }
}

/** {@link faultOfPoint} by arithmetic on the curve; slow, and knows which fault it is. */
export function faultByDefinition(bytes: Uint8Array): PointFault | null {
  const point = decode(bytes);
  if (typeof point === "string") return point;
  if (isIdentity(multiply(point, 8n))) return "small-order";
  return isIdentity(multiply(point, ORDER)) ? null : "mixed-order";
}

/**
 * The u coordinate of the same point on Curve25519 (RFC 7748 section 4.1), 32 bytes little-endian: u = (1+y)/(1-y).
 * Expects bytes that {@link faultOfPoint} found no fault in.
 */
export function montgomeryOf(bytes: Uint8Array): Buffer {
  const y = littleEndian(bytes) & (2n ** 255n - 1n);
  return encode(mod((1n + y) * inverse(1n - y)));
}

/** 32 bytes, little-endian. */
function encode(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}
