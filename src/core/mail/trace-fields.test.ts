import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { renameTraceFields } from "./trace-fields.ts";

function renamed(message: string): string {
  return renameTraceFields(Buffer.from(message, "latin1")).toString("latin1");
}

test("renames our fields, in any case, folded, with space before the colon, wherever they stand", () => {
  for (const [message, expected] of [
    ["Return-Path: <a@b>\nSubject: x\n\nbody\n", "X-Outside-Return-Path: <a@b>\nSubject: x\n\nbody\n"],
    ["Subject: x\nreturn-PATH :<a@b>\n\n", "Subject: x\nX-Outside-return-PATH :<a@b>\n\n"],
    ["DELIVERED-TO:\n\ta@b\n c@d\nTo: x\n\n", "X-Outside-DELIVERED-TO:\n\ta@b\n c@d\nTo: x\n\n"],
    [
      "Shoal-Length: 5\nShoal-: x\nShoal-Anything\t: x\n\n",
      "X-Outside-Shoal-Length: 5\nX-Outside-Shoal-: x\nX-Outside-Shoal-Anything\t: x\n\n",
    ],
    ["A: 1\n folded\nDelivered-To: x", "A: 1\n folded\nX-Outside-Delivered-To: x"],
    ["\xef\xbb\xbfReturn-Path: x\n\n", "\xef\xbb\xbfX-Outside-Return-Path: x\n\n"],
    ["N\xc3\xa4me: x\nReturn-Path: x\n\n", "N\xc3\xa4me: x\nX-Outside-Return-Path: x\n\n"],
    [
      "From a@b Sun Nov 22 02:00:00 2026\nReturn-Path: x\n\n",
      "From a@b Sun Nov 22 02:00:00 2026\nX-Outside-Return-Path: x\n\n",
    ],
    [
      "Received: by x\n\tid 1\n>From a@b Sun Nov 22 02:00:00 2026\nReturn-Path: x\n\n",
      "Received: by x\n\tid 1\n>From a@b Sun Nov 22 02:00:00 2026\nX-Outside-Return-Path: x\n\n",
    ],
    [" folded: into our block\nA: 1\n\n", "X-Outside-Continuation: folded: into our block\nA: 1\n\n"],
    ["\tx\nReturn-Path: x\n\n", "X-Outside-Continuation:\tx\nX-Outside-Return-Path: x\n\n"],
    ["\xef\xbb\xbf x\n\n", "\xef\xbb\xbfX-Outside-Continuation: x\n\n"],
  ] as const) {
    assert.equal(renamed(message), expected);
    assert.equal(renamed(expected), expected, "a second time changes nothing");
  }
});

test("leaves everything else as it is, and the same buffer", () => {
  for (const message of [
    "",
    "\n",
    "\n\n",
    "\nReturn-Path: in the body\n",
    "Subject: x\n\nReturn-Path: in the body\nShoal-Length: 5\n",
    "Subject: x",
    "Subject: x\n",
    "no header at all, and no colon\nReturn-Path: in the body\n",
    "a body: with a colon behind a space\nReturn-Path: in the body\n",
    "\xef\xbb\xbf\nReturn-Path: in the body\n",
    "X-Return-Path: x\nReturn-Path-X: x\nXShoal-Length: x\nShoal: x\nDelivered-T: x\n\n",
    "Subject: Return-Path: x\n Return-Path: folded\n\n",
    ":Return-Path: x\n\n",
    "Received: by x\nDKIM-Signature: h=return-path:shoal-x\n\n",
    "\r\nReturn-Path: behind an empty line that ends in CR\n",
  ]) {
    const bytes = Buffer.from(message, "latin1");
    assert.equal(renameTraceFields(bytes), bytes, JSON.stringify(message));
  }
});

test("only ever inserts; the body keeps every byte", () => {
  const line = fc.oneof(
    fc.constantFrom(
      "Return-Path: x",
      "shoal-x:y",
      "Delivered-To :z",
      " folded",
      "\tfolded",
      "Subject: hi",
      "",
      "noise",
      ":",
    ),
    fc.string({ unit: "binary", maxLength: 10 }).map((text) => text.replaceAll("\n", "")),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, ended) => {
      const message = Buffer.from(lines.join("\n") + (ended ? "\n" : ""), "utf8");
      const result = renameTraceFields(message);
      const [before, after] = [message.toString("latin1"), result.toString("latin1")];
      assert.equal(after.replace(/X-Outside-(Continuation:)?/g, ""), before);
      const body = before.indexOf("\n\n");
      if (body >= 0) assert.ok(after.endsWith(before.slice(body)));
      assert.deepEqual(renameTraceFields(result), result);
      const header = after.split("\n\n")[0] ?? "";
      if (!header.includes("noise"))
        assert.doesNotMatch(header.split("\n")[0] ?? "", /^(shoal-|return-path|delivered-to)[^:]*:/i);
    }),
    { numRuns: 500 },
  );
});

test("takes no time for a line of 30 MB", () => {
  const message = Buffer.concat([Buffer.alloc(30_000_000, "a"), Buffer.from("\nReturn-Path: x\n")]);
  const started = performance.now();
  assert.equal(renameTraceFields(message), message);
  assert.ok(performance.now() - started < 20_000);
});
