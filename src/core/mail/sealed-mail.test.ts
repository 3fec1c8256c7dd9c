import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { paddedLength } from "./padding.ts";
import { composeSealedMail, MAX_ADDRESSES, parseSealedMail, renameTraceFields, type Trace } from "./sealed-mail.ts";

const TRACE: Trace = {
  sender: "bob@example.com",
  addresses: ["alice@example.org", "alice+shop@example.org"],
  helo: "mx.example.com",
  rdns: "mx.example.com",
  ip: "192.0.2.7",
  host: "in.alpha.example.org",
  protocol: "ESMTPS",
  time: 1_800_000_000,
};

function isRefusal(error: unknown): boolean {
  return error instanceof FormatError && error.code === "SEALED-MAIL";
}

test("the example of the format page", () => {
  const bytes = composeSealedMail(TRACE, Buffer.from("Subject: hello\nReturn-Path: <x@y>\n\nHi Alice\n"));
  const page = readFileSync(new URL("../../../docs/formats/sealed-mail.md", import.meta.url), "utf8");
  const expected = /```\n(Shoal-Length[^]*?)```/.exec(page)?.[1] ?? "";
  assert.equal(expected.length, 302);
  assert.equal(bytes.length, 16_384);
  assert.equal(bytes.toString("latin1").trimEnd(), expected.trimEnd());
  const { trace, message, block } = parseSealedMail(bytes);
  assert.deepEqual(trace, TRACE);
  assert.equal(message.toString(), "Subject: hello\nX-Outside-Return-Path: <x@y>\n\nHi Alice\n");
  assert.equal(block.toString() + message.toString(), expected);
});

const anyText = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom(
    "",
    "a\nBcc: x",
    "a\r\n\r\nbody",
    "x)(y",
    "] [",
    "> <",
    "\0",
    "é",
    "\u2028",
    "a".repeat(2000),
    "-",
    "\x7f",
  ),
);
const anyTrace: fc.Arbitrary<Trace> = fc.record(
  {
    sender: anyText,
    addresses: fc.array(anyText, { minLength: 1, maxLength: 5 }),
    helo: anyText,
    rdns: anyText,
    ip: anyText,
    host: anyText,
    protocol: fc.constantFrom("SMTP", "ESMTP", "ESMTPS"),
    time: fc.integer({ min: 0, max: 253_402_300_799 }),
  },
  { noNullPrototype: true },
);
const anyMessage = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 15_000, max: 40_000 }).map((size) => Buffer.alloc(size, "Subject: x\n")),
  fc
    .constantFrom("", "\n", "\n\n\n", "Subject: only a header", " folded first", "\ufeffSubject: x\n\n")
    .map((text) => Buffer.from(text)),
);

test("whatever strangers say, the block has its lines and nothing else, and parses to what it says", () => {
  fc.assert(
    fc.property(anyTrace, anyMessage, (trace, message) => {
      const bytes = composeSealedMail(trace, message);
      const parsed = parseSealedMail(bytes);
      assert.deepEqual(parsed.message, renameTraceFields(message));
      assert.equal(bytes.length, paddedLength(parsed.block.length + parsed.message.length));
      const lines = parsed.block.toString("latin1").split("\n");
      assert.equal(lines.length, 2 + trace.addresses.length + 4);
      for (const line of lines) assert.match(line, /^[\t\x20-\x7e]{0,998}$/);
      assert.equal(lines.filter((line) => line.startsWith("Delivered-To: ")).length, trace.addresses.length);
      // What it says is said again in the same bytes.
      assert.deepEqual(composeSealedMail(parsed.trace, parsed.message), bytes);
    }),
    { numRuns: 300 },
  );
});

test("lengths whose own digits matter", () => {
  const base = parseSealedMail(composeSealedMail(TRACE, Buffer.alloc(0))).block.length;
  for (const total of [998, 999, 1000, 1001, 1002, 9_998, 9_999, 10_000, 10_001, 10_002, 99_999, 100_000, 100_001]) {
    const message = Buffer.alloc(total - base, "x");
    const parsed = parseSealedMail(composeSealedMail(TRACE, message));
    assert.deepEqual(parsed.message, message);
  }
});

test("refuses every changed byte of the block, and any of the padding", () => {
  const bytes = composeSealedMail(TRACE, Buffer.from("Subject: hello\n\nHi Alice\n"));
  const { block, message } = parseSealedMail(bytes);
  const used = block.length + message.length;
  let others = 0;
  for (let at = 0; at < block.length; at++) {
    for (const byte of [0, 10, 32, 0x3f, 0x80, (bytes[at] ?? 0) ^ 0x20]) {
      if (byte === bytes[at]) continue;
      const changed = Buffer.from(bytes);
      changed[at] = byte;
      try {
        // Another value may stand in a field; the shape may not change.
        assert.deepEqual(composeSealedMail(parseSealedMail(changed).trace, message), changed);
        others++;
      } catch (error) {
        assert.ok(isRefusal(error), String(error));
      }
    }
  }
  assert.ok(others > 100);
  for (const at of [used, used + 1, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = 0;
    assert.throws(() => parseSealedMail(changed), isRefusal);
  }
});

test("refuses other forms of the same", () => {
  const good = composeSealedMail(TRACE, Buffer.from("Subject: hello\n\nHi Alice\n"));
  const text = good.toString("latin1");
  assert.deepEqual(parseSealedMail(Buffer.from(text, "latin1")).trace, TRACE);
  const length = /^Shoal-Length: (\d+)/.exec(text)?.[1] ?? "";
  const block = text.slice(0, text.indexOf("Subject"));
  for (const changed of [
    "",
    text.slice(0, 100),
    text.slice(0, -1),
    `${text}\n`,
    text.replace(length, `0${length}`),
    text.replace(length, `+${length}`),
    text.replace(length, String(Number(length) - 2)),
    text.replace(length, String(block.length - 1)),
    text.replace(length, "16385"),
    text.replace(length, "99999999999999"),
    text.replace("Shoal-Length", "shoal-length"),
    text.replaceAll("\n", "\r\n"),
    text.replace("Return-Path: <bob@example.com>\n", ""),
    text.replace(/Delivered-To: .*\n/g, ""),
    text.replace("Return-Path", "X-First: 1\nReturn-Path"),
    text.replace("ESMTPS", "LMTP"),
    text.replace("Fri, 15", "Thu, 15"),
    text.replace("08:00:00", "08:60:00"),
    text.replace("15 Jan", "35 Jan"),
    text.replace("<bob@example.com>", "<bob@\xe9xample.com>"),
  ]) {
    assert.notEqual(changed, text);
    assert.throws(() => parseSealedMail(Buffer.from(changed, "latin1")), isRefusal, changed.slice(0, 60));
  }
});

test("refuses a trace without addresses, with too many, and impossible times", () => {
  const compose = (changes: Partial<Trace>) => () => composeSealedMail({ ...TRACE, ...changes }, Buffer.alloc(0));
  assert.throws(compose({ addresses: [] }), isRefusal);
  assert.throws(compose({ addresses: Array.from({ length: MAX_ADDRESSES + 1 }, () => "a@b") }), isRefusal);
  const most = composeSealedMail(
    { ...TRACE, addresses: Array.from({ length: MAX_ADDRESSES }, () => "a@b") },
    Buffer.alloc(0),
  );
  assert.equal(parseSealedMail(most).trace.addresses.length, MAX_ADDRESSES);
  for (const time of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 253_402_300_800])
    assert.throws(compose({ time }), isRefusal);
});
