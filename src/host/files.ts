/** The one place that makes files durable: either the old or the new content is on disk, never a mixture. */

import { chmodSync, chownSync, closeSync, constants, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FormatError } from "#core/errors.ts";

/** The calls that a durable write makes, so that tests can break each of them. */
export interface DurableSystem {
  open(path: string, flags: string, mode: number): Promise<Pick<FileHandle, "writeFile" | "sync" | "close">>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

const system: DurableSystem = { open, rename, unlink };

/** Makes the names inside a folder durable (fsync of the folder itself). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Replaces a file: open(temporary, O_EXCL), write, fsync, rename, fsync of the folder. After a crash at any point the
 * old or the new content is there. A left-over temporary file of an earlier crash is named `.NAME.PID.tmp`.
 * @param mode permission bits of the new file, before the umask
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
  calls: DurableSystem = system,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    const file = await calls.open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await calls.rename(temporary, path);
  } catch (error) {
    await calls.unlink(temporary).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT")
        throw new AggregateError([error, cause], `can't write "${path}" nor remove "${temporary}"`);
    });
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Replaces a file that lives in memory (tmpfs) and so needs no fsync: readers see the old or the new content. Node's
 * permission model, under which role programs run, forbids fsync altogether.
 */
export async function replaceInMemory(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  await writeFile(temporary, content, { mode });
  // The umask may have taken bits away that other accounts of the machine need.
  await chmod(temporary, mode);
  await rename(temporary, path);
}

/** Who may do what with a derived file. */
export interface DerivedAccess {
  mode: number;
  uid: number;
  gid: number;
}

/**
 * Replaces a file that is made again at each start, in a folder that nobody else writes into: readers see the old or the
 * new content, and after a power loss it may be empty until that start. The new file is written as `.NAME.new` beside it.
 * @param synced writes through to the disk before the name is moved: an empty file would be worse than the old one
 */
export function replaceDerived(
  path: string,
  content: string | Uint8Array,
  access: DerivedAccess,
  synced = false,
): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_SYNC } = constants;
  const fresh = join(dirname(path), `.${basename(path)}.new`);
  rmSync(fresh, { force: true });
  const file = openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | (synced ? O_SYNC : 0), 0o600);
  try {
    writeFileSync(file, content);
  } finally {
    closeSync(file);
  }
  // By name: Node's permission model has no calls by descriptor.
  chownSync(fresh, access.uid, access.gid);
  chmodSync(fresh, access.mode);
  renameSync(fresh, path);
}

/**
 * Reads a whole file that must not be larger than `maxBytes`.
 * @throws FormatError TOO-LARGE
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > maxBytes)
    throw new FormatError("TOO-LARGE", `"${path}" has ${size} bytes, at most ${maxBytes} are expected`);
  return await readFile(path);
}

/** Makes a folder and its parents; an existing one is fine. */
export async function makeFolder(path: string, mode = 0o755): Promise<void> {
  await mkdir(path, { recursive: true, mode });
}

/** Whether there is anything at `path`; a link counts, whatever it points to. */
export async function exists(path: Buffer | string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return false;
    throw error;
  }
}
