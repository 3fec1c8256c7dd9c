import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { contains, isUnicast, parseAddress, parseNetwork, printAddress } from "./network.ts";

const address = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("a printed address is read as the same address", () => {
  fc.assert(fc.property(address, (number) => assert.equal(parseAddress(printAddress(number)), number)));
});

test("an address has one spelling", () => {
  for (const text of [
    "10.83.0",
    "10.83.0.256",
    "10.083.0.1",
    "10.83.0.1 ",
    "0x0a.83.0.1",
    "10.83.0.1.2",
    "::1",
    "",
    "a.b.c.d",
  ]) {
    assert.equal(parseAddress(text), null, text);
  }
});

test("a network holds the addresses that share its prefix", () => {
  fc.assert(
    fc.property(address, fc.integer({ min: 16, max: 20 }), address, (start, prefixLength, other) => {
      const size = 2 ** (32 - prefixLength);
      const base = start - (start % size);
      const network = { base: printAddress(base), prefixLength };
      assert.equal(contains(network, other), Math.floor(other / size) === base / size);
      assert.deepEqual(parseNetwork(`${network.base}/${prefixLength}`), isUnicast(base) ? network : null);
    }),
  );
});

test("networks that no machine can be on are refused", () => {
  const wrong = [
    "10.83.0.0",
    "10.83.0.0/15",
    "10.83.0.0/21",
    "10.83.0.0/016",
    "10.83.0.1/16",
    "10.83.8.0/20",
    "10.83.0.0/16/16",
  ];
  for (const text of [...wrong, "127.0.0.0/16", "0.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "255.255.0.0/16"]) {
    assert.equal(parseNetwork(text), null, text);
  }
});
