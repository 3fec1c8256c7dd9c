import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseParameterized } from "./parameters.ts";

test("reads parameters: quoted, with comments, in pieces, encoded", () => {
  for (const [text, value, parameters] of [
    ["text/plain", "text/plain", {}],
    [" Text/HTML ; Charset = UTF-8 ", "text/html", { charset: "UTF-8" }],
    ['text/plain; charset="us-ascii" (Plain text)', "text/plain", { charset: "us-ascii" }],
    ['a/b; boundary="a;b=\\"c\\\\"; x=1', "a/b", { boundary: 'a;b="c\\', x: "1" }],
    ["a/b (a ; comment (nested) \\) ) ; x=1", "a/b", { x: "1" }],
    ["a/b; boundary==_=?utf-8?q?x?=", "a/b", { boundary: "=_=?utf-8?q?x?=" }],
    ["a/b; x=1; x=2", "a/b", { x: "1" }],
    ["attachment; filename=a b.txt", "attachment", { filename: "a b.txt" }],
    // The examples of RFC 2231 sections 3 and 4.
    ['message/external-body; URL*0="ftp://"; URL*1="cs.example"', "message/external-body", { url: "ftp://cs.example" }],
    [
      "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
      "application/x-stuff",
      { title: "This is ***fun***" },
    ],
    [
      "application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't it!\"",
      "application/x-stuff",
      { title: "This is even more ***fun*** isn't it!" },
    ],
    ["attachment; filename=\"EURO.txt\"; filename*=utf-8''%e2%82%ac.txt", "attachment", { filename: "€.txt" }],
    ["attachment; filename*=x-unknown''%fc.txt", "attachment", { filename: "\ufffd.txt" }],
    ["attachment; filename*=no-quotes%20", "attachment", { filename: "no-quotes " }],
    ['a/b; name="=?utf-8?B?w5xiZXIgdW5z?="', "a/b", { name: "Über uns" }],
    ["attachment; filename=\xc3\x9c.txt", "attachment", { filename: "Ü.txt" }],
    ["a/b; x*1=missing the first", "a/b", { x: "" }],
    ["", "", {}],
    [';;;="; open', "", {}],
  ] as const) {
    const parsed = parseParameterized(text);
    assert.deepEqual([parsed.value, Object.fromEntries(parsed.parameters)], [value, parameters], text);
  }
});

test("never throws, whatever is put together", () => {
  const parts = fc.constantFrom(
    ";",
    "=",
    "*",
    "*0",
    "*0*",
    "''",
    '"',
    "(",
    ")",
    "\\",
    "%",
    "%41",
    "a",
    "name",
    " ",
    "é",
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 60 }), (text) => parseParameterized(text.join("")).value.length >= 0),
  );
});

test("a hundred thousand parameters are read in part", () => {
  assert.ok(parseParameterized(`a/b${";x=1".repeat(100_000)}`).parameters.size <= 200);
  const many = Array.from({ length: 100_000 }, (_, index) => `; p${index}=1`).join("");
  assert.ok(parseParameterized(`a/b${many}`).parameters.size <= 200);
});
