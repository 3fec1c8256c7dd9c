/** The ledger's side: one line for a number, one for a digest, and nothing dropped that a reader may still ask for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, VerifyError } from "#core/errors.ts";
import { firstPoint, nextPoint } from "./chain.ts";
import type { Entry } from "./entry.ts";
import { append, BASE_LAG_SECONDS, headOf, LINE_LAG_SECONDS, type Mailbox, newMailbox, prune } from "./writer.ts";

const ACCOUNT = "niUaW71aJ-nWDDa9BF5RjA";
const hex = (number: number): string => number.toString(16).padStart(64, "0");

test("whatever is delivered and repeated: one line for a digest, one for a number, all on one chain", () => {
  const step = fc.record({
    digest: fc.nat(30),
    wait: fc.integer({ min: -1000, max: 400_000 }),
    keep: fc.integer({ min: 1, max: 500_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      let mailbox: Mailbox = newMailbox(ACCOUNT);
      let now = 1_790_000_000;
      const all: Entry[] = [];
      for (const { digest, wait, keep } of steps) {
        now += wait;
        const known = all.find((entry) => entry.digest === hex(digest));
        const made = append(mailbox, { digest: hex(digest), size: 5, version: 1 }, known, now, keep);
        assert.equal(made.isNew, known === undefined);
        if (known !== undefined) assert.deepEqual([made.mailbox, made.entry], [mailbox, known]);
        if (made.isNew) all.push(made.entry);
        ({ mailbox } = made);
        const before = mailbox;
        mailbox = prune(
          mailbox,
          all.filter(({ seq }) => seq > before.dropped.seq),
          now,
        );
        assert.ok(mailbox.dropped.seq <= before.base.seq, "a head has named the base before lines go");
        for (const entry of all) {
          if (entry.seq <= mailbox.base.seq && entry.seq > before.base.seq) {
            assert.ok(entry.expiry + BASE_LAG_SECONDS <= now);
          }
          if (entry.seq <= mailbox.dropped.seq && entry.seq > before.dropped.seq) {
            assert.ok(entry.expiry + LINE_LAG_SECONDS <= now);
          }
        }
        const next = all[mailbox.base.seq];
        if (next !== undefined) assert.ok(next.expiry + BASE_LAG_SECONDS > now, "nothing stays behind");
      }
      let point = firstPoint(ACCOUNT);
      const points = [point, ...all.map((entry) => (point = nextPoint(point, entry)))];
      assert.deepEqual(mailbox.last, points[all.length]);
      assert.deepEqual(mailbox.base, points[mailbox.base.seq]);
      assert.deepEqual(mailbox.dropped, points[mailbox.dropped.seq]);
      assert.equal(new Set(all.map(({ digest }) => digest)).size, all.length);
      assert.deepEqual(
        all.map(({ time }) => time),
        all.map(({ time }) => time).sort((a, b) => a - b),
      );
    }),
  );
});

test("a head is never earlier than its last entry", () => {
  const { mailbox } = append(newMailbox(ACCOUNT), { digest: hex(1), size: 5, version: 1 }, undefined, 5000, 10);
  const state = { version: 1, hash: "", accepted: 0 };
  assert.equal(headOf(mailbox, "example.org", state, 4000, 300).time, 5000);
  assert.equal(headOf(mailbox, "example.org", state, 6000, 300).next, 6300);
});

test("what no entry can say is refused, and so is a gap", () => {
  const mailbox = newMailbox(ACCOUNT);
  for (const delivery of [
    { digest: "AB".repeat(32), size: 5, version: 1 },
    { digest: hex(1).slice(1), size: 5, version: 1 },
    { digest: hex(1), size: 0, version: 1 },
    { digest: hex(1), size: 1.5, version: 1 },
    { digest: hex(1), size: 5, version: 0 },
  ]) {
    assert.throws(() => append(mailbox, delivery, undefined, 1, 1), FormatError);
  }
  assert.throws(() => append(mailbox, { digest: hex(1), size: 5, version: 1 }, undefined, 1, 0), FormatError);
  const { entry } = append(mailbox, { digest: hex(1), size: 5, version: 1 }, undefined, 1, 1);
  assert.throws(() => prune(mailbox, [{ ...entry, seq: 2 }], 1), VerifyError);
});
