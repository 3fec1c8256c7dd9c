/**
 * SFTP version 3 over the system's `ssh`, every request pipelined: callers start as many operations as they like and
 * each is a promise. Answers are matched by id and must be of the kind that was asked for.
 */

import { FormatError } from "#core/errors.ts";
import { SftpChannel, SftpStatusError } from "./sftp-channel.ts";
import {
  encodeAttributes,
  encodeWriteHead,
  type NamedEntry,
  OPEN,
  parseLimits,
  REQUEST,
  type RequestPart,
  type SftpAttributes,
  STATUS,
} from "./sftp-packet.ts";
import type { SshOptions } from "./ssh.ts";

export { OPEN, type SftpAttributes, SftpStatusError, STATUS };

export interface SftpLimits {
  maxReadBytes: number;
  maxWriteBytes: number;
  /** Handles that may be open at once. */
  maxOpenHandles: number;
}

export interface FolderEntry {
  name: string;
  /** Bytes; 0 when the server does not say, and for what is no plain file: to open that might wait for ever. */
  size: number;
  mtimeSeconds: number;
}

/** What a server names an open file or folder by. */
export interface SftpHandle {
  readonly bytes: Buffer;
}

/** What every version 3 server must take. */
const SAFE_CHUNK_BYTES = 32_768;
/** So many answers of a listing are asked for at once; a folder that needs fewer was listed before whatever was asked next. */
export const READDIRS_IN_FLIGHT = 16;
const MAX_ENTRIES = 1_000_000;

export class SftpConnection {
  readonly #channel: SftpChannel;
  readonly #ready: Promise<void>;
  /** What is safe until the server's own numbers are here. */
  #chunks = { read: SAFE_CHUNK_BYTES, write: SAFE_CHUNK_BYTES };
  readonly #limits: Promise<SftpLimits>;

  private constructor(target: SshOptions) {
    this.#channel = new SftpChannel(target);
    this.#ready = this.#channel.handshake();
    // Whoever does not wait for it hears of a failure by the requests.
    this.#ready.catch(() => undefined);
    // Asked at once and waited for only where it matters.
    this.#limits = this.#askLimits();
  }

  /**
   * Logs in and agrees on version 3.
   * @throws HostError AUTH, LOGIN, NETWORK, EXEC; VerifyError HOST-KEY, HOST-KEY-UNKNOWN; FormatError SFTP
   */
  static async open(target: SshOptions): Promise<SftpConnection> {
    const connection = new SftpConnection(target);
    await connection.ready();
    return connection;
  }

  /**
   * Like {@link open} without the wait: requests may be made at once and travel behind the first packet, which saves
   * round trips. What {@link open} throws, every request throws.
   */
  static start(target: SshOptions): SftpConnection {
    return new SftpConnection(target);
  }

  /** Waits until the server has agreed. */
  async ready(): Promise<void> {
    await this.#ready;
  }

