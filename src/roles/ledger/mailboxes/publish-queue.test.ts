/** Which mailbox comes next: none twice at a time, what is new first, and nothing that was noted is forgotten. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fifo } from "./fifo.ts";
import { PublishQueue } from "./publish-queue.ts";

test("names come once, in the order of their coming, unless they were deleted", () => {
  const fifo = new Fifo();
  for (const name of ["a", "b", "a", "c", "d"]) fifo.add(name);
  fifo.delete("b");
  assert.equal(fifo.size, 3);
  assert.equal(fifo.take(), "a");
  fifo.delete("c");
  fifo.add("c");
  fifo.add("a");
  // What comes back keeps its old place.
  assert.deepEqual([fifo.take(), fifo.take(), fifo.take(), fifo.take()], ["c", "d", "a", undefined]);
  for (let round = 0; round < 5000; round++) {
    fifo.add(`n${round}`);
    fifo.add(`m${round}`);
    assert.equal(fifo.take(), (round % 2 === 0 ? "n" : "m") + (round >> 1));
  }
  assert.equal(fifo.size, 5000);
});

test("what is new goes first; one is given out once at a time, and again when it was noted meanwhile", async () => {
  const queue = new PublishQueue(300);
  for (const account of ["a", "b", "c"]) queue.add(account);
  queue.note("c");
  queue.note("stranger");
  assert.equal(queue.pending, 4, "c waits in both rows");
  assert.equal(await queue.take(), "c");
  queue.note("c");
  assert.deepEqual([await queue.take(), await queue.take()], ["a", "b"]);
  const next = queue.take();
  queue.done("a", true);
  queue.remove("b");
  queue.done("b", false);
  queue.done("c", true);
  await sleep(400);
  assert.equal(await next, null, "woken to look again");
  assert.equal(await queue.take(), "c");
  assert.deepEqual([queue.pending, queue.failed, queue.size], [0, 0, 2]);
  queue.giveBack("c");
  assert.equal(await queue.take(), "c", "its machine has gone, and nothing was written");
  queue.close();
});

test("every mailbox comes once in an interval, and one that failed comes again", async () => {
  const queue = new PublishQueue(1);
  queue.add("a");
  assert.equal(await queue.take(), "a");
  queue.done("a", true);
  await sleep(2100);
  queue.tick();
  assert.equal(queue.pending, 1);
  assert.equal(await queue.take(), "a");
  queue.done("a", false);
  assert.equal(queue.failed, 1);
  queue.close();
});
