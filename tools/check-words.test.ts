import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsIn } from "./check-words.ts";

// Joined here, so that this file does not break the rules it tests.
const join = (...pieces: string[]): string => pieces.join("");

test("finds paths of one machine, mirrors, unfinished work and tests that do not run", () => {
  const broken = [
    join("/ho", "me/alice/shoal"),
    join("see /Us", "ers/alice"),
    join("cd '/wo", "rk/main'"),
    join("https://regi", "stry.example.org/x"),
    join("https://www.npm", "js.com/package/yaml"),
    join("http://deb.", "debian.org/debian"),
    join("// TO", "DO: later"),
    join("test.sk", 'ip("later", () => {});'),
  ];
  for (const line of broken) assert.equal(wordsIn("a.ts", `fine\n${line}\n`).length, 1, line);
  assert.match(wordsIn("a.ts", `fine\n${broken[0]}\n`)[0] ?? "", /^a\.ts:2: found "/);
});

test("lets other text be", () => {
  const fine = [
    "home: `/home/${name}`",
    "~/work/x and ./work/x and a/work/x",
    "registry of keys",
    "a TODOLIST",
    "skip(2)",
  ];
  for (const line of fine) assert.deepEqual(wordsIn("a.ts", line), [], line);
});

test("unfinished work is looked for in code alone", () => {
  assert.deepEqual(wordsIn("a.md", join("a TO", "DO list")), []);
});