  async #askLimits(): Promise<SftpLimits> {
    const safe = { maxReadBytes: SAFE_CHUNK_BYTES, maxWriteBytes: SAFE_CHUNK_BYTES, maxOpenHandles: 64 };
    try {
      const reply = await this.#channel.request(
        REQUEST.extended,
        ["limits@openssh.com"],
        "tell its limits",
        "extended",
      );
      if (reply.kind !== "extended") return safe;
      const told = parseLimits(reply.body);
      this.#chunks = { read: chunkBytes(told.maxRead), write: chunkBytes(told.maxWrite) };
      return {
        maxReadBytes: this.#chunks.read,
        maxWriteBytes: this.#chunks.write,
        maxOpenHandles: told.maxOpenHandles === 0 ? 64 : told.maxOpenHandles,
      };
    } catch (error) {
      // A server that does not know the request says so. Nobody may be waiting here yet, so nothing is thrown: any
      // other request tells its caller that the connection failed.
      if (!(error instanceof SftpStatusError)) this.#channel.fail(asError(error));
      return safe;
    }
  }

  /** What the server can take at once. */
  async limits(): Promise<SftpLimits> {
    return await this.#limits;
  }

  /** Whether the connection is gone: every request would fail. */
  get lost(): boolean {
    return this.#channel.failed;
  }

  /**
   * The names in a folder without `.` and `..`, in the server's order, as they come in.
   * @throws SftpStatusError, FormatError TOO-LARGE above a million names
   */
  async *entries(path: string): AsyncGenerator<FolderEntry[]> {
    const handle = await this.#handleOf(REQUEST.opendir, [path], `open folder "${path}"`);
    const inFlight: Promise<NamedEntry[] | { error: unknown } | undefined>[] = [];
    let count = 0;
    try {
      for (;;) {
        while (inFlight.length < READDIRS_IN_FLIGHT) inFlight.push(this.#readFolder(handle, path));
        const batch = await inFlight.shift();
        if (batch === undefined) return;
        if ("error" in batch) throw batch.error;
        if (batch.length === 0) throw new FormatError("SFTP", `the server sent no name when asked to list "${path}"`);
        count += batch.length;
        if (count > MAX_ENTRIES) throw new FormatError("TOO-LARGE", `"${path}" has more than ${MAX_ENTRIES} names`);
        const found = batch.filter(({ name }) => name !== "." && name !== "..");
        yield found.map(({ name, attributes }) => ({
          name,
          size: isPlain(attributes) ? (attributes.size ?? 0) : 0,
          mtimeSeconds: attributes.mtimeSeconds ?? 0,
        }));
      }
    } finally {
      this.#closeBehind(handle);
    }
  }

  /** One READDIR: undefined at the end. Never rejects, because several are under way that nobody awaits yet. */
  async #readFolder(handle: SftpHandle, path: string): Promise<NamedEntry[] | { error: unknown } | undefined> {
    try {
      const reply = await this.#channel.request(REQUEST.readdir, [handle.bytes], `list "${path}"`, "name");
      return reply.kind === "name" ? reply.entries : undefined;
    } catch (error) {
      if (error instanceof SftpStatusError && error.status === STATUS.eof) return undefined;
      return { error };
    }
  }

  /** All of {@link entries}. */
  async list(path: string): Promise<FolderEntry[]> {
    const all: FolderEntry[] = [];
    for await (const batch of this.entries(path)) all.push(...batch);
    return all;
  }

  /**
   * A whole file. With `expectedSize` (from a listing) exactly that many bytes are asked for, one round trip after
   * the open; a file that is shorter comes back shorter, a longer one cut. For 0 bytes nothing is asked.
   * @throws SftpStatusError; FormatError TOO-LARGE when it has more than `maxBytes`
   */
  async readFile(path: string, maxBytes: number, expectedSize?: number): Promise<Buffer> {
    if (expectedSize !== undefined) {
      checkSize(path, expectedSize, maxBytes);
      if (expectedSize === 0) return Buffer.alloc(0);
      const content = await this.#readAtOnce(path, expectedSize);
      if (content !== undefined) return content;
    }
    const handle = await this.open(path, OPEN.read);
    try {
      const step = this.#chunks.read;
      // Asked for together with the size: most files end within it.
      const begin = expectedSize === undefined ? this.#readBegin(handle, Math.min(step, maxBytes), path) : undefined;
      const size = expectedSize ?? (await this.#sizeOf(handle, path));
      checkSize(path, size, maxBytes);
      const content = Buffer.allocUnsafeSlow(size);
      const known = (await begin)?.subarray(0, size);
      if (known !== undefined) content.set(known);
      const first = known?.length ?? 0;
      const reads: { promise: Promise<number>; to: number }[] = [];
      for (let at = first; at < size; at += step) {
        const to = Math.min(at + step, size);
        reads.push({ promise: this.#readInto(handle, content, at, to, path), to });
      }
      const ends = await Promise.all(reads.map(({ promise }) => promise));
      const end = ends.find((to, index) => to < (reads[index]?.to ?? 0));
      return end === undefined ? content : content.subarray(0, end);
    } finally {
      this.#closeBehind(handle);
    }
  }

  /** What a handle is closed for is done: nobody waits for the answer, and what it says changes nothing. */
  #closeBehind(handle: SftpHandle): void {
    if (!this.#channel.failed) this.close(handle).catch(() => undefined);
  }

  /** The first bytes of a file, as many as one READ brings; empty for an empty file. Never rejects while nobody waits. */
  #readBegin(handle: SftpHandle, size: number, path: string): Promise<Buffer> {
    const reply = this.#channel.request(REQUEST.read, [handle.bytes, 0n, size], `read "${path}"`, "data", size);
    const begin = reply.then(
      (data) => (data.kind === "data" ? data.data : Buffer.alloc(0)),
      (error: unknown) => {
        if (error instanceof SftpStatusError && error.status === STATUS.eof) return Buffer.alloc(0);
        throw error;
      },
    );
    begin.catch(() => undefined);
    return begin;
  }

  /** One READ with the CLOSE right behind it; undefined when the file is too long for that or the answer too short. */
  async #readAtOnce(path: string, size: number): Promise<Buffer | undefined> {
    if (size === 0 || size > this.#chunks.read) return undefined;
    const handle = await this.open(path, OPEN.read);
    const read = this.#channel.request(REQUEST.read, [handle.bytes, 0n, size], `read "${path}"`, "data", size);
    const atEnd = (error: unknown): undefined => {
      if (error instanceof SftpStatusError && error.status === STATUS.eof) return undefined;
      throw error;
    };
    const [reply] = await Promise.all([read.catch(atEnd), this.close(handle)]);
    if (reply?.kind !== "data" || reply.data.length !== size) return undefined;
    // A copy in memory of its own: the reply is a view of a whole chunk of the stream.
    const content = Buffer.allocUnsafeSlow(size);
    content.set(reply.data);
    return content;
  }

  /** Fills `content` from `at` to `to`; gives where the file ended, `to` when it did not. */
  async #readInto(handle: SftpHandle, content: Buffer, at: number, to: number, path: string): Promise<number> {
    let from = at;
    while (from < to) {
      try {
        const reply = await this.#channel.request(
          REQUEST.read,
          [handle.bytes, BigInt(from), to - from],
          `read "${path}"`,
          "data",
          to - from,
        );
        if (reply.kind !== "data" || reply.data.length === 0) return from;
        content.set(reply.data, from);
        from += reply.data.length;
      } catch (error) {
        if (error instanceof SftpStatusError && error.status === STATUS.eof) return from;
        throw error;
      }
    }
    return to;
  }

  async #sizeOf(handle: SftpHandle, path: string): Promise<number> {
    const reply = await this.#channel.request(REQUEST.fstat, [handle.bytes], `read "${path}"`, "attributes");
    const size = reply.kind === "attributes" ? reply.attributes.size : undefined;
    if (size === undefined) throw new FormatError("SFTP", `the server does not tell the size of "${path}"`);
    return size;
  }

  /** Opens a file; `flags` are {@link OPEN} combined, `mode` the permission bits of a new file. */
  async open(path: string, flags: number, attributes: { mode?: number } = {}): Promise<SftpHandle> {
    return await this.#handleOf(REQUEST.open, [path, flags, encodeAttributes(attributes)], `open "${path}"`);
  }

  /**
   * Writes `data` at `offset`, in as many pipelined requests as it needs. `data` must not change meanwhile. Requests
   * leave in the order of the calls, so `fsync` and `close` may be called without waiting for it.
   */
  async write(handle: SftpHandle, offset: number, data: Uint8Array): Promise<void> {
    const maxWriteBytes = this.#chunks.write;
    const writes: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += maxWriteBytes) {
      const part = data.subarray(at, at + maxWriteBytes);
      const id = this.#channel.newId();
      const packet = [encodeWriteHead(id, handle.bytes, offset + at, part.length), part];
      writes.push(this.#channel.expect(id, packet, "write", "status").then(() => undefined));
    }
    await Promise.all(writes);
  }

  /** Makes what was written durable on the server (`fsync@openssh.com`). */
  async fsync(handle: SftpHandle): Promise<void> {
    await this.#channel.request(REQUEST.extended, ["fsync@openssh.com", handle.bytes], "fsync", "status");
  }

  async close(handle: SftpHandle): Promise<void> {
    await this.#channel.request(REQUEST.close, [handle.bytes], "close a file", "status");
  }

  /** A second name for a file (`hardlink@openssh.com`); fails when `to` exists. */
  async hardlink(from: string, to: string): Promise<void> {
    const what = `link "${from}" to "${to}"`;
    await this.#channel.request(REQUEST.extended, ["hardlink@openssh.com", from, to], what, "status");
  }

  /** Gives a file another name; what has that name is replaced in one step (`posix-rename@openssh.com`). */
  async replace(from: string, to: string): Promise<void> {
    const what = `rename "${from}" to "${to}"`;
    await this.#channel.request(REQUEST.extended, ["posix-rename@openssh.com", from, to], what, "status");
  }

  /** Attributes of a name; a symbolic link is not followed. */
  async lstat(path: string): Promise<SftpAttributes> {
    const reply = await this.#channel.request(REQUEST.lstat, [path], `look at "${path}"`, "attributes");
    return reply.kind === "attributes" ? reply.attributes : {};
  }

  async remove(path: string): Promise<void> {
    await this.#channel.request(REQUEST.remove, [path], `remove "${path}"`, "status");
  }

  async mkdir(path: string, mode = 0o755): Promise<void> {
    await this.#channel.request(REQUEST.mkdir, [path, encodeAttributes({ mode })], `make folder "${path}"`, "status");
  }

  /** Says goodbye and waits until the subprocess is gone; requests still under way fail. */
  async end(): Promise<void> {
    await this.#channel.end();
  }

  /** Ends the subprocess at once; what was answered is done. */
  kill(): void {
    this.#channel.kill();
  }

  async #handleOf(type: number, parts: RequestPart[], what: string): Promise<SftpHandle> {
    const reply = await this.#channel.request(type, parts, what, "handle");
    if (reply.kind !== "handle") throw new FormatError("SFTP", `the server gave no handle to ${what}`);
    // A copy: the reply is a view of a whole chunk of the stream.
    return { bytes: Buffer.from(reply.handle) };
  }
}

const TYPE_BITS = 0o170_000;
const PLAIN_FILE = 0o100_000;

/** A server that says nothing of types is believed to list files. */
function isPlain({ mode }: SftpAttributes): boolean {
  return mode === undefined || (mode & TYPE_BITS) === 0 || (mode & TYPE_BITS) === PLAIN_FILE;
}

/** A read or write size that both sides take; OpenSSH says 261120, others may say 0 for "no number". */
function chunkBytes(told: number): number {
  return told === 0 ? SAFE_CHUNK_BYTES : Math.min(Math.max(told, 1024), 255 * 1024);
}

function checkSize(path: string, size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new FormatError("TOO-LARGE", `"${path}" has ${size} bytes, at most ${maxBytes} are expected`);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
