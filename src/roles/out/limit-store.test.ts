import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FormatError, PolicyError } from "#core/errors.ts";
import { LimitStore } from "./limit-store.ts";

const DAY = 86_400;
const NOW = 1_800_000_000;
const KEY = Buffer.alloc(32, 1);
const LIMITS = { messagesPerDay: 5, newRecipientsPerDay: 3 };

async function withStore(action: (store: LimitStore, path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-limits-"));
  const store = LimitStore.open(join(folder, "limits.db"), KEY, LIMITS);
  try {
    await action(store, join(folder, "limits.db"));
  } finally {
    store.close();
    rmSync(folder, { recursive: true });
  }
}

function pace(error: unknown): boolean {
  return error instanceof PolicyError && error.code === "PACE";
}

test("a recipient is new once, and again after 90 days without mail", async () => {
  await withStore(async (store) => {
    const left = (now: number) => store.left("alice", now).newRecipients.left;
    await store.reserve("alice", ["a@x.example"], NOW);
    assert.equal(left(NOW), 2);
    await store.reserve("alice", ["A@x.example"], NOW + 10);
    assert.equal(left(NOW + 10), 2);
    assert.equal(left(NOW + DAY), 3);
    await store.reserve("alice", ["a@x.example"], NOW + 80 * DAY);
    assert.equal(left(NOW + 80 * DAY), 3, "written to within 90 days");
    store.prune(NOW + 169 * DAY);
    await store.reserve("alice", ["a@x.example"], NOW + 169 * DAY);
    assert.equal(left(NOW + 169 * DAY), 3);
    await store.reserve("alice", ["a@x.example"], NOW + 259 * DAY);
    assert.equal(left(NOW + 259 * DAY), 2);
    assert.equal(store.left("bob", NOW).newRecipients.left, 3);
  });
});

test("the day is the 24 hours before, and it is said when more can go", async () => {
  await withStore(async (store) => {
    for (let turn = 0; turn < 5; turn += 1) await store.reserve("alice", [], NOW + turn);
    assert.deepEqual(store.left("alice", NOW + 5).messages, { limit: 5, left: 0, next: NOW + DAY });
    await assert.rejects(store.reserve("alice", [], NOW + DAY - 1), pace);
    await store.reserve("alice", [], NOW + DAY);
    await assert.rejects(store.reserve("alice", [], NOW + DAY), pace);
    store.prune(NOW + 3 * DAY);
    assert.equal(store.left("alice", NOW + 3 * DAY).messages.left, 5);
  });
});

test("what is taken back leaves everything as it was, but for what others have sent since", async () => {
  await withStore(async (store) => {
    await store.reserve("alice", ["old@x.example"], NOW);
    const before = store.left("alice", NOW + 20);
    const taken = await store.reserve("alice", ["old@x.example", "b@x.example"], NOW + 20);
    store.refund(taken);
    store.refund(taken);
    assert.deepEqual(store.left("alice", NOW + 20), before);
    const first = await store.reserve("alice", ["c@x.example"], NOW + 30);
    await store.reserve("alice", ["c@x.example"], NOW + 31);
    store.refund(first);
    assert.equal(store.left("alice", NOW + 31).newRecipients.left, 1, "the second message did go to c");
  });
});

test("too many at once are refused for good, and one who may not does not keep others from it", async () => {
  await withStore(async (store) => {
    const four = ["a", "b", "c", "d"].map((name) => `${name}@x.example`);
    const results = await Promise.allSettled([
      store.reserve("alice", four, NOW),
      store.reserve("alice", four.slice(0, 3), NOW),
      store.reserve("alice", four.slice(3), NOW),
      store.reserve("bob", four.slice(3), NOW),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === "rejected" ? (result.reason as PolicyError).code : "counted")),
      ["TOO-MANY", "counted", "PACE", "counted"],
    );
  });
});

test("a clock that ran ahead is forgotten", async () => {
  await withStore(async (store) => {
    for (let turn = 0; turn < 5; turn += 1) await store.reserve("alice", ["a@x.example"], NOW + 1000 * DAY);
    assert.equal(store.left("alice", NOW).messages.left, 0);
    store.prune(NOW);
    assert.equal(store.left("alice", NOW).messages.left, 5);
    assert.equal(store.left("alice", NOW).newRecipients.left, 3);
  });
});

test("what is no store of ours is not touched", async () => {
  await withStore(async (_, path) => {
    writeFileSync(
      `${path}-other`,
      "this is something else, and long enough to be looked at as a database of SQLite".repeat(20),
    );
    assert.throws(
      () => LimitStore.open(`${path}-other`, KEY, LIMITS),
      (error) => error instanceof FormatError && error.code === "STORE",
    );
  });
});
