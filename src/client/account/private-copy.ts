/** Keys on USB sticks: a FAT file system can't say who may read a file, and ssh uses no private key that others may read. */

import { rmSync } from "node:fs";
import { copyFile, mkdtemp, stat } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";
import { say } from "#cli/terminal.ts";
import { exists, readBounded, writeDurably } from "#host/files.ts";
import type { Places } from "../places.ts";

const MAX_BYTES = 65_536;

/**
 * The file itself where ssh will use it, else a copy that is removed when this process ends: in the user's own folder in
 * memory, or where there is none beside what this computer remembers.
 */
export async function usableFile(path: string, places: Places): Promise<string> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return path;
  const memory = process.env["XDG_RUNTIME_DIR"] ?? "";
  const parent = isAbsolute(memory) && (await exists(memory)) ? memory : places.state;
  const folder = await mkdtemp(join(parent, "shoal-key-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  say(
    "shoal",
    `other users of this computer may read "${path}", as is usual on USB sticks: a private copy is used meanwhile`,
  );
  const copy = join(folder, basename(path));
  await writeDurably(copy, await readBounded(path, MAX_BYTES));
  if (await exists(`${path}.pub`)) await copyFile(`${path}.pub`, `${copy}.pub`);
  return copy;
}
