/** The small parts, each with its law. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { decodeTransfer } from "#core/mail/transfer-encoding.ts";
import { acceptedAnswer, refusedAnswer } from "./answer.ts";
import { printField } from "./folding.ts";
import { checkLines } from "./lines.ts";
import { parseStrictDate, printDate } from "./strict-date.ts";
import { encodeBase64Lines, encodeQuotedPrintable } from "./transfer-encode.ts";
import { MAX_WARNINGS, Warnings } from "./warnings.ts";

test("what is encoded decodes to the same bytes, in lines of 76 characters", () => {
  const text = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string({ maxLength: 400 }).map((value) => Buffer.from(value)),
  );
  fc.assert(
    fc.property(text, (value) => {
      const bytes = Buffer.from(value);
      for (const [encoding, encoded] of [
        ["base64", encodeBase64Lines(bytes)],
        ["quoted-printable", encodeQuotedPrintable(bytes)],
      ] as const) {
        assert.deepEqual(decodeTransfer(encoded, encoding), bytes, encoding);
        assert.match(encoded.toString("latin1"), /^(?:[\t -~]{0,76}(?:\r\n|$))*$/);
      }
    }),
  );
});

test("folding is undone by unfolding, and lines stay short where blanks allow it", () => {
  const word = fc.stringMatching(/^[!-~]{1,30}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 60 }), fc.constantFrom(" ", "  ", "\t"), (words, blank) => {
      const value = words.join(blank);
      const field = printField("Subject", value);
      assert.equal(field.replace(/\r\n(?=[ \t])/g, ""), `Subject: ${value}\r\n`);
      assert.ok(field.split("\r\n").every((line) => line.length <= 78 && !/^[ \t]+$/.test(line)));
    }),
  );
});

test("blanks never make a line too long", () => {
  const lines = printField("Subject", `a${" ".repeat(1500)}${"b".repeat(997)}`).split("\r\n");
  assert.ok(lines.every((line) => line.length <= 998));
});

test("LF and CRLF give the same lines", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ -~]{0,20}$/), { minLength: 1, maxLength: 20 }), (lines) => {
      const crlf = `${lines.join("\r\n")}\r\n`;
      assert.equal(checkLines(Buffer.from(crlf)).toString(), crlf);
      assert.equal(checkLines(Buffer.from(crlf.replaceAll("\r\n", "\n"))).toString(), crlf);
    }),
  );
});

test("dates keep their instant in UTC", () => {
  const read = (value: string): number => {
    return parseStrictDate({ name: "Date", key: "date", value, place: { message: Buffer.alloc(0), offset: 0 } });
  };
  for (const [written, printed] of [
    ["Fri, 15 Jan 2027 09:00:00 +0100", "Fri, 15 Jan 2027 08:00:00 +0000"],
    ["15 Jan 2027 09:00 +0100", "Fri, 15 Jan 2027 08:00:00 +0000"],
    ["Fri, 1 Jan 2027 00:30:00 +0545 (NPT)", "Thu, 31 Dec 2026 18:45:00 +0000"],
    ["Thu, 31 Dec 2026 20:00:00 -0800", "Fri, 01 Jan 2027 04:00:00 +0000"],
    ["Thu, 29 Feb 2024 23:59:60 -0000", "Fri, 01 Mar 2024 00:00:00 +0000"],
    ["Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 08:00:00 +0000"],
  ] as const) {
    assert.equal(printDate(read(written)), printed);
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (time) => assert.equal(read(printDate(time)), time)),
  );
});

test("answers: statuses of sysexits, for people and as JSON", () => {
  const cases: [Error, number][] = [
    [new PolicyError("USAGE", "x"), 64],
    [new FormatError("SUBMISSION", "line 3: x", { hint: "y" }), 65],
    [new FormatError("TOO-LARGE", "x"), 65],
    [new FormatError("RECIPIENT", "x"), 67],
    [new HostError("BUSY", "x"), 75],
    [new PolicyError("FORGED", "x"), 77],
    [new PolicyError("ALIAS-LEAK", "x"), 77],
    [new PolicyError("TOO-MANY", "x"), 77],
  ];
  for (const [error, status] of cases) assert.equal(refusedAnswer(error, false)?.status, status);
  const [error] = cases[1] ?? [];
  assert.deepEqual(refusedAnswer(error, false)?.lines, ["refused: line 3: x", "hint: y"]);
  assert.deepEqual(JSON.parse(refusedAnswer(error, true)?.lines[0] ?? ""), {
    ...{ result: "refused", status: 65, code: "SUBMISSION", line: 3, message: "line 3: x", hint: "y" },
  });
  assert.equal(refusedAnswer(new TypeError("a mistake of the program"), true), null);
  const prepared = {
    envelopeFrom: "alice@example.org",
    recipients: ["bob@example.net"],
    message: Buffer.alloc(0),
    messageId: "<a@example.org>",
    warnings: [
      { kind: "dropped", what: "Received", count: 2 },
      { kind: "dropped", what: "User-Agent", count: 1 },
    ] as const,
  };
  assert.deepEqual(acceptedAnswer(prepared, false), {
    status: 0,
    lines: ["accepted: 1 recipient, message <a@example.org>", "not sent: Received (2 times), User-Agent"],
  });
  const json: unknown = JSON.parse(acceptedAnswer(prepared, true).lines[0] ?? "");
  const { message: _, ...told } = prepared;
  assert.deepEqual(json, { result: "accepted", ...told });
});

test("warnings are bounded", () => {
  const warnings = new Warnings();
  for (let index = 0; index < 500; index++) warnings.add("dropped", `X-${index}`);
  const list = warnings.list();
  assert.ok(list.length <= MAX_WARNINGS);
  assert.equal(
    list.reduce((sum, { count }) => sum + count, 0),
    500,
  );
});
