import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Program, runProgram } from "./command.ts";

const program: Program = {
  name: "tool",
  version: "1",
  help: "tool help\n",
  verbs: {
    go: { help: "go help\n", run: (operands) => Promise.resolve(operands.length) },
    undo: {
      help: "undo help\n",
      run: async () => {
        const ends = await Promise.allSettled([readFile("/nowhere/at/all"), readFile("/nowhere/else")]);
        throw new AggregateError(
          ends.map((end) => (end.status === "rejected" ? end.reason : null)),
          "neither",
        );
      },
    },
    read: { help: "read help\n", run: async ([file = ""]) => (await readFile(file)).length },
    account: {
      help: "account help\n",
      verbs: {
        make: {
          help: "make help\n",
          options: { size: { type: "string" } },
          run: (operands, { size }) => Promise.resolve(size === "2" ? 20 + operands.length : 30),
        },
      },
    },
  },
};

const self = fileURLToPath(import.meta.url);

if (process.argv[2] === "run") {
  await runProgram(program, process.argv.slice(3));
} else {
  const run = (...argv: string[]): [number | null, string, string] => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [self, "run", ...argv], { env, encoding: "utf8" });
    return [status, stdout, stderr];
  };

  test("verbs of one word and of two are found, with their operands and options", () => {
    assert.deepEqual(run("go", "a", "b"), [2, "", ""]);
    assert.deepEqual(run("account", "make", "a", "--size", "2"), [21, "", ""]);
    assert.deepEqual(run("account", "make"), [30, "", ""]);
    assert.deepEqual(run("go", "account"), [1, "", ""]);
  });

  test("an account's id that begins with a dash is no option", () => {
    const id = "-Lq0X_6nngKhi-wlYcpQKw";
    const other = "--q0X_6nngKhi-wlYcpQKw";
    for (const each of [id, other]) {
      assert.deepEqual(run("go", each), [1, "", ""]);
      assert.deepEqual(run("go", "--", each), [1, "", ""]);
      assert.deepEqual(run("go", each, "--", "a", each), [3, "", ""]);
      assert.deepEqual(run("account", "make", each, "a", "--size", "2"), [22, "", ""]);
      assert.deepEqual(run("account", "make", "--size", each, "a"), [30, "", ""]);
      assert.deepEqual(run("account", "make", `--size=${each}`, "a"), [30, "", ""]);
    }
    assert.match(run("go", "-Lq0X_6nngKhi-wlYcpQK")[2], /Unknown option '-L'/);
    assert.match(run("account", "make", "--size", "-2")[2], /ambiguous/);
  });

  test("each level has its help", () => {
    for (const [argv, status, text] of [
      [[], 64, "tool help\n"],
      [["--help"], 0, "tool help\n"],
      [["help"], 0, "tool help\n"],
      [["help", "go"], 0, "go help\n"],
      [["go", "-h"], 0, "go help\n"],
      [["account"], 64, "account help\n"],
      [["account", "--help"], 0, "account help\n"],
      [["help", "account"], 0, "account help\n"],
      [["help", "account", "make"], 0, "make help\n"],
      [["account", "make", "--help"], 0, "make help\n"],
      [["--version"], 0, "tool 1\n"],
    ] as const) {
      assert.deepEqual(run(...argv), [status, text, ""], argv.join(" "));
    }
  });

  test("what is not there is named as it was typed", () => {
    assert.match(run("no")[2], /no command "no", expected one of go, undo, read, account\n.*"tool --help"/);
    assert.match(run("account", "no")[2], /no command "account no", expected one of make\n.*"tool account --help"/);
    assert.match(run("account", "constructor")[2], /no command "account constructor"/);
    assert.match(run("account", "make", "--colour")[2], /"tool account make --help" shows what it takes/);
    assert.equal(run("account", "no")[0], 64);
    assert.match(run("help", "no")[2], /no command "no"/);
    assert.match(run("help", "account", "no")[2], /no command "account no"/);
    assert.equal(run("help", "no")[0], 64);
  });

  test("what the system refuses is a sentence and another try, not a defect with a stack", () => {
    assert.deepEqual(run("read", "/nowhere/at/all"), [
      75,
      "",
      'tool: error: can\'t open "/nowhere/at/all": no such file or directory\n',
    ]);
    assert.deepEqual(run("undo"), run("read", "/nowhere/at/all"));
    assert.deepEqual(run("read", "/proc"), [
      75,
      "",
      'tool: error: can\'t read "/proc": illegal operation on a directory\n',
    ]);
  });

  test("a reader that has seen enough is no failure, a full disk is one, and neither shows a stack", () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const full = openSync("/dev/full", "w");
    const lost = spawnSync(process.execPath, [self, "run", "--help"], { env, stdio: ["ignore", full, "pipe"] });
    closeSync(full);
    assert.equal(lost.status, 75);
    assert.match(lost.stderr.toString(), /^tool: error: can't write to standard output: ENOSPC[^\n]*\n$/);
    // The reader is gone before the program begins to write.
    const words = `(read -r go && "$0" "$1" run --help; echo "status $?" >&2) < "$2" | exec 0<&- sh -c 'echo go > "$0"' "$2"`;
    const folder = mkdtempSync(join(tmpdir(), "shoal-command-"));
    const pipe = join(folder, "pipe");
    spawnSync("mkfifo", [pipe]);
    const gone = spawnSync("bash", ["-c", words, process.execPath, self, pipe], { env, encoding: "utf8" });
    rmSync(folder, { recursive: true });
    assert.equal(gone.stderr, "status 0\n");
  });
}
