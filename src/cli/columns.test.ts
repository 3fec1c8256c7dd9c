import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { columnsOf, fitColumns, readableBytes } from "./columns.ts";

test("cuts and fills by columns, not characters", () => {
  for (const [text, columns, expected] of [
    ["abc", 5, "abc  "],
    ["abcde", 5, "abcde"],
    ["abcdef", 5, "abcd…"],
    ["日本語", 6, "日本語"],
    ["日本語", 5, "日本…"],
    ["日本語x", 6, "日本… "],
    ["🐟🐟", 3, "🐟…"],
    ["e\u0301e\u0301", 2, "e\u0301e\u0301"],
    ["", 2, "  "],
    ["ab", 1, "…"],
  ] as const) {
    assert.equal(fitColumns(text, columns, true), expected, text);
  }
});

test("never takes more columns, nor marks without end", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 20 }), (text, columns) => {
      assert.ok(columnsOf(fitColumns(text, columns, false)) <= columns);
      assert.equal(columnsOf(fitColumns(text, columns, true)), columns);
    }),
  );
  assert.ok(fitColumns(`a${"\u0301".repeat(100_000)}`, 10, true).length < 60);
});

test("sizes", () => {
  for (const [bytes, text] of [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [34_000_000, "34.0 MB"],
  ] as const) {
    assert.equal(readableBytes(bytes), text);
  }
});
