/** Folders in memory behind the calls that the ledger makes: each waits for its turn, fails when told to, or is the last one. */

import { HostError } from "#core/errors.ts";
import { OPEN, type SftpAttributes, type SftpHandle, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { LedgerSftp } from "#roles/ledger/mailboxes/publication.ts";

/** What a renaming moves: the file itself, whoever has it open. */
interface Node {
  bytes: Buffer;
}

/** `fetch`, which outlives connections. */
export class FakeFetch {
  readonly files = new Map<string, Node>();

  read(path: string): Buffer | null {
    return this.files.get(path)?.bytes ?? null;
  }
}

export interface FakeTurns {
  /** Before each call is carried out; what it throws, the call throws. */
  readonly before: () => Promise<void>;
  /** How much of a piece is written. */
  readonly cut: (length: number) => number;
}

export class FakeSftp implements LedgerSftp {
  readonly #fetch: FakeFetch;
  readonly #turns: FakeTurns;
  readonly #open = new Map<string, Node>();
  #next = 0;
  lost = false;

  constructor(fetch: FakeFetch, turns: FakeTurns) {
    this.#fetch = fetch;
    this.#turns = turns;
  }

  async #turn(): Promise<void> {
    if (this.lost) throw new HostError("NETWORK", "lost");
    await this.#turns.before();
  }

  async open(path: string, flags: number): Promise<SftpHandle> {
    await this.#turn();
    let node = this.#fetch.files.get(path);
    if (node === undefined && (flags & OPEN.create) === 0) throw missing();
    node ??= { bytes: Buffer.alloc(0) };
    if ((flags & OPEN.truncate) !== 0) node.bytes = Buffer.alloc(0);
    this.#fetch.files.set(path, node);
    const handle = { bytes: Buffer.from(String(++this.#next)) };
    this.#open.set(String(this.#next), node);
    return handle;
  }

  async write(handle: SftpHandle, offset: number, data: Buffer): Promise<void> {
    await this.#turn();
    const node = this.#nodeOf(handle);
    const written = this.#turns.cut(data.length);
    const bytes = Buffer.alloc(Math.max(node.bytes.length, offset + written));
    node.bytes.copy(bytes);
    data.copy(bytes, offset, 0, written);
    node.bytes = bytes;
    if (written < data.length) throw new SftpStatusError(STATUS.failure, "full");
  }

  async fsync(): Promise<void> {
    await this.#turn();
  }

  async close(handle: SftpHandle): Promise<void> {
    await this.#turn();
    this.#open.delete(handle.bytes.toString());
  }

  async replace(from: string, to: string): Promise<void> {
    await this.#turn();
    const node = this.#fetch.files.get(from);
    if (node === undefined) throw missing();
    this.#fetch.files.delete(from);
    this.#fetch.files.set(to, node);
  }

  async remove(path: string): Promise<void> {
    await this.#turn();
    if (!this.#fetch.files.delete(path)) throw missing();
  }

  async lstat(path: string): Promise<SftpAttributes> {
    await this.#turn();
    const bytes = this.#fetch.read(path);
    if (bytes === null) throw missing();
    return { size: bytes.length };
  }

  async readFile(path: string): Promise<Buffer> {
    await this.#turn();
    const bytes = this.#fetch.read(path);
    if (bytes === null) throw missing();
    return bytes;
  }

  async list(folder: string): Promise<{ name: string; size: number; mtimeSeconds: number }[]> {
    await this.#turn();
    return [...this.#fetch.files]
      .filter(([path]) => path.startsWith(`${folder}/`))
      .map(([path, { bytes }]) => ({ name: path.slice(folder.length + 1), size: bytes.length, mtimeSeconds: 0 }));
  }

  #nodeOf(handle: SftpHandle): Node {
    const node = this.#open.get(handle.bytes.toString());
    if (node === undefined) throw new SftpStatusError(STATUS.failure, "no such handle");
    return node;
  }
}

function missing(): SftpStatusError {
  return new SftpStatusError(STATUS.noSuchFile, "missing");
}
