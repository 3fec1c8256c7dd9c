/** Text forms of bytes, decoded strictly: one text for each value, everything else is null. */

import { timingSafeEqual } from "node:crypto";

/** Decodes padded canonical base64 (RFC 4648 section 4, no white space); null for anything else. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** Decodes unpadded canonical base64 (RFC 4648 section 3.2); null for anything else. */
export function decodeBase64Unpadded(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return encodeBase64Unpadded(bytes) === text ? bytes : null;
}

/** Base64 without the `=` at the end. */
export function encodeBase64Unpadded(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  if (text.endsWith("==")) return text.slice(0, -2);
  return text.endsWith("=") ? text.slice(0, -1) : text;
}

/** Compares secrets in a time that depends on their lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The number whose big-endian bytes these are; 0 for none. */
export function bigIntOf(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).toString("hex");
  return hex === "" ? 0n : BigInt(`0x${hex}`);
}

/** Big-endian bytes of a number from 0 up, in exactly `length` bytes or, without it, as few as it takes. */
export function bytesOf(value: bigint, length?: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  if (length === undefined) return bytes;
  const padded = Buffer.alloc(length);
  bytes.copy(padded, length - bytes.length);
  return padded;
}
