/** The payload of an age file (C2SP age specification, "Payload"): chunks of 64 KiB, each authenticated, in order. */

import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { VerifyError } from "#core/errors.ts";
import { isAuthenticationFailure } from "./file-key.ts";

export const CHUNK_BYTES = 64 * 1024;
export const TAG_BYTES = 16;
export const PAYLOAD_NONCE_BYTES = 16;

const ALGORITHM = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_BYTES };
/** The nonce of a chunk: 11 bytes that count, of which 4 are enough for 256 TiB, and 1 for the last chunk. */
const COUNTER_AT = 7;
const LAST_AT = 11;

function payloadKey(fileKey: Buffer, payloadNonce: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", fileKey, payloadNonce, "payload", 32));
}

/** Number of bytes that `plaintextBytes` take when sealed, after header and payload nonce. */
export function payloadBytes(plaintextBytes: number): number {
  return plaintextBytes + Math.max(1, Math.ceil(plaintextBytes / CHUNK_BYTES)) * TAG_BYTES;
}

/** Seals chunk after chunk. Every chunk but the last has exactly {@link CHUNK_BYTES}. */
export class ChunkSealer {
  readonly #key: Buffer;
  readonly #nonce = Buffer.alloc(12);
  #counter = 0;

  constructor(fileKey: Buffer, payloadNonce: Buffer) {
    this.#key = payloadKey(fileKey, payloadNonce);
  }

  /** The sealed bytes and, apart, the tag that follows them: joining them is left to who knows where they go. */
  seal(chunk: Uint8Array, last: boolean): { body: Buffer; tag: Buffer } {
    this.#nonce.writeUInt32BE(this.#counter++, COUNTER_AT);
    if (last) this.#nonce[LAST_AT] = 1;
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    const body = cipher.update(chunk);
    cipher.final();
    return { body, tag: cipher.getAuthTag() };
  }
}

/** Opens chunk after chunk, each with its tag at the end. */
export class ChunkOpener {
  readonly #key: Buffer;
  readonly #nonce = Buffer.alloc(12);
  #counter = 0;

  constructor(fileKey: Buffer, payloadNonce: Buffer) {
    this.#key = payloadKey(fileKey, payloadNonce);
  }

  /**
   * @throws VerifyError AGE-PAYLOAD if the chunk was changed, moved, or is or is not the last one against what is
   * claimed; nothing of it is given away then
   */
  open(sealed: Buffer, last: boolean): Buffer {
    const length = sealed.length - TAG_BYTES;
    if (length < 0) throw new VerifyError("AGE-PAYLOAD", "age payload: the file was cut off");
    if (length === 0 && this.#counter > 0) throw new VerifyError("AGE-PAYLOAD", "age payload: its last chunk is empty");
    this.#nonce.writeUInt32BE(this.#counter++, COUNTER_AT);
    if (last) this.#nonce[LAST_AT] = 1;
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nonce, OPTIONS);
    decipher.setAuthTag(sealed.subarray(length));
    const chunk = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch (error) {
      if (!isAuthenticationFailure(error)) throw error;
      throw new VerifyError("AGE-PAYLOAD", "age payload: it was changed or cut off");
    }
    return chunk;
  }
}
