/** Root on one machine after another: nothing ends otherwise than docs/trust.md says. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptsOf, runDrills } from "./taken/drills.ts";

test("root on fetch, keys and ledger", { timeout: 900_000 }, async (context) => {
  const reports = await runDrills(Object.keys(attemptsOf), (text) => context.diagnostic(text));
  for (const [name, { attempts, succeededAsDocumented, outcomes }] of reports) {
    assert.ok(attempts >= 5 && succeededAsDocumented >= 1, `${name} shows nothing`);
    const unexpected = outcomes.filter((outcome) => outcome.unexpected !== null);
    assert.deepEqual(unexpected, [], name);
  }
});
