import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PolicyError } from "#core/errors.ts";
import { ProbeLimit } from "./probe-limit.ts";

const isPace = (error: unknown): boolean => error instanceof PolicyError && error.code === "PACE";

test("what is used comes back within the hour, and one account's use is not another's", () => {
  const limit = new ProbeLimit(60);
  for (let turn = 0; turn < 6; turn += 1) limit.take("alice", 10, 1000);
  assert.throws(() => limit.take("alice", 1, 1000), isPace);
  limit.take("bob", 60, 1000);
  assert.throws(() => limit.take("alice", 2, 1060), isPace);
  limit.take("alice", 1, 1060);
  limit.take("alice", 60, 1060 + 3600);
});

test("more than an hour's worth at once is possible for whoever has used nothing; a refusal costs nothing", () => {
  const limit = new ProbeLimit(50);
  limit.take("alice", 100, 0);
  assert.throws(() => limit.take("alice", 100, 3599), isPace);
  limit.take("alice", 100, 3600);
});

test("within any hour nobody gets more than two hours' worth, whatever the clock does", () => {
  const step = fc.record({ domains: fc.integer({ min: 1, max: 30 }), seconds: fc.integer({ min: -10, max: 300 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const limit = new ProbeLimit(20);
      let now = 0;
      let high = 0;
      let taken = 0;
      for (const { domains, seconds } of steps) {
        now += seconds;
        high = Math.max(high, now);
        try {
          limit.take("alice", domains, now);
          taken += Math.min(domains, 20);
        } catch (error) {
          assert.ok(isPace(error));
        }
        // A clock that goes back and forth gives back what it took, once more each time.
        const back = steps.filter((each) => each.seconds < 0).reduce((sum, each) => sum - each.seconds, 0);
        assert.ok(taken <= 20 + ((high + back) * 20) / 3600 + 1e-6);
      }
    }),
  );
});
