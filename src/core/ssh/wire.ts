/** The data types of the SSH protocol, RFC 4251 section 5: as much as keys and signatures need. */

import { type FormatCode, FormatError } from "#core/errors.ts";

/** Reads values one after the other; whatever does not fit is a FormatError with the code given here. */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #code: FormatCode;
  readonly #what: string;
  #offset = 0;

  /** @param what what is read, for messages: "public key" */
  constructor(bytes: Buffer, code: FormatCode, what: string) {
    this.#bytes = bytes;
    this.#code = code;
    this.#what = what;
  }

  #fail(message: string): never {
    throw new FormatError(this.#code, `${this.#what}: ${message}`);
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#offset) this.#fail("ends too early");
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  uint32(): number {
    return this.take(4).readUInt32BE(0);
  }

  /** A string of bytes with its length in front, as a view. */
  string(): Buffer {
    return this.take(this.uint32());
  }

  /** A string that must be printable ASCII. */
  name(): string {
    const text = this.string().toString("latin1");
    if (!/^[\x20-\x7e]*$/.test(text)) this.#fail("a name holds bytes that are not printable ASCII");
    return text;
  }

  /** Big-endian bytes of a positive number in its one shortest form, without the zero that keeps the sign apart. */
  positive(): Buffer {
    const bytes = this.string();
    const [first, second] = bytes;
    if (first === undefined || first >= 0x80) this.#fail("a number is not positive");
    if (first !== 0) return bytes;
    if (second === undefined || second < 0x80) this.#fail("a number has leading zeros");
    return bytes.subarray(1);
  }

  /** What has not been read. */
  rest(): Buffer {
    return this.take(this.#bytes.length - this.#offset);
  }

  /** Everything must have been read. */
  end(): void {
    if (this.#offset !== this.#bytes.length) this.#fail(`${this.#bytes.length - this.#offset} bytes too many`);
  }
}

/** A string with its length in front. */
export function wireString(value: Uint8Array | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  const out = Buffer.allocUnsafe(4 + bytes.length);
  out.writeUInt32BE(bytes.length, 0);
  out.set(bytes, 4);
  return out;
}

/** An mpint of a positive number given as big-endian bytes. */
export function wirePositive(bytes: Uint8Array): Buffer {
  let start = 0;
  while (bytes[start] === 0) start++;
  const shortest = bytes.subarray(start);
  const first = shortest[0];
  return wireString(first !== undefined && first >= 0x80 ? Buffer.concat([Buffer.of(0), shortest]) : shortest);
}
