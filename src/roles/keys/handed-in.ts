/** The one file that an owner can write, read as what it is: anything, from anybody, changing while we look. */

import { createHash } from "node:crypto";
import { type BigIntStats, constants, lstatSync } from "node:fs";
import { chmod, type FileHandle, open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MAX_RECORD_BYTES, plainText } from "#core/account/feed.ts";
import { readBounded } from "#host/files.ts";

const MAX_RESULT_BYTES = 8192;

/** How a file is told from itself after a change, without reading it. */
export interface Look {
  readonly bytes: number;
  /** Size and times; other for each change. */
  readonly mark: string;
}

export interface HandedIn extends Look {
  /** Null when it is larger than any signed state. */
  readonly signed: Buffer | null;
  /** Base64 SHA-256 of the file; null when it is too large. */
  readonly hash: string | null;
}

/** What the owner is told, see docs/formats/account-feed.md, "Result file". */
export interface Result {
  readonly file: string | null;
  readonly code: string;
  readonly version: number | null;
  readonly text: string;
}

/** What can be told of a file by its name, not following links; null for anything but a regular file. */
export function look(path: string): Look | null {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : lookOf(stat);
}

function lookOf(stat: BigIntStats): Look | null {
  const { ino, size, mtimeNs, ctimeNs } = stat;
  return stat.isFile() ? { bytes: Number(size), mark: `${ino} ${size} ${mtimeNs} ${ctimeNs}` } : null;
}

/** Reads the file, never waiting for a pipe; null when there is none, or when it changed meanwhile. */
export async function readHandedIn(path: string): Promise<HandedIn | null> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    // An account that comes or goes; or something that is no file of its owner's and is none of our business.
    if (["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENXIO"].includes(codeOf(error))) return null;
    throw error;
  }
  try {
    const before = lookOf(await file.stat({ bigint: true }));
    if (before === null) return null;
    if (before.bytes > MAX_RECORD_BYTES.state) return { ...before, signed: null, hash: null };
    const signed = Buffer.alloc(before.bytes);
    for (let have = 0; have < signed.length; ) {
      const { bytesRead } = await file.read(signed, have, signed.length - have, have);
      if (bytesRead === 0) return null;
      have += bytesRead;
    }
    const after = lookOf(await file.stat({ bigint: true }));
    if (after?.mark !== before.mark) return null;
    return { ...before, signed, hash: createHash("sha256").update(signed).digest("base64") };
  } finally {
    await file.close();
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** Replaces the result; readers see the old or the new one. */
export async function writeResult(folder: string, { file, code, version, text }: Result): Promise<void> {
  const lines = ["shoal-result/v1", `file ${file ?? "-"}`, `code ${code}`, `version ${version ?? "-"}`];
  const fresh = join(folder, ".result.new");
  // It tells of an answer that can be had again: no fsync.
  await writeFile(fresh, `${lines.join("\n")}\ntext ${plainText(text)}\n`);
  // The owner reads it as somebody else.
  await chmod(fresh, 0o644);
  await rename(fresh, join(folder, "result"));
}

/** Which file was answered for good; null when none was. */
export async function answeredFile(folder: string): Promise<string | null> {
  try {
    const text = (await readBounded(join(folder, "result"), MAX_RESULT_BYTES)).toString("latin1");
    const [, file = null, code] = /^shoal-result\/v1\nfile (\S+)\ncode (\S+)\n/.exec(text) ?? [];
    return code === "PENDING" ? null : file;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
