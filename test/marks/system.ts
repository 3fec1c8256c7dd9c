/** The places outside all folders where bytes of a process end up on disk: swap, core files, deleted open files. */

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { mergeResults, type SearchResult, searchFiles, searchForMarks } from "#test/marks/search.ts";

/**
 * Paths of the active swap files and devices in the text of `/proc/swaps` (proc(5)); octal escapes are undone.
 * @throws Error when the text has no header line, so that a changed format isn't taken for "no swap"
 */
export function swapAreas(text: string): string[] {
  const [header, ...lines] = text.split("\n");
  if (header?.startsWith("Filename") !== true) throw new Error(`"${header}" is not the header of /proc/swaps`);
  return lines
    .filter((line) => line !== "")
    .map((line) =>
      (line.split(/\s/, 1)[0] ?? "").replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      ),
    );
}

/** Searches all active swap from its first to its last byte; needs root. */
export async function searchSwap(marks: readonly string[], swaps = "/proc/swaps"): Promise<SearchResult> {
  const result = await searchFiles(swapAreas(readFileSync(swaps, "utf8")), marks);
  const missing = result.vanished.map((file) => ({ file, reason: "active swap that isn't there" }));
  return { ...result, vanished: [], problems: [...result.problems, ...missing] };
}

/**
 * Where cores go by the text of `/proc/sys/kernel/core_pattern` (core(5)): a folder, a program that takes them, or
 * the working folder of the crashed process (that one is inside the searched roots already).
 */
export function coreDestination(pattern: string): { folder: string } | { program: string } | "working folder" {
  const text = pattern.trim();
  if (text.startsWith("|")) return { program: text.slice(1).trimStart().split(" ", 1)[0] ?? "" };
  if (!text.startsWith("/")) return "working folder";
  const upToVariable = text.split("%", 1)[0] ?? "/";
  return { folder: upToVariable.endsWith("/") ? upToVariable : dirname(upToVariable) };
}

/** Folders in which the usual core-taking programs keep cores. */
const coreKeepers = ["/var/lib/systemd/coredump", "/var/crash", "/var/spool/abrt"];

/** Searches the folders where the kernel or a core-taking program puts cores; a missing folder holds none. */
export async function searchCores(
  marks: readonly string[],
  patternFile = "/proc/sys/kernel/core_pattern",
): Promise<SearchResult> {
  const destination = coreDestination(readFileSync(patternFile, "utf8"));
  if (destination === "working folder") return await searchForMarks([], marks);
  const folders = "folder" in destination ? [destination.folder] : coreKeepers;
  return await searchForMarks(
    folders.filter((folder) => existsSync(folder)),
    marks,
  );
}

/**
 * Searches the files that running processes hold open though their names are gone. They are on disk until the last
 * descriptor closes, and no walk finds them. Mapped files without a descriptor stay unseen.
 * @param pids process numbers as seen from here; root sees those of all cells
 */
export async function searchDeleted(marks: readonly string[], pids: readonly number[]): Promise<SearchResult> {
  const seen = new Set<string>();
  const problems: SearchResult["problems"] = [];
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    try {
      for (const descriptor of readdirSync(folder)) {
        const path = `${folder}/${descriptor}`;
        const target = withoutRace(() => readlinkSync(path));
        if (target?.endsWith(" (deleted)") !== true || target.startsWith("/memfd:")) continue;
        if (withoutRace(() => statSync(path).isFile()) === true) seen.add(path);
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ESRCH") problems.push({ file: folder, reason: message });
    }
  }
  return mergeResults([
    await searchFiles([...seen], marks),
    { filesSearched: 0, bytesSearched: 0, hits: [], problems, vanished: [] },
  ]);
}

/** Null when the process or its descriptor ended meanwhile. */
function withoutRace<T>(action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw error;
  }
}

/**
 * The whole proof: the given folders, what the given processes hold open though it is deleted, all swap, and cores.
 * @param pids the processes of the machines under proof: others (a stranger's mail server) may hold marks rightly
 * @param skip folders that are not entered
 */
export async function searchEverywhere(
  roots: readonly string[],
  pids: readonly number[],
  marks: readonly string[],
  skip?: ReadonlySet<string>,
): Promise<SearchResult> {
  return mergeResults([
    await searchForMarks(roots, marks, skip),
    await searchSwap(marks),
    await searchCores(marks),
    await searchDeleted(marks, pids),
  ]);
}
