/** A mailbox as `sftp -r` copied it: the folder that holds `account`, `ledger`, `mail` and `del`. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import type { Shown } from "#core/mailbox/audit.ts";
import { MAX_DELETION_BYTES } from "#core/mailbox/deletion.ts";
import { MAX_ENTRIES_BYTES } from "#core/mailbox/entries.ts";
import { exists } from "#host/files.ts";
import { MAX_CHAIN_BYTES } from "../account/memory.ts";

/** Head and signers with their signatures are smaller. */
const MAX_SIGNED_BYTES = 512 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NO_BYTES = { size: 0, digest: createHash("sha256").digest("hex") };

export interface OfflineCopy {
  readonly shown: Shown;
  /** `account/chain`. */
  readonly chain: Buffer;
  /** SHA-256 in hex of each file in `mail/`, by name. */
  readonly digests: ReadonlyMap<string, string>;
  /** When the head was written here, Unix seconds by this computer's clock; 0 where there is none. */
  readonly time: number;
}

/**
 * Reads all of it. As on a server, links and whatever else is no plain file are files of no bytes, and so is what proves
 * something and is too large for that.
 * @throws PolicyError USAGE when the folder is no mailbox; HostError FILE; FormatError TOO-LARGE for the account's chain
 */
export async function readOfflineCopy(folder: string): Promise<OfflineCopy> {
  const chain = await readPlain(join(folder, "account/chain"), MAX_CHAIN_BYTES);
  if (chain === null) {
    throw new PolicyError("USAGE", `"${folder}" is no copy of a mailbox: there is no "account/chain" in it`, {
      hint: "fetch one: sftp -r alice@fetch.mail.example.org:/ copy",
    });
  }
  const head = await readProving(join(folder, "ledger/head"), MAX_SIGNED_BYTES);
  const mail: { name: string; size: number }[] = [];
  const digests = new Map<string, string>();
  for (const { name, path } of await filesIn(join(folder, "mail"))) {
    const { size, digest } = (await hashPlain(path)) ?? NO_BYTES;
    mail.push({ name, size });
    digests.set(name, digest);
  }
  const del: { name: string; bytes: Buffer }[] = [];
  for (const { name, path } of await filesIn(join(folder, "del"))) {
    const bytes = await readProving(path, MAX_DELETION_BYTES + CHUNK_BYTES);
    if (bytes !== null) del.push({ name, bytes });
  }
  return {
    shown: {
      head,
      signers: await readProving(join(folder, "ledger/signers"), MAX_SIGNED_BYTES),
      entries: await readProving(join(folder, "ledger/entries"), MAX_ENTRIES_BYTES),
      mail,
      del,
    },
    chain,
    digests,
    time: head === null ? 0 : Math.floor((await stat(join(folder, "ledger/head"))).mtimeMs / 1000),
  };
}

/** A sealed file of the copy, for a bundle; null if it is not there. */
export async function readMailOf(folder: string, name: string, maxBytes: number): Promise<Buffer | null> {
  return await readPlain(join(folder, "mail", name), maxBytes);
}

/** By name; one that is not UTF-8 is shown as well as can be. */
async function filesIn(folder: string): Promise<{ name: string; path: Buffer }[]> {
  try {
    const names = await readdir(folder, { encoding: "buffer" });
    return names
      .map((name) => ({ name: name.toString("utf8"), path: Buffer.concat([Buffer.from(`${folder}/`), name]) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return [];
    throw new HostError("FILE", `can't read "${folder}": ${(cause as Error).message}`, { cause });
  }
}

/** Null for what is not there. */
async function readProving(path: Buffer | string, maxBytes: number): Promise<Buffer | null> {
  try {
    return (await readPlain(path, maxBytes)) ?? ((await exists(path)) ? Buffer.alloc(0) : null);
  } catch (error) {
    if (error instanceof FormatError) return Buffer.alloc(0);
    throw error;
  }
}

async function readPlain(path: Buffer | string, maxBytes: number): Promise<Buffer | null> {
  return await withPlain(path, async (file, size) => {
    if (size > maxBytes) {
      throw new FormatError("TOO-LARGE", `"${String(path)}" has ${size} bytes, at most ${maxBytes} are expected`);
    }
    return await file.readFile();
  });
}

async function hashPlain(path: Buffer): Promise<{ size: number; digest: string } | null> {
  return await withPlain(path, async (file) => {
    const hash = createHash("sha256");
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let size = 0;
    for (let read = 1; read > 0; size += read) {
      ({ bytesRead: read } = await file.read(chunk, 0, chunk.length));
      hash.update(chunk.subarray(0, read));
    }
    return { size, digest: hash.digest("hex") };
  });
}

/** Opens without following links or waiting for pipes. @returns null for what is not there, or no plain file */
async function withPlain<T>(
  path: Buffer | string,
  work: (file: FileHandle, size: number) => Promise<T>,
): Promise<T | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = codeOf(cause);
    if (code === "ENOENT" || code === "ELOOP" || code === "ENXIO" || code === "ENOTDIR") return null;
    throw new HostError("FILE", `can't read "${String(path)}": ${(cause as Error).message}`, { cause });
  }
  try {
    const { size, isPlain } = await file.stat().then((found) => ({ size: found.size, isPlain: found.isFile() }));
    return isPlain ? await work(file, size) : null;
  } finally {
    await file.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
