import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { MemoryBudget } from "../memory-budget.ts";
import { MessageCollector } from "./message-end.ts";

/** What a client sends: dots doubled, lines ended, the end. */
function stuffed(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("")}.\r\n`, "latin1");
}

test("a message comes out as it went in, however the stream is cut, and what follows is given back", () => {
  const line = fc
    .string({ unit: fc.constantFrom(".", "a", "\r", "\n", "b"), maxLength: 6 })
    .filter((text) => !/\r\n|\r$|^\n/.test(text));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(12), { maxLength: 40 }), (lines, cuts) => {
      const stream = Buffer.concat([stuffed(lines), Buffer.from("QUIT\r\n")]);
      const collector = new MessageCollector(10_000, new MemoryBudget(10_000));
      let at = 0;
      for (let turn = 0; at < stream.length; turn++) {
        const next = Math.min(stream.length, at + 1 + (cuts[turn] ?? 3));
        const done = collector.push(stream.subarray(at, next));
        at = next;
        if (done === undefined) continue;
        assert.equal(done.message?.toString("latin1"), lines.map((text) => `${text}\r\n`).join(""));
        assert.equal(Buffer.concat([done.rest, stream.subarray(at)]).toString(), "QUIT\r\n");
        return;
      }
      assert.fail("the end was not found");
    }),
    { numRuns: 2000 },
  );
});

test("a message over the limit is dropped to its end and nothing after it is lost", () => {
  const collector = new MessageCollector(10, new MemoryBudget(10_000));
  assert.equal(collector.push(Buffer.from("0123456789ab\r\n")), undefined);
  const done = collector.push(Buffer.from("more\r\n.\r\nRSET\r\n"));
  assert.equal(done?.message, null);
  assert.equal(done?.rest.toString(), "RSET\r\n");
});

test("a message that the others leave no memory for is dropped, and what it took is given back", () => {
  const budget = new MemoryBudget(20);
  const first = new MessageCollector(100, budget);
  const second = new MessageCollector(100, budget);
  first.push(Buffer.from("0123456789ab\r\n"));
  second.push(Buffer.from("0123\r\n"));
  assert.equal(budget.usedBytes, 20);
  assert.equal(second.push(Buffer.from(".\r\n"))?.message, null);
  assert.equal(budget.usedBytes, 14);
  first.forget();
  assert.equal(budget.usedBytes, 0);
});
