import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { decodeTransfer } from "./transfer-encoding.ts";

function decoded(text: string, encoding: string): string {
  return decodeTransfer(Buffer.from(text, "latin1"), encoding).toString("latin1");
}

test("quoted-printable: soft line ends, blanks at line ends, and what is wrong", () => {
  for (const [text, expected] of [
    ["", ""],
    ["a=3Db=3d", "a=b="],
    ["a=\nb", "ab"],
    ["a=  \t\nb", "ab"],
    ["a=\r\nb", "ab"],
    ["a=", "a"],
    ["a=  ", "a"],
    ["a \t\nb  ", "a\nb  "],
    ["a=20 \nb", "a \nb"],
    ["a=zzb=4", "a=zzb=4"],
    ["==41", "=A"],
    ["a \t\r\nb\r\n", "a\r\nb\r\n"],
    ["\xfc=FC", "\xfc\xfc"],
  ] as const) {
    assert.equal(decoded(text, " Quoted-Printable "), expected, JSON.stringify(text));
  }
});

test("base64: lines, other characters, padding in the middle, a lonely character", () => {
  for (const [text, expected] of [
    ["", ""],
    ["YWJj\nZGVm\n", "abcdef"],
    ["YQ==\nYmM=\n", "abc"],
    ["YW Jj!*", "abc"],
    ["YWJjZ", "abc"],
    ["====", ""],
    ["Y", ""],
  ] as const) {
    assert.equal(decoded(text, "BASE64"), expected, JSON.stringify(text));
  }
});

test("leaves other encodings alone", () => {
  for (const encoding of ["", "7bit", "8bit", "binary", "x-uuencode"])
    assert.equal(decoded("=41 \n", encoding), "=41 \n");
});

test("inverts any bytes, written in full or in base64 of any line length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 4, max: 76 }), (bytes, columns) => {
      const wanted = Buffer.from(bytes);
      const hex = wanted.toString("hex").replace(/../g, "=$&").toUpperCase();
      assert.ok(decodeTransfer(Buffer.from(hex.replace(/.{66}/g, "$&=\n")), "quoted-printable").equals(wanted));
      const lines = wanted.toString("base64").replace(new RegExp(`.{${columns}}`, "g"), "$&\n");
      assert.ok(decodeTransfer(Buffer.from(lines), "base64").equals(wanted));
    }),
  );
});
