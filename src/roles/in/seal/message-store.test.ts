import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { MemoryBudget } from "../memory-budget.ts";
import { LineSplitter } from "./line-splitter.ts";
import { MessageStore } from "./message-store.ts";

test("lines come out as they went in, without the dots that SMTP adds", () => {
  const store = new MessageStore(new MemoryBudget(1_000_000), 1_000_000);
  for (const line of ["a", "..b", "..", "", ".c"]) store.addLine(Buffer.from(line));
  assert.equal(store.message.toString(), "a\n.b\n.\n\nc\n");
});

test("memory is taken from the budget and given back, whole", () => {
  const budget = new MemoryBudget(100_000);
  const stores = [1, 2, 3].map(() => new MessageStore(budget, 60_000));
  for (const store of stores) for (let turn = 0; turn < 60; turn += 1) store.addLine(Buffer.alloc(999, "x"));
  assert.deepEqual(
    stores.map(({ failed }) => failed),
    [false, true, true],
  );
  assert.equal(budget.usedBytes, 60_000);
  for (const store of stores) store.forget();
  assert.equal(budget.usedBytes, 0);
});

test("a message one byte too large is forgotten, and stays so", () => {
  const budget = new MemoryBudget(1_000_000);
  const store = new MessageStore(budget, 10);
  store.addLine(Buffer.from("123456789"));
  assert.equal(store.failed, false);
  store.addLine(Buffer.from(""));
  store.addLine(Buffer.from(""));
  assert.equal(store.failed, true);
  assert.equal(store.message.length, 0);
  assert.equal(budget.usedBytes, 0);
});

test("a stream is cut into the same lines wherever its chunks end", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 8 })), fc.array(fc.nat(9)), (lines, cuts) => {
      const clean = lines.map((line) => line.replaceAll("\n", "")).filter((line) => Buffer.byteLength(line) <= 20);
      const bytes = Buffer.from(clean.map((line) => `${line}\n`).join(""));
      const splitter = new LineSplitter(20);
      const seen: string[] = [];
      let from = 0;
      for (const cut of [...cuts, bytes.length]) {
        splitter.push(bytes.subarray(from, from + cut), (line) => seen.push(line.toString()));
        from += cut;
      }
      assert.deepEqual(seen, clean);
    }),
  );
});

test("a line that is too long is dropped whole, and the next one comes", () => {
  const splitter = new LineSplitter(4);
  const seen: string[] = [];
  for (const chunk of ["123", "45", "6\nok", "\n12345\n", "1234\n"]) {
    splitter.push(Buffer.from(chunk), (line) => seen.push(line.toString()));
  }
  assert.deepEqual(seen, ["ok", "1234"]);
});
