/**
 * Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02; extensions: OpenSSH's PROTOCOL file). What a server sends is
 * parsed strictly: lengths are checked before they are believed, and left-over bytes are refused.
 */

import { FormatError } from "#core/errors.ts";

export const REQUEST = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  extended: 200,
} as const;

/** Flags of OPEN, to be combined with `|`. */
export const OPEN = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

/** Status numbers that callers act on. */
export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** OpenSSH never sends nor takes a longer packet; a longer one is a lie. */
export const MAX_PACKET_BYTES = 256 * 1024;
const MAX_HANDLE_BYTES = 256;
/** What file systems hold; names are kept in memory, and some for longer. */
const MAX_NAME_BYTES = 255;

/** Fields are absent when the server did not send them. */
export interface SftpAttributes {
  size?: number;
  /** Type and permission bits as in `st_mode`. */
  mode?: number;
  mtimeSeconds?: number;
}

export interface NamedEntry {
  name: string;
  attributes: SftpAttributes;
}

export type Reply =
  | { kind: "version"; version: number }
  | { kind: "status"; id: number; status: number; message: string }
  | { kind: "handle"; id: number; handle: Buffer }
  | { kind: "data"; id: number; data: Buffer }
  | { kind: "name"; id: number; entries: NamedEntry[] }
  | { kind: "attributes"; id: number; attributes: SftpAttributes }
  | { kind: "extended"; id: number; body: Buffer };

/** A part of a request: a number is a u32, a bigint a u64, text and bytes are length-prefixed strings. */
export type RequestPart = number | bigint | string | Uint8Array | { raw: Uint8Array };

/** One packet, length prefix included. */
export function encodeRequest(type: number, id: number, parts: readonly RequestPart[]): Buffer {
  let bytes = 9;
  const ready = parts.map((part) => (typeof part === "string" ? Buffer.from(part, "utf8") : part));
  for (const part of ready) {
    if (typeof part === "number") bytes += 4;
    else if (typeof part === "bigint") bytes += 8;
    else if (part instanceof Uint8Array) bytes += 4 + part.length;
    else bytes += part.raw.length;
  }
  const packet = Buffer.allocUnsafe(bytes);
  packet.writeUInt32BE(bytes - 4, 0);
  packet.writeUInt8(type, 4);
  packet.writeUInt32BE(id, 5);
  let at = 9;
  for (const part of ready) {
    if (typeof part === "number") at = packet.writeUInt32BE(part, at);
    else if (typeof part === "bigint") at = packet.writeBigUInt64BE(part, at);
    else if (part instanceof Uint8Array) {
      at = packet.writeUInt32BE(part.length, at);
      packet.set(part, at);
      at += part.length;
    } else {
      packet.set(part.raw, at);
      at += part.raw.length;
    }
  }
  return packet;
}

/**
 * A WRITE request up to where its data begins: the data itself follows on the wire uncopied.
 * @param dataBytes how many bytes of data follow
 */
export function encodeWriteHead(id: number, handle: Uint8Array, offset: number, dataBytes: number): Buffer {
  const head = encodeRequest(REQUEST.write, id, [handle, BigInt(offset), dataBytes]);
  head.writeUInt32BE(head.length - 4 + dataBytes, 0);
  return head;
}

/** ATTRS that set nothing but the permission bits. */
export function encodeAttributes(attributes: { mode?: number }): { raw: Uint8Array } {
  const raw = Buffer.alloc(attributes.mode === undefined ? 4 : 8);
  if (attributes.mode !== undefined) {
    raw.writeUInt32BE(4, 0);
    raw.writeUInt32BE(attributes.mode, 4);
  }
  return { raw };
}

/** Cuts a byte stream into packets; what it returns are views of the chunks that came in where possible. */
export class PacketSplitter {
  #chunks: Buffer[] = [];
  #buffered = 0;
  /** Bytes of the packet under way, its length prefix included; 0 while the prefix is not complete. */
  #wanted = 0;

