/**
 * What `shoal` says of itself, word for word, in test/golden/help. After a wanted change: `UPDATE_GOLDENS=1 node --test
 * test/scripts/help.test.ts`, and read the difference.
 */

import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { tryExec } from "#host/exec.ts";

const main = new URL("../../src/client/main.ts", import.meta.url).pathname;
const goldens = new URL("../golden/help/", import.meta.url).pathname;
const update = process.env["UPDATE_GOLDENS"] === "1";

/** The command, what it says on standard output and (after `2> `) standard error, and its exit status. */
async function transcript(args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await tryExec(process.execPath, [main, ...args], {
    env: { ...process.env, HOME: "/nowhere", XDG_CONFIG_HOME: "/nowhere/config", XDG_STATE_HOME: "/nowhere/state" },
  });
  const said = stderr.replaceAll(/^/gm, "2> ").replace(/2> $/, "");
  return `$ ${["shoal", ...args].join(" ")}\n${stdout.toString("utf8")}${said}exit status ${status}\n`;
}

async function compare(name: string, commands: readonly (readonly string[])[]): Promise<void> {
  const parts: string[] = [];
  for (const args of commands) parts.push(await transcript(args));
  const said = parts.join("\n");
  const path = join(goldens, `${name}.txt`);
  if (update) {
    await mkdir(goldens, { recursive: true });
    await writeFile(path, said);
  }
  assert.equal(said, await readFile(path, "utf8"));
  for (const line of said.split("\n")) assert.ok(line.length <= 160, `too long for a terminal: ${line}`);
}

/** The commands that a help page lists. */
async function listed(words: readonly string[]): Promise<string[]> {
  const { stdout } = await tryExec(process.execPath, [main, ...words, "--help"]);
  return [...stdout.toString("utf8").matchAll(/^ {2}([a-z][a-z-]*) {2,}/gm)].map((match) => match[1] ?? "");
}

const verbs = (await listed([])).map((verb) => [verb]);
for (const verb of await listed(["account"])) verbs.push(["account", verb]);
const fileOf = (words: readonly string[]): string => `shoal-${words.join("-")}`;

test("the program", () => compare("shoal", [["--help"], ["--version"], []]));

for (const words of verbs) test(`shoal ${words.join(" ")}`, () => compare(fileOf(words), [[...words, "--help"]]));

test("mistakes", () =>
  compare("shoal-mistakes", [
    ["fetch"],
    ["sync", "--fast"],
    ["sync", "--profile"],
    ["sync"],
    ["init"],
    ["show"],
    ["sync", "--profile", "no/such"],
  ]));

test("the help of a verb is the same by both ways of asking", async () => {
  for (const words of verbs) {
    const [first, second] = [await transcript([...words, "--help"]), await transcript(["help", ...words])];
    assert.equal(first.split("\n").slice(1).join("\n"), second.split("\n").slice(1).join("\n"));
  }
});

test("there is no golden for a verb that is gone", async () => {
  const known = new Set(["shoal.txt", "shoal-mistakes.txt", ...verbs.map((words) => `${fileOf(words)}.txt`)]);
  assert.ok(verbs.length >= 15);
  for (const file of await readdir(goldens)) if (file.startsWith("shoal-")) assert.ok(known.has(file), file);
});
