import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseMessageDate, parseReceivedDate } from "./message-date.ts";

const at = (text: string): number => Date.parse(text) / 1000;

test("reads dates, old and sloppy ones included", () => {
  for (const [text, expected] of [
    ["Sun, 22 Nov 2026 02:00:00 +0000", "2026-11-22T02:00:00Z"],
    ["Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06Z"],
    ["21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06Z"],
    ["1 Jan 26 00:00 EST", "2026-01-01T05:00:00Z"],
    ["Thu,\t13 Feb 1969 23:32 -0330 (Newfoundland Time)", "1969-02-14T03:02:00Z"],
    ["Tue, 1 Jul 2003 10:52:37.123 +0200", "2003-07-01T08:52:37Z"],
    ["Sunday, 22 November 2026 02:00:00 +0545", "2026-11-21T20:15:00Z"],
    ["22 Nov 2026 02:00:60 Z", "2026-11-22T02:01:00Z"],
  ] as const) {
    assert.equal(parseMessageDate(text), at(expected), text);
  }
});

test("gives null for what is none", () => {
  for (const text of [
    "",
    "tomorrow",
    "1",
    "2026-11-22",
    "22 Foo 2026 02:00:00 +0000",
    "40 Nov 2026 02:00",
    "1 Nov 2026 25:00",
  ]) {
    assert.equal(parseMessageDate(text), null, text);
  }
});

test("reads the date of a Received field", () => {
  assert.equal(
    parseReceivedDate("from a; b (c [d]) by e with SMTP; Sun, 22 Nov 2026 02:00:00 +0000"),
    at("2026-11-22T02:00:00Z"),
  );
  assert.equal(parseReceivedDate("from a by b"), null);
});

test("inverts what is printed", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }), (date) => {
      const seconds = Math.floor(date.getTime() / 1000);
      assert.equal(parseMessageDate(new Date(seconds * 1000).toUTCString()), seconds);
    }),
  );
});
