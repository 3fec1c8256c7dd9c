import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { decodeEncodedWords } from "./encoded-words.ts";

test("decodes as the examples of RFC 2047 section 8 and RFC 2231 section 5 say", () => {
  for (const [encoded, decoded] of [
    ["=?ISO-8859-1?Q?a?=", "a"],
    ["=?ISO-8859-1?Q?a?= b", "a b"],
    ["=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"],
    ["=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"],
    ["=?ISO-8859-1?Q?a?= \t =?ISO-8859-1?Q?b?=", "ab"],
    ["=?ISO-8859-1?Q?a_b?=", "a b"],
    ["=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"],
    ["=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"],
    ["=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"],
    ["=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"],
    ["=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"],
  ] as const) {
    assert.equal(decodeEncodedWords(encoded), decoded);
  }
});

test("joins characters that were cut between words, and only words of one charset", () => {
  assert.equal(decodeEncodedWords("=?utf-8?b?w5w=?= =?UTF-8?q?=C3?= =?utf-8?q?=9F?= x"), "Üß x");
  assert.equal(decodeEncodedWords("=?utf-8?q?=C3?= =?iso-8859-1?q?=9F?="), "\ufffdŸ");
  assert.equal(decodeEncodedWords("=?utf-8?q?=C3?= and =?utf-8?q?=9F?="), "\ufffd and \ufffd");
  assert.equal(decodeEncodedWords("=?iso-2022-jp?b?GyRCJDMbKEI=?= =?iso-2022-jp?b?GyRCJHMbKEI=?="), "こん");
});

test("takes what is no encoded word as it is, and what is broken as far as it goes", () => {
  for (const [encoded, decoded] of [
    ["", ""],
    ["a =?utf-8?x?b?= c", "a =?utf-8?x?b?= c"],
    ["=?utf-8?q?open", "=?utf-8?q?open"],
    ["=?utf-8?q??=", ""],
    ["=?utf-8?q?with blanks inside?=", "with blanks inside"],
    ["=?utf-8?b?!!!?=", ""],
    ["=?utf-8?q?=zz=?=", "=zz"],
    ["=?x-unknown?q?a=FCb?=", "a\ufffdb"],
    ["=?utf-7?q?+ADw-?=", "+ADw-"],
    ["Gr\xc3\xbc\xc3\x9fe", "Grüße"],
    ["Gr\xfc\xdfe", "Grüße"],
    ["=?utf-8?q?=1B[31m?=", "\x1b[31m"],
  ] as const) {
    assert.equal(decodeEncodedWords(encoded), decoded);
  }
});

test("inverts any text that is encoded in words of any length", () => {
  const words = fc.array(fc.string({ unit: "binary" }), { minLength: 1 });
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 40 }), fc.boolean(), (texts, bytes, isBase64) => {
      const text = texts.join("");
      const all = Buffer.from(text, "utf8");
      const encoded: string[] = [];
      for (let at = 0; at < all.length; at += bytes) {
        const piece = all.subarray(at, at + bytes);
        const hex = piece.toString("hex").replace(/../g, "=$&");
        encoded.push(isBase64 ? `=?utf-8?B?${piece.toString("base64")}?=` : `=?utf-8?Q?${hex}?=`);
      }
      assert.equal(decodeEncodedWords(encoded.join(" ")), text.replace(/^\ufeff/, ""));
    }),
  );
});

test("never throws", () => {
  const parts = fc.constantFrom("=?", "?=", "?", "q", "B", "utf-8", "iso-2022-jp", "=", " ", "_", "\xff", "*", "A");
  fc.assert(fc.property(fc.array(parts, { maxLength: 60 }), (text) => decodeEncodedWords(text.join("")).length >= 0));
});
