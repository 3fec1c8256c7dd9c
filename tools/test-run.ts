/** Runs test files with `node --test` and counts. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./build.ts";
import type { TestCounts } from "./count-reporter.ts";
import { runGroup } from "./group.ts";

export interface TestRun extends TestCounts {
  seconds: number;
  /** Why the run counts as failed beside failed tests, one line each. */
  problems: string[];
  /** What the tests printed. */
  output: string;
}

export interface TestRunOptions {
  limitSeconds: number;
}

/** Runs the files, given as paths from the project's folder. */
export async function runTests(files: readonly string[], options: TestRunOptions): Promise<TestRun> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "shoal-test-run-"));
  try {
    const countsFile = join(folder, "counts");
    const args = [
      "--test",
      `--test-concurrency=${availableParallelism() + 1}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      `--test-reporter=${join(root, "tools/count-reporter.ts")}`,
      `--test-reporter-destination=${countsFile}`,
      ...files,
    ];
    const { status, output, leftOver, timedOut } = await runGroup("node", args, {
      cwd: root,
      // Half of a test file's start is reading the same modules again.
      env: { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/compile") },
      limitSeconds: options.limitSeconds,
    });
    const counts = parseCounts(await readFile(countsFile, "utf8").catch(missingIsEmpty));
    const problems = leftOver.map((command) => `left a process behind: ${command}`);
    if (timedOut) problems.push(`took longer than ${options.limitSeconds} s`);
    else if (counts === null) problems.push(`ended without counts (exit status ${status})`);
    else if (counts.passed + counts.failed === 0) problems.push("no test ran");
    else if (status !== 0 && counts.failed === 0) problems.push(`exit status ${status}`);
    if (counts !== null && counts.idle > 0) problems.push(`${counts.idle} tests were skipped`);
    const { passed, failed, idle, reasons } = counts ?? { passed: 0, failed: 0, idle: 0, reasons: [] };
    return { passed, failed, idle, reasons, problems, output, seconds: (performance.now() - started) / 1000 };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function parseCounts(text: string): TestCounts | null {
  return text === "" ? null : (JSON.parse(text) as TestCounts);
}

function missingIsEmpty(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "";
  throw error;
}
