/**
 * `npm test`: the quick checks, then every test of whole programs, every flow and drill, several files at a time: each mostly waits.
 *   node tools/test-all.ts [--flows] [WORD ...]
 * `--flows` runs the flows alone; words choose the files whose names contain one of them.
 */

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { root } from "./build.ts";
import { untilInterrupted } from "./group.ts";
import { runChecks } from "./ok.ts";
import { projectFiles } from "./project-files.ts";
import { runTests } from "./test-run.ts";

/** Longer than any file should take; a file that hangs must not hang everything. */
const FILE_LIMIT_SECONDS = 1200;
/** The end of the output may be all that is kept of it: so much of each reason is in it. */
const REASON_LETTERS = 1500;

interface Row {
  name: string;
  passed: number;
  failed: number;
  /** What failed, and why. */
  reasons: string[];
  seconds: number;
}

const { values, positionals } = parseArgs({
  options: { flows: { type: "boolean", default: false } },
  allowPositionals: true,
});

await untilInterrupted(async () => {
  const rows: Row[] = [];
  if (!values.flows) rows.push(await quickChecks());
  const folders = values.flows ? ["flows"] : ["accounts", "client", "drills", "flows", "mailbox", "submit"];
  const files = await chosenFiles(folders);
  if (files.length === 0)
    rows.push({ name: "no test file has such a name", passed: 0, failed: 1, reasons: [], seconds: 0 });
  rows.push(...(await runSideBySide(files)));
  summarise(rows);
});

async function quickChecks(): Promise<Row> {
  const started = performance.now();
  const counts = await runChecks();
  return { name: "npm run ok", ...counts, seconds: (performance.now() - started) / 1000 };
}

async function chosenFiles(folders: readonly string[]): Promise<string[]> {
  return (await projectFiles(root)).filter((file) => {
    const [top, folder = "", name = "", ...deeper] = file.split("/");
    const isTest = top === "test" && folders.includes(folder) && name.endsWith(".test.ts") && deeper.length === 0;
    return isTest && (positionals.length === 0 || positionals.some((word) => name.includes(word)));
  });
}

/**
 * Each file in a run of its own, whose output is shown when it has ended. Drills mostly wait and the others mostly work, so one
 * lane begins with the drills while the others come from the other end.
 */
async function runSideBySide(files: readonly string[]): Promise<Row[]> {
  const waiting = files.toSorted((a, b) => Number(b.includes("/drills/")) - Number(a.includes("/drills/")));
  const rows: Row[] = [];
  const lane = async (_: unknown, number: number): Promise<void> => {
    const next = (): string | undefined => (number === 0 ? waiting.shift() : waiting.pop());
    for (let file = next(); file !== undefined; file = next()) {
      try {
        rows.push(await run(file));
      } catch (error) {
        waiting.length = 0;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: availableParallelism() + 1 }).map(lane));
  const failed = lanes.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return rows;
}

async function run(file: string): Promise<Row> {
  const { passed, failed, problems, seconds, output, ...rest } = await runTests([file], {
    limitSeconds: FILE_LIMIT_SECONDS,
  });
  console.log(`\n${file}\n${output}`);
  for (const problem of problems) console.log(`${file}: ${problem}`);
  return { name: file, passed, failed: failed + problems.length, reasons: [...rest.reasons, ...problems], seconds };
}

function summarise(all: readonly Row[]): void {
  console.log("");
  for (const { name, passed, failed, seconds } of all) {
    const counts = `${passed} passed, ${failed} failed`;
    console.log(`${failed === 0 ? "ok    " : "FAILED"}  ${seconds.toFixed(1).padStart(7)} s  ${name}: ${counts}`);
  }
  for (const { name, reasons } of all) {
    for (const reason of reasons) console.log(`\n${name}: ${reason.slice(0, REASON_LETTERS)}`);
  }
  const total = (pick: (row: Row) => number): number => all.reduce((sum, row) => sum + pick(row), 0);
  const failed = total((row) => row.failed);
  console.log(`${total((row) => row.passed)} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
