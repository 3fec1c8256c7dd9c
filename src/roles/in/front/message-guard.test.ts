import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Fault, MessageGuard, maxLineBytes } from "./message-guard.ts";

interface Outcome {
  passed: string;
  rest: string | null;
  fault: Fault | null;
}

function feed(text: string, cuts: readonly number[], maxBytes = 1_000_000): Outcome {
  const guard = new MessageGuard(maxBytes);
  const bytes = Buffer.from(text, "latin1");
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let passed = "";
  let from = 0;
  for (const end of ends) {
    const { bytes: safe, rest } = guard.push(bytes.subarray(from, end));
    passed += safe.toString("latin1");
    if (rest !== null) return { passed, rest: rest.toString("latin1") + text.slice(end), fault: guard.fault };
    from = end;
  }
  return { passed, rest: null, fault: guard.fault };
}

const hostileBytes = fc
  .array(fc.constantFrom("\r", "\n", "\r\n", ".", "a", "\0", "\r\n.\r\n", "\xff"), { maxLength: 30 })
  .map((parts) => parts.join(""));
const cuts = fc.array(fc.nat(200), { maxLength: 5 });

test("what passes has no CR, LF or NUL outside CRLF and ends at the first CRLF.CRLF, however it is cut", () => {
  fc.assert(
    fc.property(hostileBytes, cuts, (text, where) => {
      const { passed, rest, fault } = feed(text, where);
      assert.ok(text.startsWith(passed));
      // A CR at the very end may still get its LF.
      assert.doesNotMatch(passed.replaceAll("\r\n", "_"), /\n|\0|\r[^]/);
      const end = `\r\n${text}`.indexOf("\r\n.\r\n");
      if (end < 0) assert.equal(rest, null);
      else assert.equal(rest, text.slice(end + 3));
      const message = end < 0 ? text : text.slice(0, end + 3);
      const foreign = /\n|\0|\r[^]/.test(message.replaceAll("\r\n", "_"));
      if (foreign) assert.equal(fault?.closes, true);
      else assert.equal(fault, null);
      if (fault === null) assert.equal(passed, message);
    }),
    { numRuns: 2000 },
  );
});

test("each kind of false line end is named", () => {
  for (const [text, expected] of Object.entries({
    "a\nb\r\n": "bare LF",
    "a\rb\r\n": "bare CR",
    "\r\r\n": "bare CR",
    "a\0b\r\n": "NUL",
    "\r\n.\0\r\n": "NUL",
    "\n.\n": "bare LF",
  })) {
    assert.match(feed(text, []).fault?.reply ?? "", new RegExp(`^550 5\\.6\\.0 ${expected}`), JSON.stringify(text));
  }
});

test("size counts CRLF as two, and neither added dots nor the last line", () => {
  const text = "..a\r\nb\r\n.\r\n";
  assert.equal(feed(text, [], 7).fault, null);
  assert.match(feed(text, [], 6).fault?.reply ?? "", /^552 5\.3\.4 /);
  assert.equal(feed(text, [], 6).fault?.closes, false);
});

test("a line that is too long is refused at its end or before", () => {
  assert.equal(feed(`${"x".repeat(maxLineBytes)}\r\n.\r\n`, [100]).fault, null);
  const { fault, rest } = feed(`${"x".repeat(maxLineBytes + 1)}\r\n.\r\nNOOP\r\n`, [100, 65_001]);
  assert.match(fault?.reply ?? "", /^550 5\.6\.0 line longer/);
  assert.equal(rest, "NOOP\r\n");
});

test("a false line end outweighs a size", () => {
  assert.equal(feed("aaaa\r\nb\n\r\n.\r\n", [6], 3).fault?.closes, true);
});