  /**
   * The packets that `chunk` completes, without their length prefixes.
   * @throws FormatError SFTP on a length of 0 or above {@link MAX_PACKET_BYTES}
   */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const packets: Buffer[] = [];
    for (;;) {
      if (this.#wanted === 0) {
        if (this.#buffered < 4) return packets;
        const length = this.#joined(4).readUInt32BE(0);
        if (length < 1 || length > MAX_PACKET_BYTES) {
          throw new FormatError(
            "SFTP",
            `the server sent a packet of ${length} bytes, expected 1 to ${MAX_PACKET_BYTES}`,
          );
        }
        this.#wanted = length + 4;
      }
      if (this.#buffered < this.#wanted) return packets;
      const whole = this.#joined(this.#wanted);
      packets.push(whole.subarray(4, this.#wanted));
      const rest = whole.subarray(this.#wanted);
      this.#buffered -= this.#wanted;
      this.#wanted = 0;
      if (rest.length > 0) this.#chunks[0] = rest;
      else this.#chunks.shift();
    }
  }

  /** The first chunk, made to hold at least `bytes`. */
  #joined(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new FormatError("SFTP", "the server sent a packet that is cut short");
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  u64(): number {
    const value = this.#bytes.readBigUInt64BE(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new FormatError("SFTP", `the server sent a file size of ${value} bytes`);
    }
    return Number(value);
  }

  string(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#take(this.#bytes.length - this.#at));
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }
}

/**
 * Parses one packet (without its length prefix).
 * @throws FormatError SFTP
 */
export function parseReply(packet: Buffer): Reply {
  const fields = new Fields(packet);
  const type = fields.u8();
  const reply = parseBody(type, fields);
  if (fields.left > 0) throw new FormatError("SFTP", `the server sent ${fields.left} bytes too many in a packet`);
  return reply;
}

function parseBody(type: number, fields: Fields): Reply {
  if (type === 2) {
    const version = fields.u32();
    // Pairs of extension name and data; what a server lacks, it says when asked.
    while (fields.left > 0) {
      fields.string();
      fields.string();
    }
    return { kind: "version", version };
  }
  const id = fields.u32();
  switch (type) {
    case 101: {
      const status = fields.u32();
      const message = fields.string().toString("utf8");
      fields.string();
      return { kind: "status", id, status, message };
    }
    case 102: {
      const handle = fields.string();
      if (handle.length > MAX_HANDLE_BYTES) {
        throw new FormatError("SFTP", `the server sent a handle of ${handle.length} bytes`);
      }
      return { kind: "handle", id, handle };
    }
    case 103:
      return { kind: "data", id, data: fields.string() };
    case 104:
      return { kind: "name", id, entries: parseNames(fields) };
    case 105:
      return { kind: "attributes", id, attributes: parseAttributes(fields) };
    case 201:
      return { kind: "extended", id, body: fields.rest() };
    default:
      throw new FormatError("SFTP", `the server sent a packet of unknown type ${type}`);
  }
}

function parseNames(fields: Fields): NamedEntry[] {
  const count = fields.u32();
  // Each entry takes at least two empty strings and the flags.
  if (count > fields.left / 12) throw new FormatError("SFTP", `the server announced ${count} names and sent fewer`);
  const entries: NamedEntry[] = [];
  for (let i = 0; i < count; i++) {
    const name = fields.string();
    fields.string();
    const attributes = parseAttributes(fields);
    if (name.length === 0 || name.length > MAX_NAME_BYTES || name.includes(0) || name.includes(0x2f)) {
      throw new FormatError("SFTP", `the server sent a file name that no folder can hold`);
    }
    entries.push({ name: name.toString("utf8"), attributes });
  }
  return entries;
}

function parseAttributes(fields: Fields): SftpAttributes {
  const flags = fields.u32();
  const attributes: SftpAttributes = {};
  if ((flags & 1) !== 0) attributes.size = fields.u64();
  if ((flags & 2) !== 0) {
    fields.u32();
    fields.u32();
  }
  if ((flags & 4) !== 0) attributes.mode = fields.u32();
  if ((flags & 8) !== 0) {
    fields.u32();
    attributes.mtimeSeconds = fields.u32();
  }
  if ((flags & 0x80000000) !== 0) {
    const count = fields.u32();
    if (count > fields.left / 8) throw new FormatError("SFTP", "the server sent attributes that are cut short");
    for (let i = 0; i < count; i++) {
      fields.string();
      fields.string();
    }
  }
  if ((flags & ~0x8000000f) !== 0) throw new FormatError("SFTP", "the server sent attributes of an unknown kind");
  return attributes;
}

/** The body of the reply to `limits@openssh.com`; 0 means the server gives no number. */
export function parseLimits(body: Buffer): { maxRead: number; maxWrite: number; maxOpenHandles: number } {
  if (body.length !== 32) throw new FormatError("SFTP", `the server sent limits of ${body.length} bytes, expected 32`);
  const at = (index: number): number => {
    const value = body.readBigUInt64BE(index * 8);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  };
  return { maxRead: at(1), maxWrite: at(2), maxOpenHandles: at(3) };
}
