/** What the format pages show is held against the vectors and the code. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseChain } from "./chain.ts";
import { accountNameMistake, RESERVED_NAMES } from "./names.ts";

const ROOT = join(import.meta.dirname, "../../..");

function blocksOf(page: string): string[] {
  const text = readFileSync(join(ROOT, "docs/formats", page), "utf8");
  return [...text.matchAll(/^```\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
}

function versionsOf(vector: string, headLines: number): string[] {
  const text = readFileSync(join(ROOT, "test/vectors", vector), "latin1");
  const chain = text.split("\n").slice(headLines).join("\n");
  return parseChain(Buffer.from(chain, "latin1")).map(({ signed }) => signed.toString("latin1"));
}

test("the example of account states is a vector", () => {
  const blocks = blocksOf("account-state.md");
  const [first, second = ""] = versionsOf("account-state/accept/device-added-by-master", 2);
  assert.deepEqual(blocks.slice(0, 2), [first, second]);
  const file = createHash("sha256").update(second).digest("base64");
  assert.ok(blocks.some((block) => block.startsWith(`shoal-result/v1\nfile ${file}\ncode ACCEPTED\nversion 2\n`)));
});

test("the example of the directory is a vector", () => {
  const [first, second] = versionsOf("directory/accept/three-accounts-added", 3);
  assert.deepEqual(blocksOf("directory.md").slice(0, 2), [first, second]);
});

test("the page of the directory lists the reserved names, all of them", () => {
  const listed = blocksOf("directory.md").map((block) => block.trim().split(/\s+/));
  const expected = [...RESERVED_NAMES].toSorted();
  assert.ok(listed.some((words) => words.join(" ") === expected.join(" ")));
  for (const name of expected) assert.notEqual(accountNameMistake(name), null, name);
});
