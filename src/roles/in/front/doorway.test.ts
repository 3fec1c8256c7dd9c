import assert from "node:assert/strict";
import { test } from "node:test";
import { Doorway } from "./doorway.ts";

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("never more than its width inside, and everybody gets through, failures too", async () => {
  const doorway = new Doorway(3, 10_000);
  let inside = 0;
  let most = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      doorway.pass(async () => {
        inside += 1;
        most = Math.max(most, inside);
        await pause(1);
        inside -= 1;
        if (index % 5 === 0) throw new Error("failed");
      }),
    ),
  );
  assert.equal(most, 3);
  assert.equal(results.filter(({ status }) => status === "rejected").length, 4);
});

test("who stands in it too long no longer keeps others out", async () => {
  const doorway = new Doorway(1, 20);
  let leave: (() => void) | undefined;
  const slow = doorway.pass(() => new Promise<void>((resolve) => (leave = resolve)));
  // Without the limit this would wait for ever: the first one is still inside.
  await doorway.pass(() => pause(0));
  leave?.();
  await slow;
});
