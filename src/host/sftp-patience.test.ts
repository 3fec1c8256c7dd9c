import assert from "node:assert/strict";
import { test } from "node:test";
import { Patience } from "./sftp-patience.ts";

/** What is said first within an hour of looking each 5 s, and after how many seconds. */
function firstComplaint(patience: Patience, eachFiveSeconds: (now: number) => void): [number, string] | undefined {
  for (let now = 5000; now <= 3_600_000; now += 5000) {
    eachFiveSeconds(now);
    const complaint = patience.complaint(now);
    if (complaint !== undefined) return [now / 1000, complaint];
  }
  return undefined;
}

function asked(): Patience {
  const patience = new Patience();
  patience.begin(0);
  return patience;
}

test("silence ends it after two minutes, whatever is sent", () => {
  const silent = asked();
  const complaint = firstComplaint(silent, () => silent.sent(1_000_000));
  assert.deepEqual(complaint, [120, "did not answer for 120 s"]);
});

test("a byte now and then ends it after ten minutes", () => {
  const trickling = asked();
  const complaint = firstComplaint(trickling, (now) => trickling.received(5, now));
  assert.deepEqual(complaint, [600, "took 10 minutes for 600 bytes"]);
});

test("a server that was quick once can't trickle for ever after", () => {
  const tired = asked();
  const complaint = firstComplaint(tired, (now) => tired.received(now < 100_000 ? 1_000_000 : 5, now));
  assert.deepEqual(complaint, [1200, "took 10 minutes for 600 bytes"]);
});

test("a slow line is waited for, down and up", () => {
  const down = asked();
  assert.equal(
    firstComplaint(down, (now) => down.received(500, now)),
    undefined,
  );
  const up = asked();
  assert.equal(
    firstComplaint(up, (now) => {
      up.sent(600);
      up.received(1, now);
    }),
    undefined,
  );
});

test("a connection on which little is asked is not slow", () => {
  const quiet = asked();
  assert.equal(
    firstComplaint(quiet, (now) => {
      quiet.begin(now);
      quiet.received(50, now);
    }),
    undefined,
  );
});
