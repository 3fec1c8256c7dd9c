/** Laws of the formats: parsing inverts printing, one byte string for each value, and what is cut off is refused. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError } from "#core/errors.ts";
import { headIn } from "#test/mailbox/attacks.ts";
import { HonestWorld, keyFrom } from "#test/mailbox/honest-world.ts";
import { Random } from "#test/mailbox/random.ts";
import { lineOf } from "#test/owner.ts";
import { type DeletionRecord, deviceOf, openDeletions, parseDeletion, printDeletion, resign } from "./deletion.ts";
import { parseEntries, printEntries } from "./entries.ts";
import { type Entry, parseEntry, printEntry } from "./entry.ts";
import { parseHead, printHead } from "./head.ts";
import { newMemory, noteRemoved, parseMemory, printMemory } from "./memory.ts";
import { LISTED_AFTER_END_SECONDS, parseSigners, printSigners, verifySigners, withNewSigner } from "./signers.ts";

const DAY = 86_400;
const time = fc.integer({ min: 0, max: 4_000_000_000 });
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const entry: fc.Arbitrary<Entry> = fc
  .record({
    seq: fc.integer({ min: 1, max: 1e9 }),
    time,
    expiry: fc.nat(4_000_000_000),
    size: fc.integer({ min: 1, max: 1e9 }),
    digest,
    version: fc.integer({ min: 1, max: 9999 }),
  })
  .map((one) => ({ ...one, expiry: one.time + one.expiry + 1 }));
const world = new HonestWorld(3);
const head = headIn(world.folder);
const record: DeletionRecord = {
  account: world.standing.id,
  device: "0123456789abcdef",
  number: 1,
  time: 1,
  head: { seq: 9, hash: "ab".repeat(32), time: 1 },
  deleted: [
    { seq: 1, digest: "01".repeat(32) },
    { seq: 9, digest: "09".repeat(32) },
  ],
};

describe("entries", () => {
  test("parsing inverts printing, and only what is printed is parsed", () => {
    fc.assert(
      fc.property(
        entry,
        fc.nat(),
        fc.constantFrom(" ", "0", "+", "-", "\t", "\r", "\n", "a", "x"),
        (one, where, character) => {
          const line = printEntry(one).slice(0, -1);
          assert.deepEqual(parseEntry(line), one);
          const at = where % line.length;
          for (const other of [
            line.slice(0, at) + character + line.slice(at),
            line.slice(0, at) + line.slice(at + 1),
          ]) {
            try {
              assert.equal(printEntry(parseEntry(other)), `${other}\n`);
            } catch (error) {
              assert.ok(error instanceof FormatError && error.code === "LEDGER");
            }
          }
        },
      ),
    );
  });

  test("what is behind the head's number may be anything, what is before it not", () => {
    const lines = [1, 2, 3].map(
      (seq): Entry => ({ seq, time: seq, expiry: seq + 1, size: 1, digest: String(seq).repeat(64), version: 1 }),
    );
    const whole = printEntries(lines);
    for (let length = 0; length <= whole.length; length++) {
      const read = parseEntries(whole.subarray(0, length), 3);
      assert.deepEqual(read, lines.slice(0, read.length));
      assert.equal(read.length, whole.subarray(0, length).toString().split("\n").length - 1);
    }
    const junk = Buffer.concat([printEntries(lines.slice(0, 2)), Buffer.from("\0\xff\n not an entry")]);
    assert.equal(parseEntries(junk, 2).length, 2);
    assert.throws(() => parseEntries(junk, 3), FormatError);
  });
});

describe("head", () => {
  const text = printHead(head).toString();

  test("parsing inverts printing; no line may be missing, twice, or elsewhere", () => {
    assert.deepEqual(parseHead(Buffer.from(text)), head);
    const lines = text.split(/(?<=\n)/);
    for (let at = 0; at < lines.length; at++) {
      const line = lines[at] ?? "";
      for (const other of [lines.toSpliced(at, 1), lines.toSpliced(at, 0, line), [...lines.toSpliced(at, 1), line]]) {
        if (other.join("") === text) continue;
        assert.throws(() => parseHead(Buffer.from(other.join(""))), FormatError, `line ${at}`);
      }
    }
  });

  test("cut off anywhere it is refused", () => {
    for (let length = 0; length < text.length; length++) {
      assert.throws(() => parseHead(Buffer.from(text.slice(0, length))), FormatError);
    }
  });
});

describe("signers", () => {
  const keys = [1, 2, 3].map((seed) => lineOf(keyFrom(new Random(seed))));
  const [first = "", second = "", third = ""] = keys;
  const added = (key: string, now: number) => ({ domain: "example.org", key, now, validForSeconds: 40 * DAY });

  test("a new key joins, the one before it ends after the overlap and leaves 30 days later", () => {
    const one = withNewSigner(null, added(first, 1_790_000_000), 3600);
    const two = withNewSigner(one, added(second, 1_790_000_000 + 7 * DAY), 3600);
    assert.deepEqual(
      two.signers.map(({ key, until }) => [key, until - 1_790_000_000]),
      [
        [first, 7 * DAY + 3600],
        [second, 47 * DAY],
      ],
    );
    const end = 1_790_000_000 + 7 * DAY + 3600 + LISTED_AFTER_END_SECONDS;
    assert.equal(withNewSigner(two, added(third, end), 3600).signers.length, 3);
    assert.deepEqual(
      withNewSigner(two, added(third, end + 1), 3600).signers.map(({ key }) => key),
      [second, third],
    );
    assert.deepEqual(new Set(parseSigners(printSigners(two)).signers), new Set(two.signers));
    assert.ok(withNewSigner(two, added(third, 5), 3600).time > two.time, "a later list has a later time");
    const longer = withNewSigner(two, added(second, 1_790_000_000 + 30 * DAY), 3600).signers.at(-1);
    assert.deepEqual(longer, {
      key: second,
      from: two.signers[1]?.from,
      until: 1_790_000_000 + 70 * DAY,
    });
  });

  test("it takes a root that is trusted, beside one that is not", () => {
    const other = keyFrom(new Random(9));
    const both = world.signedSigners(undefined, other).toString("latin1");
    const list = world.signedSigners().toString("latin1");
    const signature = both.slice(both.indexOf("-----BEGIN"));
    const joined = Buffer.from(list + signature, "latin1");
    assert.equal(verifySigners(joined, "example.org", world.roots).domain, "example.org");
    assert.throws(() => verifySigners(Buffer.from(both, "latin1"), "example.org", world.roots), PolicyError);
    assert.throws(() => verifySigners(joined, "example.org", new Set()), PolicyError);
    assert.throws(() => verifySigners(printSigners(world.signerList), "example.org", world.roots), PolicyError);
  });
});

describe("deletion records", () => {
  test("parsing inverts printing; cut off anywhere but between two lines it is refused", () => {
    const text = printDeletion(record).toString();
    assert.deepEqual(parseDeletion(Buffer.from(text)), record);
    const first = text.length - `9 ${"09".repeat(32)}\n`.length;
    for (let length = 0; length < text.length; length++) {
      if (length === first) continue;
      assert.throws(() => parseDeletion(Buffer.from(text.slice(0, length))), FormatError, `${length} bytes`);
    }
  });

  test("what is open is said again once, by who signs it", () => {
    const more = { ...record, number: 2, deleted: [{ seq: 4, digest: "04".repeat(32) }, ...record.deleted.slice(1)] };
    assert.deepEqual(
      openDeletions([record, more], { seq: 1 }).map(({ seq }) => seq),
      [4, 9],
    );
    const key = keyFrom(new Random(4));
    const again = resign([record, more], lineOf(key), 12, { ...record.head, base: { seq: 1 } }, 77);
    assert.ok(again !== null);
    assert.deepEqual([again.device, again.number, again.time], [deviceOf(key.publicKey), 12, 77]);
    assert.deepEqual(parseDeletion(printDeletion(again)), again);
    assert.equal(resign([record], lineOf(key), 12, { ...record.head, base: { seq: 9 } }, 77), null);
    assert.throws(() => resign([record], lineOf(key), 12, { ...record.head, seq: 8, base: { seq: 0 } }, 77), {
      code: "PREV",
    });
  });
});

test("memory: parsing inverts printing", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 });
  const point = fc.record({ seq: fc.nat(), hash: digest }, { noNullPrototype: true });
  fc.assert(
    fc.property(
      fc.option(
        fc.record(
          { last: point, base: point, headTime: time, signersTime: time, gone: fc.array(fc.nat()) },
          { noNullPrototype: true },
        ),
      ),
      fc.dictionary(name, time),
      fc.array(name),
      fc.option(time),
      (some, waiting, acknowledged, headlessSince) => {
        const state = { version: 3, hash: head.state.hash };
        const memory = {
          account: world.standing.id,
          believed: some === null ? null : { ...some, state },
          headlessSince,
          waiting: new Map(Object.entries(waiting)),
          acknowledged: new Set(acknowledged),
        };
        assert.deepEqual(parseMemory(printMemory(memory)), memory);
      },
    ),
  );
  const text = printMemory(newMemory(world.standing.id));
  for (let length = 0; length < text.length; length++) {
    assert.throws(() => parseMemory(text.subarray(0, length)), FormatError);
  }
  assert.equal(noteRemoved(newMemory(world.standing.id), [1]).believed, null);
});
