/** A reporter for `node --test`: the counts of the whole run as one line of JSON. */

import type { TestEvent } from "node:test/reporters";

export interface TestCounts {
  passed: number;
  failed: number;
  /** Skipped or left for later: nothing here may be, what is missing has to fail. */
  idle: number;
}

export default async function* countReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    // Without a file it is the summary of all files.
    if (type !== "test:summary" || data.file !== undefined) continue;
    const { tests, passed, skipped, todo } = data.counts;
    const counts: TestCounts = { passed, failed: tests - passed - skipped - todo, idle: skipped + todo };
    yield `${JSON.stringify(counts)}\n`;
  }
}
