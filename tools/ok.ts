/**
 * `npm run ok`: every quick check of the project, in order, none skipped because another failed.
 * `--update-goldens` (`npm run golden`) first rewrites what is generated from the sources.
 */

import { join } from "node:path";
import { root } from "./build.ts";
import { checkDocs } from "./check-docs.ts";
import { checkGoldens } from "./check-goldens.ts";
import { checkWords } from "./check-words.ts";
import { checkBugsPage } from "./collect-bugs.ts";
import { Interrupted, runGroup, untilInterrupted } from "./group.ts";
import { projectFiles } from "./project-files.ts";
import { runTests } from "./test-run.ts";

interface Outcome {
  passed: number;
  failed: number;
  /** Shown when something failed. */
  output: string;
  /** In brief, for who sees only the end of a long run; default: the output. */
  reasons?: string[];
}

type Check = readonly [name: string, run: () => Promise<Outcome>];

const UNIT_TEST_LIMIT_SECONDS = 300;
const update = process.argv.includes("--update-goldens");
// Tests that hold goldens of their own rewrite them then (src/fleet/render.test.ts).
if (update) process.env["UPDATE_GOLDENS"] = "1";

const checks: readonly Check[] = [
  ["format", tool("biome", "ci", "--colors=off", ".")],
  ["types", tool("tsc", "--pretty", "false")],
  ["lint", tool("oxlint", "--type-aware", "src", "test", "tools")],
  ["words", list(() => checkWords(root))],
  ["goldens", list(() => checkGoldens(root, update))],
  ["known bugs", list(() => checkBugsPage(root, update))],
  ["docs", list(() => checkDocs(root))],
  ["unit tests", unitTests],
];

/** A program of node_modules that is content when it exits with 0. */
function tool(name: string, ...args: readonly string[]): () => Promise<Outcome> {
  return async () => {
    const { status, output } = await runGroup(join(root, "node_modules/.bin", name), args, { cwd: root });
    return status === 0 ? { passed: 1, failed: 0, output } : { passed: 0, failed: 1, output };
  };
}

/** A check of ours that gives one line for each problem. */
function list(check: () => Promise<string[]>): () => Promise<Outcome> {
  return async () => {
    const problems = await check();
    return {
      passed: problems.length === 0 ? 1 : 0,
      failed: problems.length === 0 ? 0 : 1,
      output: problems.join("\n"),
    };
  };
}

/** All tests but those of whole programs, which take minutes: `npm test` runs them. */
async function unitTests(): Promise<Outcome> {
  const files = (await projectFiles(root)).filter(
    (file) => file.endsWith(".test.ts") && !/^test\/(?:accounts|client|drills|flows|mailbox|submit)\//.test(file),
  );
  const run = await runTests(files, { limitSeconds: UNIT_TEST_LIMIT_SECONDS });
  const { passed, failed, problems } = run;
  return {
    passed,
    failed: failed + problems.length,
    output: [run.output, ...problems].join("\n"),
    reasons: [...run.reasons, ...problems],
  };
}

/** Runs every check and prints a line for each. */
export async function runChecks(): Promise<Required<Omit<Outcome, "output">>> {
  let passed = 0;
  let failed = 0;
  const reasons: string[] = [];
  for (const [name, run] of checks) {
    const started = performance.now();
    const outcome = await run().catch(failureOf);
    passed += outcome.passed;
    failed += outcome.failed;
    if (outcome.failed > 0) {
      console.log(outcome.output.trim().replaceAll(/^/gm, "    "));
      reasons.push(...(outcome.reasons ?? [outcome.output]).map((reason) => `${name}: ${reason}`));
    }
    const all = outcome.passed + outcome.failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const counts = all === 1 ? "" : `, ${outcome.passed} of ${all}`;
    console.log(`${outcome.failed === 0 ? "ok    " : "FAILED"}  ${name}${counts} (${seconds} s)`);
  }
  return { passed, failed, reasons };
}

function failureOf(error: unknown): Outcome {
  if (error instanceof Interrupted) throw error;
  return { passed: 0, failed: 1, output: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

if (import.meta.main) {
  await untilInterrupted(async () => {
    const { passed, failed } = await runChecks();
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  });
}
