/** Deliveries on the wire: parse inverts print, pieces of any size are the same, and nothing else is taken. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  APPEND_HELLO,
  type AppendAnswer,
  AppendReader,
  type AppendRequest,
  MAX_APPEND_LINE,
  parseAppendAnswer,
  parseAppendRequest,
  printAppendAnswer,
  printAppendRequest,
} from "./append-frames.ts";

const ACCOUNT = "niUaW71aJ-nWDDa9BF5RjA";
const DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const REFUSED = { code: "APPEND" };

const PLAIN = { noNullPrototype: true };
const number = fc.integer({ min: 1, max: 999_999_999_999_999 });
const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const request: fc.Arbitrary<AppendRequest> = fc.oneof(
  fc.record({ kind: fc.constant("known" as const), tag: number, account: fc.constant(ACCOUNT), digest }, PLAIN),
  fc.record(
    {
      kind: fc.constant("append" as const),
      tag: number,
      account: fc.constant(ACCOUNT),
      digest,
      size: number,
      version: number,
    },
    PLAIN,
  ),
);
const answer: fc.Arbitrary<AppendAnswer> = fc.oneof(
  fc.record({ kind: fc.constant("have" as const), tag: number, seq: number }, PLAIN),
  fc.record({ kind: fc.constant("lack" as const), tag: number }, PLAIN),
  fc.record(
    {
      kind: fc.constant("refused" as const),
      tag: number,
      code: fc.stringMatching(/^[A-Z][A-Z0-9-]{0,31}$/),
      text: fc.stringMatching(/^[ -~]{1,300}$/),
    },
    PLAIN,
  ),
);

test("whatever is printed is parsed again, in pieces of any size", () => {
  fc.assert(
    fc.property(fc.array(request), fc.array(answer), fc.integer({ min: 1, max: 100 }), (requests, answers, step) => {
      const read = <Line>(parse: (line: string) => Line, lines: readonly string[]): Line[] => {
        const bytes = Buffer.from(`${APPEND_HELLO}\n${lines.join("")}`);
        const reader = new AppendReader(parse);
        const all: Line[] = [];
        for (let at = 0; at < bytes.length; at += step) all.push(...reader.push(bytes.subarray(at, at + step)));
        assert.ok(reader.isGreeted);
        return all;
      };
      assert.deepEqual(read(parseAppendRequest, requests.map(printAppendRequest)), requests);
      assert.deepEqual(read(parseAppendAnswer, answers.map(printAppendAnswer)), answers);
    }),
  );
});

test("anything else is refused", () => {
  const requests = [
    "",
    "known",
    `known 1 ${ACCOUNT}`,
    `known 1 ${ACCOUNT} ${DIGEST} `,
    `known 1 ${ACCOUNT} ${DIGEST} 5 1`,
    `known -1 ${ACCOUNT} ${DIGEST}`,
    `known 01 ${ACCOUNT} ${DIGEST}`,
    `known 1e3 ${ACCOUNT} ${DIGEST}`,
    `known 1 alice ${DIGEST}`,
    `known 1 ${ACCOUNT} ${DIGEST.toUpperCase()}`,
    `append 1 ${ACCOUNT} ${DIGEST}`,
    `append 1 ${ACCOUNT} ${DIGEST} 5`,
    `append 1 ${ACCOUNT} ${DIGEST} 0 1`,
    `append 1 ${ACCOUNT} ${DIGEST} 5 0`,
    `append 1 ${ACCOUNT} ${DIGEST} 1000000000000000 1`,
    `remove 1 ${ACCOUNT} ${DIGEST}`,
    `known 1 ${ACCOUNT} ${DIGEST}\r`,
  ];
  for (const line of requests) assert.throws(() => parseAppendRequest(line), REFUSED, line);
  const answers = [
    "have 1",
    "have 1 0",
    "have 1 2 3",
    "lack",
    "lack 1 2",
    "refused 1",
    "refused 1 CODE",
    "refused 1 c d",
    `refused 1 DISK ${"x".repeat(301)}`,
  ];
  for (const line of answers) assert.throws(() => parseAppendAnswer(line), REFUSED, line);
  assert.throws(() => printAppendAnswer({ kind: "have", tag: 1, seq: 1.5 }), REFUSED);
});

test("a peer that does not greet, or whose line has no end, is refused", () => {
  assert.throws(() => new AppendReader(parseAppendAnswer).push(Buffer.from("lack 1\n")), REFUSED);
  const reader = new AppendReader(parseAppendAnswer);
  assert.deepEqual(reader.push(Buffer.from(`${APPEND_HELLO}\n${"x".repeat(MAX_APPEND_LINE)}`)), []);
  assert.throws(() => reader.push(Buffer.from("x")), REFUSED);
});

test("a reason is cut and can't begin a line of its own", () => {
  const line = printAppendAnswer({ kind: "refused", tag: 7, code: "DISK", text: `full\nhave 7 1 ${"é".repeat(400)}` });
  assert.match(line, /^refused 7 DISK full\?have 7 1 \?+\n$/);
  assert.ok(line.length <= MAX_APPEND_LINE);
});
