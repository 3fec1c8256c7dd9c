/** A reporter for `node --test`: the counts of the whole run, and why tests failed, as one line of JSON. */

import type { TestEvent } from "node:test/reporters";

export interface TestCounts {
  passed: number;
  failed: number;
  /** Skipped or left for later: nothing here may be, what is missing has to fail. */
  idle: number;
  /** The name of each failed test, and what was wrong. */
  reasons: string[];
}

export default async function* countReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const reasons: string[] = [];
  for await (const { type, data } of events) {
    if (type === "test:fail") reasons.push(`${data.name}\n${messageOf(data.details.error)}`);
    // Without a file it is the summary of all files.
    if (type !== "test:summary" || data.file !== undefined) continue;
    const { tests, passed, skipped, todo } = data.counts;
    const counts: TestCounts = { passed, failed: tests - passed - skipped - todo, idle: skipped + todo, reasons };
    yield `${JSON.stringify(counts)}\n`;
  }
}

/** The runner wraps what a test threw. */
function messageOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
