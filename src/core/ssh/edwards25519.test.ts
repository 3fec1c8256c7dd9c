import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { faultByDefinition, faultOfPoint, montgomeryOf } from "./edwards25519.ts";

function freshPoint(): Buffer {
  return generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).subarray(-32);
}

test("the quick way and the definition judge every 32 bytes alike", () => {
  const faults = new Set<string | null>();
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(bytes, (point) => {
      const fault = faultByDefinition(point);
      faults.add(fault);
      assert.equal(faultOfPoint(point), fault);
    }),
    { numRuns: 300 },
  );
  // Half of all y are off the curve, 7 of 8 of the others outside the prime-order group.
  assert.ok(faults.has("off-curve") && faults.has("mixed-order"));
});

test("both accept the keys that are made, with either sign of x", () => {
  for (let i = 0; i < 20; i++) {
    const point = freshPoint();
    const negative = Buffer.from(point);
    negative.writeUInt8(negative.readUInt8(31) ^ 0x80, 31);
    for (const each of [point, negative]) assert.deepEqual([faultOfPoint(each), faultByDefinition(each)], [null, null]);
  }
});

test("both refuse y at the edges and the wrong number of bytes", () => {
  const p = 2n ** 255n - 19n;
  for (const y of [0n, 1n, 2n, p - 2n, p - 1n, p, p + 1n, 2n ** 255n - 1n, 2n ** 255n, 2n ** 256n - 1n]) {
    const point = Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse();
    assert.notEqual(faultOfPoint(point), null, y.toString(16));
    assert.equal(faultOfPoint(point), faultByDefinition(point), y.toString(16));
  }
  for (const length of [0, 31, 33]) assert.equal(faultOfPoint(Buffer.alloc(length, 9)), "length");
});

/** Where quotients are large, where they are all 1 (Fibonacci's numbers), and where leading digits say little. */
function* awkwardNumbers(p: bigint): Generator<bigint> {
  for (let n = 0n; n < 300n; n++) yield* [n, p - 1n - n];
  for (let bits = 1n; bits < 255n; bits++) for (const by of [-1n, 0n, 1n]) yield* [(1n << bits) + by, (p >> bits) + by];
  for (let [a, b] = [1n, 2n]; b < p; [a, b] = [b, a + b]) yield* [b, p - b, (p * a) / b];
}

test("u times (1-y) is 1+y, exactly and in canonical form", () => {
  const p = 2n ** 255n - 19n;
  const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const check = (y: bigint): void => {
    const u = numberOf(montgomeryOf(Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse()));
    assert.ok(u < p, y.toString(16));
    // The inverse of 0 is 0.
    assert.equal(y === 1n ? u : (u * (p + 1n - y) - (1n + y)) % p, 0n, y.toString(16));
  };
  for (const n of awkwardNumbers(p)) check((((1n - n) % p) + p) % p);
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: p - 1n }), check), { numRuns: 2000 });
});
