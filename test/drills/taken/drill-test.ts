/** A drill as a test. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runDrill } from "./drills.ts";

/** Call this in a file of its own: root on one machine, and nothing ends otherwise than docs/trust.md says. */
export function drillTest(name: string): void {
  test(name, async (context) => {
    const { attempts, succeededAsDocumented, outcomes } = await runDrill(name, (text) => context.diagnostic(text));
    assert.ok(attempts >= 5 && succeededAsDocumented >= 1, "it shows nothing");
    const unexpected = outcomes.flatMap((outcome) =>
      outcome.unexpected === null ? [] : [`${outcome.what}: ${outcome.unexpected}`],
    );
    assert.deepEqual(unexpected, []);
  });
}
