/** Bytes and keys that look random and are the same in every run, so that no blob and no key lies in the repository. */

import { checkPrimeSync, createCipheriv, createHash, createPrivateKey, type KeyObject } from "node:crypto";

/** `length` bytes that depend on `seed` alone. */
export function seededBytes(seed: string, length: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Ed25519 key of a seed (RFC 8410, section 7: the private key is any 32 bytes). */
export function seededEd25519(seed: string): KeyObject {
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([prefix, seededBytes(seed, 32)]), format: "der", type: "pkcs8" });
}

/** RSA key of 2048 bits of a seed. For test mail only: two seeded primes and nothing that a real key needs besides. */
export function seededRsa(seed: string): KeyObject {
  const e = 65_537n;
  const p = seededPrime(`${seed} p`, e);
  const q = seededPrime(`${seed} q`, e);
  const d = inverse(e, (p - 1n) * (q - 1n));
  const fields = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const key = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, base64url(value)]));
  return createPrivateKey({ key: { kty: "RSA", ...key }, format: "jwk" });
}

/** A prime of 1024 bits with both top bits set, so that the product of two has 2048, and fit for exponent `e`. */
function seededPrime(seed: string, e: bigint): bigint {
  const top = 3n << 1022n;
  for (let tries = 0; ; tries++) {
    const candidate = BigInt(`0x${seededBytes(`${seed} ${tries}`, 128).toString("hex")}`) | top | 1n;
    if ((candidate - 1n) % e !== 0n && checkPrimeSync(candidate)) return candidate;
  }
}

/** Inverse of `a` modulo `m` by the extended Euclidean algorithm. */
function inverse(a: bigint, m: bigint): bigint {
  let [r, nextR, t, nextT] = [m, a % m, 0n, 1n];
  while (nextR !== 0n) {
    const quotient = r / nextR;
    [r, nextR, t, nextT] = [nextR, r - quotient * nextR, nextT, t - quotient * nextT];
  }
  return ((t % m) + m) % m;
}

function base64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").toString("base64url");
}
