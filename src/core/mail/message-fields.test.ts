import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldOf, MAX_FIELDS, MAX_HEADER_BYTES, readHeader } from "./message-fields.ts";

function fieldsOf(text: string): [string, string][] {
  return readHeader(Buffer.from(text, "latin1")).fields.map(({ name, value }) => [name, value]);
}

test("reads fields: folded, with blanks before the colon, either line end, up to the first line that is none", () => {
  for (const [text, expected] of [
    [
      "A: 1\nb-C :2\n\nD: 3\n",
      [
        ["a", "1"],
        ["b-c", "2"],
      ],
    ],
    ["A: 1\r\n 2\r\n\t3\r\n\r\nD: 3", [["a", "1 2\t3"]]],
    ["A:\n 1\n", [["a", "1"]]],
    ["A: 1\nno field\nB: 2\n", [["a", "1"]]],
    ["A: 1\na name: 2\nB: 2\n", [["a", "1"]]],
    ["A: 1\n: 2\nB: 2\n", [["a", "1"]]],
    [" continues nothing\nA: 1\n", [["a", "1"]]],
    ["From a@b Sun Nov 22\nA: 1\n", [["a", "1"]]],
    [
      "Received: x\nFrom a@b Sun Nov 22\nA: 1\n",
      [
        ["received", "x"],
        ["a", "1"],
      ],
    ],
    ["Subject: x\nFrom here on\nA: 1\n", [["subject", "x"]]],
    ["\xef\xbb\xbfA: 1\n", [["a", "1"]]],
    ["", []],
    ["\nA: 1\n", []],
  ] as const) {
    assert.deepEqual(fieldsOf(text), expected, JSON.stringify(text));
  }
});

test("says whether the header was complete", () => {
  assert.equal(readHeader(Buffer.from("A: 1\nB: 2")).complete, false);
  assert.equal(readHeader(Buffer.from("A: 1\n\n")).complete, true);
});

test("the first field of a name counts", () => {
  assert.equal(fieldOf(readHeader(Buffer.from("A: 1\nA: 2\n\n")).fields, "a"), "1");
  assert.equal(fieldOf([], "a"), undefined);
});

test("of huge headers a part is kept", () => {
  const many = readHeader(Buffer.from("A: 1\n".repeat(100_000)));
  assert.equal(many.fields.length, MAX_FIELDS);
  const long = readHeader(Buffer.from(`A: ${"x".repeat(3 * MAX_HEADER_BYTES)}\n ${"y\n ".repeat(100_000)}\nB: 1\n\n`));
  const characters = long.fields.reduce((sum, { value }) => sum + value.length, 0);
  assert.ok(characters <= MAX_HEADER_BYTES);
});
