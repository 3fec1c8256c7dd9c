/** The 16 random bytes behind each age file, and how a wrapping key holds them (C2SP age specification). */

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { FormatError } from "#core/errors.ts";

export const FILE_KEY_BYTES = 16;
const TAG_BYTES = 16;
const ALGORITHM = "chacha20-poly1305";
const ZERO_NONCE = Buffer.alloc(12);

export function makeFileKey(): Buffer {
  return randomBytes(FILE_KEY_BYTES);
}

/** ChaCha20-Poly1305 of the file key. The nonce may be zero, because each wrapping key is used once. */
export function wrapFileKey(fileKey: Buffer, key: Buffer, nonce: Buffer = ZERO_NONCE): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  const body = cipher.update(fileKey);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/**
 * The file key out of the body of a stanza, or null if the body was not made with this wrapping key.
 * @throws FormatError AGE-HEADER if the body has not the length of a wrapped file key: a longer one could be made to
 * open with several keys
 */
export function unwrapFileKey(body: Buffer, key: Buffer, nonce: Buffer = ZERO_NONCE): Buffer | null {
  if (body.length !== FILE_KEY_BYTES + TAG_BYTES) {
    throw new FormatError("AGE-HEADER", `age header: a wrapped file key has ${body.length} bytes, expected 32`);
  }
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES));
  try {
    decipher.final();
  } catch (error) {
    if (isAuthenticationFailure(error)) return null;
    throw error;
  }
  return fileKey;
}

/** True for the one error by which `final()` says that the tag does not fit. */
export function isAuthenticationFailure(error: unknown): boolean {
  return error instanceof Error && /unable to authenticate/i.test(error.message);
}
