/** A thread of `search.ts`: reads its share of the files and posts one result. */

import { parentPort, workerData } from "node:worker_threads";
import { readThrough } from "#test/marks/read.ts";
import { compileMarks } from "#test/marks/scanner.ts";
import type { SearchResult, WorkerTask } from "#test/marks/search.ts";

const { files, marks } = workerData as WorkerTask;
const automaton = compileMarks(marks);
const result: SearchResult = { filesSearched: 0, bytesSearched: 0, hits: [], problems: [], vanished: [] };
for (const file of files) {
  const reading = { bytes: 0, hits: result.hits };
  try {
    await readThrough(file, automaton, reading);
    result.filesSearched++;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") result.vanished.push(file);
    else result.problems.push({ file, reason: message });
  } finally {
    result.bytesSearched += reading.bytes;
  }
}
if (parentPort === null) throw new Error("worker.ts runs as a worker thread only");
parentPort.postMessage(result, []);
