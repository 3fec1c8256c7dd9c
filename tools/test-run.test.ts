/** Runs real test files of every outcome through the runner. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "./build.ts";
import { runTests, type TestRun } from "./test-run.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-test-run-test-"));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `import { test } from "node:test";\nimport { spawn } from "node:child_process";\n${body}\n`);
  return path;
}

async function run(body: string, limitSeconds = 60): Promise<TestRun> {
  return await runTests([write("sample.test.mjs", body)], { limitSeconds });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
    return false;
  }
  // A process that has ended and waits for its parent answers, too.
  return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
}

test("passed and failed tests are counted", async () => {
  const { passed, failed, reasons, problems, output } = await run(
    'test("a", () => {}); test("b", () => {}); test("c", () => { throw new Error("broken here"); });',
  );
  assert.deepEqual(
    { passed, failed, reasons, problems },
    { passed: 2, failed: 1, reasons: ["c\nbroken here"], problems: [] },
  );
  assert.match(output, /broken here/);
});

test("no test, a skipped test and an early end are problems", async () => {
  const skipped = ["sk", "ip"].join("");
  assert.deepEqual((await runTests([join(folder, "none.test.mjs")], { limitSeconds: 60 })).problems.length, 1);
  assert.deepEqual((await run(`test("a", () => {}); test.${skipped}("b", () => {});`)).problems, [
    "1 tests were skipped",
  ]);
  const ended = await run('test("a", () => process.kill(process.pid, "SIGKILL"));');
  assert.ok(ended.failed + ended.problems.length > 0);
});

test("a hanging file is ended", async () => {
  const { problems } = await run('test("a", () => new Promise((done) => setTimeout(done, 600_000)));', 1);
  assert.deepEqual(problems, ["took longer than 1 s"]);
});

test("a process left behind is a problem and is ended, even in a session of its own", async () => {
  const pidFile = join(folder, "pid");
  const { passed, problems } = await run(`
    import { writeFileSync } from "node:fs";
    test("a", () => {
      const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
      child.unref();
      writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
    });`);
  assert.equal(passed, 1);
  assert.deepEqual(problems, ["left a process behind: sleep 600"]);
  assert.equal(isRunning(Number(readFileSync(pidFile, "utf8"))), false);
});

test("SIGINT reaches what runs, is waited for, and leaves nothing", async () => {
  const [pidFile, cleanedFile] = [join(folder, "pid"), join(folder, "cleaned")];
  rmSync(pidFile, { force: true });
  const worker = write(
    "worker.mjs",
    `import { writeFileSync } from "node:fs";
     process.on("SIGINT", () => setTimeout(() => { writeFileSync(${JSON.stringify(cleanedFile)}, ""); process.exit(0); }, 300));
     setInterval(() => {}, 1000);
     writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));`,
  );
  const script = join(root, "tools/group.ts");
  const main = `import { runGroup, untilInterrupted } from ${JSON.stringify(script)};
    await untilInterrupted(async () => { await runGroup("node", [${JSON.stringify(worker)}], { cwd: "." }); });`;
  const runner = spawn("node", ["--input-type=module", "-e", main], { stdio: "inherit" });
  const ended = new Promise((resolve) => runner.once("exit", resolve));
  const readPid = (): number => {
    try {
      return Number(readFileSync(pidFile, "utf8"));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOENT");
      return 0;
    }
  };
  for (let tries = 0; readPid() === 0 && tries < 200; tries++) await sleep(50);
  runner.kill("SIGINT");
  assert.equal(await ended, 130);
  assert.equal(readFileSync(cleanedFile, "utf8"), "");
  assert.equal(isRunning(readPid()), false);
});
