import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { declaredBytes, parseCommand } from "./command.ts";
import { takeLine } from "./front/command-line.ts";
import { Refusal } from "./front/refusal.ts";

test("a line is taken whole, once its CRLF is there", () => {
  assert.equal(takeLine(Buffer.from("NOOP")), null);
  assert.equal(takeLine(Buffer.from("NOOP\r")), null);
  const taken = takeLine(Buffer.from("NOOP\r\nQUIT\r\n"));
  assert.equal(taken?.line, "NOOP");
  assert.equal(taken.rest.toString(), "QUIT\r\n");
});

test("nothing that is taken holds a control character", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const taken = takeLine(Buffer.from(bytes));
        const codes = Array.from(Buffer.from(taken?.line ?? "", "latin1"));
        assert.ok(codes.every((code) => code === 9 || (code >= 32 && code !== 127)));
      } catch (error) {
        assert.ok(error instanceof Refusal);
      }
    }),
  );
});

test("2,048 bytes with the CRLF are a line, one more is not", () => {
  assert.equal(takeLine(Buffer.from(`${"x".repeat(2046)}\r\n`))?.line.length, 2046);
  assert.throws(() => takeLine(Buffer.from("x".repeat(2049))), /500 5\.5\.2/);
});

test("verb and argument", () => {
  assert.deepEqual(parseCommand("mail FROM:<a@b> SIZE=3  "), { verb: "MAIL", argument: "FROM:<a@b> SIZE=3" });
  assert.deepEqual(parseCommand("DATA "), { verb: "DATA", argument: "" });
  assert.deepEqual(parseCommand(""), { verb: "", argument: "" });
});

test("the declared size", () => {
  assert.equal(declaredBytes("FROM:<a@b>"), null);
  assert.equal(declaredBytes("FROM:<size=9@b> BODY=8BITMIME size=12"), 12);
  for (const bad of ["SIZE=", "SIZE", "SIZE=1x", "SIZE=-1", "SIZE=123456789012345678901", "SIZE=1 SIZE=1"]) {
    assert.equal(declaredBytes(`FROM:<a@b> ${bad}`), "malformed", bad);
  }
});
