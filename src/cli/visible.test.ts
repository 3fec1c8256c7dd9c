import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { visibleJson, visibleLine, visibleText } from "./visible.ts";

const EVERY = Array.from({ length: 0x11_0000 }, (_, code) => code);
const steers = (code: number): boolean =>
  code < 0x20 ||
  (code >= 0x7f && code <= 0x9f) ||
  [0x2028, 0x2029].includes(code) ||
  (code >= 0x202a && code <= 0x202e) ||
  (code >= 0x2066 && code <= 0x2069) ||
  (code >= 0xd800 && code <= 0xdfff);

test("of every character there is, those that steer are shown as escapes and no other", () => {
  for (const code of EVERY) {
    const character = String.fromCodePoint(code);
    const hex = code.toString(16);
    const escape = code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
    const shown = steers(code) ? escape : character;
    assert.equal(visibleText(character), character === "\n" || character === "\t" ? character : shown);
    assert.equal(visibleLine(character), character === "\t" ? " " : shown);
  }
});

test("in the middle of text", () => {
  assert.equal(visibleText("a\x1b[31m\r\n\u202eb\x9b"), "a\\x1b[31m\\x0d\n\\u202eb\\x9b");
  assert.equal(visibleLine("a\nb\tc"), "a\\x0ab c");
});

test("JSON says the same and steers nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.nat(0x2fff).map((code) => String.fromCharCode(code)) }), (text) => {
      const json = visibleJson({ text });
      assert.deepEqual(JSON.parse(json), { text });
      assert.equal(visibleLine(json), json);
    }),
  );
});
