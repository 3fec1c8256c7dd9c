/** The three NIST curves of SSH's ECDSA keys (RFC 5656), named as in the key: "nistp256". */

import { createPublicKey, type KeyObject } from "node:crypto";
import { FormatError } from "#core/errors.ts";

export interface NistCurve {
  readonly jwk: string;
  readonly openssl: string;
  /** Of a coordinate, and of each half of a signature. */
  readonly bytes: number;
  /** What signatures hash with, RFC 5656 section 6.2.1. */
  readonly hash: "sha256" | "sha384" | "sha512";
}

const CURVES: Record<string, NistCurve> = {
  nistp256: { jwk: "P-256", openssl: "prime256v1", bytes: 32, hash: "sha256" },
  nistp384: { jwk: "P-384", openssl: "secp384r1", bytes: 48, hash: "sha384" },
  nistp521: { jwk: "P-521", openssl: "secp521r1", bytes: 66, hash: "sha512" },
};

/** Null for a name that is none of the three. */
export function nistCurve(name: string): NistCurve | null {
  return Object.hasOwn(CURVES, name) ? (CURVES[name] ?? null) : null;
}

/** The coordinates of a point in uncompressed form, as members of a JWK; null if it has another form or length. */
export function jwkPoint(curve: NistCurve, point: Buffer): { kty: "EC"; crv: string; x: string; y: string } | null {
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4) return null;
  return {
    kty: "EC",
    crv: curve.jwk,
    x: point.toString("base64url", 1, 1 + curve.bytes),
    y: point.toString("base64url", 1 + curve.bytes),
  };
}

/**
 * The public key at a point in uncompressed form.
 * @throws FormatError KEY if the bytes are no such form of a point of the curve
 */
export function nistPublicKey(curve: NistCurve, point: Buffer): KeyObject {
  const key = jwkPoint(curve, point);
  if (key === null) throw new FormatError("KEY", "ecdsa key: the point is not in uncompressed form");
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch (cause) {
    throw new FormatError("KEY", "ecdsa key: the public key is not a point of the curve", { cause });
  }
}
