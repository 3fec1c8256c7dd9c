/** Root on one machine after another: nothing ends otherwise than docs/trust.md says. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { drills } from "./taken/drills.ts";

for (const [name, drill] of Object.entries(drills)) {
  test(name, async (context) => {
    const report = await drill((text) => context.diagnostic(text));
    assert.ok(report.attempts >= 5, "a drill without attempts shows nothing");
    assert.deepEqual(
      report.outcomes.filter(({ unexpected }) => unexpected !== null),
      [],
    );
  });
}
