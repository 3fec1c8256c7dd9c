import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { MIN_PADDED_BYTES, paddedLength } from "./padding.ts";

test("known lengths", () => {
  for (const [bytes, padded] of [
    [0, 16_384],
    [1, 16_384],
    [16_383, 16_384],
    [16_384, 16_384],
    [16_385, 17_408],
    [70_000, 71_680],
    [1_048_577, 1_081_344],
    [25_000_000, 25_165_824],
  ] as const) {
    assert.equal(paddedLength(bytes), padded);
  }
});

test("never shorter, never above by an eighth, a length of its own, and growing", () => {
  fc.assert(
    fc.property(fc.integer({ min: MIN_PADDED_BYTES, max: 2 ** 40 }), (bytes) => {
      const padded = paddedLength(bytes);
      assert.ok(padded >= bytes && padded <= bytes * 1.12);
      assert.equal(paddedLength(padded), padded);
      assert.ok(paddedLength(bytes + 1) >= padded);
    }),
  );
});

test("only some hundred lengths exist up to 50 MB", () => {
  const lengths = new Set<number>();
  for (let bytes = 0; bytes <= 50_000_000; bytes = paddedLength(bytes + 1)) lengths.add(paddedLength(bytes + 1));
  assert.ok(lengths.size < 500, `${lengths.size}`);
});
