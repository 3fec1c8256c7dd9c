/** Searches everything below given folders for marks: contents, compressed contents, names, targets of links. */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { type FileReading, type MarkHit, takeHits } from "#test/marks/read.ts";
import { compileMarks, MarkScanner } from "#test/marks/scanner.ts";
import { walk } from "#test/marks/walk.ts";

export type { MarkHit } from "#test/marks/read.ts";

export interface SearchResult {
  /** Files whose whole content was read. */
  filesSearched: number;
  /** Bytes looked at, the unpacked ones of compressed files included. */
  bytesSearched: number;
  hits: MarkHit[];
  /** What could not be searched and why. A search with problems proves nothing. */
  problems: { file: string; reason: string }[];
  /** Files that were gone when their turn came. Not a problem, and a reason to search again when all is quiet. */
  vanished: string[];
}

/** What a worker is started with. */
export interface WorkerTask {
  files: string[];
  marks: readonly string[];
}

/**
 * Searches every regular file below the roots. A root may be a folder, a single file, or with a final slash a link to a
 * folder, as `/proc/PID/root/` for all that a process sees.
 * Symbolic links are not followed, sockets, pipes and devices not opened; their names count. Mounted folders are
 * entered unless they are views into the kernel. The reading is done by worker threads, one for each core.
 *
 * @param skip folders that are not entered
 *
 * Not seen from here: deleted files that a program holds open, swap and cores (`system.ts`), extended attributes, free
 * blocks of the file system, archives inside archives, memory.
 */
export async function searchForMarks(
  roots: readonly string[],
  marks: readonly string[],
  skip: ReadonlySet<string> = new Set(),
): Promise<SearchResult> {
  const automaton = compileMarks(marks);
  const names: FileReading = { bytes: 0, hits: [] };
  const look = (path: string, text: string, where: "name" | "link"): void => {
    const scanner = new MarkScanner(automaton);
    scanner.feed(Buffer.from(text));
    takeHits(path, scanner, where, names);
  };
  const { files, problems, vanished } = walk(roots, look, skip);
  const read = await searchFiles(files, marks);
  return mergeResults([{ filesSearched: 0, bytesSearched: names.bytes, hits: names.hits, problems, vanished }, read]);
}

/** Searches the contents of exactly these files, block devices included. */
export async function searchFiles(files: readonly string[], marks: readonly string[]): Promise<SearchResult> {
  const threads = Math.min(availableParallelism(), Math.ceil(files.length / 200));
  const shares = Array.from({ length: threads }, (_, thread) => files.filter((_, index) => index % threads === thread));
  return mergeResults(await Promise.all(shares.map((share) => inWorker({ files: share, marks }))));
}

function inWorker(workerData: WorkerTask): Promise<SearchResult> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (status) => {
      reject(new Error(`the search ended early with exit status ${status}`));
    });
  });
}

export function mergeResults(results: readonly SearchResult[]): SearchResult {
  return {
    filesSearched: results.reduce((sum, result) => sum + result.filesSearched, 0),
    bytesSearched: results.reduce((sum, result) => sum + result.bytesSearched, 0),
    hits: results.flatMap((result) => result.hits),
    problems: results.flatMap((result) => result.problems),
    vanished: results.flatMap((result) => result.vanished),
  };
}

/** One readable line for each hit and problem; empty when the search is clean and complete. */
export function describeFindings(result: SearchResult): string[] {
  return [
    ...result.hits.map(
      ({ file, mark, encoding, where, offset, count }) =>
        `mark "${mark}" as ${encoding} in the ${where} of "${file}", ${count} times, the first up to byte ${offset}`,
    ),
    ...result.problems.map(({ file, reason }) => `can't search "${file}": ${reason}`),
  ];
}
