import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "./errors.ts";
import { parseUsage, printUsage } from "./usage.ts";

test("parsing inverts printing", () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/);
  const entries = fc.uniqueArray(fc.tuple(name, fc.nat({ max: 10 ** 14 })), { selector: ([account]) => account });
  fc.assert(
    fc.property(entries, fc.nat(), (list, time) => {
      const usage = { time, bytesByAccount: new Map(list) };
      const text = printUsage(usage);
      assert.deepEqual(parseUsage(text), usage);
      assert.equal(printUsage(parseUsage(text)), text);
    }),
  );
});

test("the example of the format page", () => {
  const page = readFileSync(new URL("../../docs/formats/recipients.md", import.meta.url), "utf8");
  const example = /```\n(shoal-usage[^]*?)```/.exec(page)?.[1] ?? "";
  assert.deepEqual(
    [...parseUsage(example).bytesByAccount],
    [
      ["alice", 5_242_880],
      ["bob", 0],
    ],
  );
  assert.equal(printUsage(parseUsage(example)), example);
});

test("sorts a name before those that it begins", () => {
  const bytesByAccount = new Map([
    ["ab", 1],
    ["a-b", 2],
    ["a", 3],
    ["a.b", 4],
  ]);
  assert.equal(printUsage({ time: 5, bytesByAccount }), "shoal-usage/v1\ntime 5\na 3\na-b 2\na.b 4\nab 1\n");
});

test("refuses every other form", () => {
  const good = "shoal-usage/v1\ntime 1800000000\nalice 5\nbob 0\n";
  assert.equal(parseUsage(good).bytesByAccount.get("alice"), 5);
  for (const text of [
    "",
    good.slice(0, -1),
    `${good}\n`,
    good.replaceAll("\n", "\r\n"),
    good.replace("v1", "v2"),
    good.replace("time 1800000000", "time -1"),
    good.replace("time 1800000000", "time 1 2"),
    good.replace("time 1800000000\n", ""),
    good.replace("alice 5", "alice 05"),
    good.replace("alice 5", "alice 5 5"),
    good.replace("alice 5", "alice"),
    good.replace("alice 5", "carol 5"),
    good.replace("alice 5", "bob 5"),
    good.replace("alice 5", "../x 5"),
    good.replace("alice 5", "alice 1e3"),
  ]) {
    assert.throws(
      () => parseUsage(text),
      (error) => error instanceof FormatError && error.code === "CONFIG",
      text,
    );
  }
  assert.throws(() => printUsage({ time: 1, bytesByAccount: new Map([["alice", -1]]) }), FormatError);
  assert.throws(() => printUsage({ time: 1.5, bytesByAccount: new Map() }), FormatError);
});
