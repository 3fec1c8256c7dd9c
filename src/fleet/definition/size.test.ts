import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseSize, printSize } from "./size.ts";

test("units are what their names say", () => {
  assert.equal(parseSize("35 MB"), 35_000_000);
  assert.equal(parseSize("35 MiB"), 36_700_160);
  assert.equal(parseSize("1 kB"), 1000);
  assert.equal(parseSize("1 KiB"), 1024);
  assert.equal(parseSize("2 GiB"), 2 ** 31);
});

test("a printed size is read as the same size", () => {
  const unit = fc.constantFrom("kB", "MB", "GB", "KiB", "MiB", "GiB");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), unit, (count, name) => {
      const bytes = parseSize(`${count} ${name}`);
      assert.ok(bytes !== null);
      assert.equal(parseSize(printSize(bytes)), bytes);
    }),
  );
});

test("anything else is no size", () => {
  for (const text of [
    "",
    "35",
    "35MB",
    "35  MB",
    " 35 MB",
    "35 MB\n",
    "35 mb",
    "35 KB",
    "035 MB",
    "0 MB",
    "-1 MB",
    "1.5 GB",
    "1e3 MB",
  ]) {
    assert.equal(parseSize(text), null, text);
  }
});

test("bytes that no unit fits are printed as such", () => {
  assert.equal(printSize(1001), "1001 bytes");
  assert.equal(printSize(0), "0 bytes");
});
