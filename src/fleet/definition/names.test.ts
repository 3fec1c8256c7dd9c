import assert from "node:assert/strict";
import { test } from "node:test";
import { isDomain } from "./names.ts";

test("domains", () => {
  for (const text of ["shoal.example", "a.b.c.d", "xn--bcher-kva.example", "1.example", "a-b.example"]) {
    assert.equal(isDomain(text), true, text);
  }
  const long = `${"a".repeat(63)}.`.repeat(3);
  const wrong = [
    "",
    "example",
    "example.",
    ".example",
    "a..b",
    "-a.example",
    "a-.example",
    "A.example",
    "bücher.example",
    "a_b.example",
  ];
  for (const text of [...wrong, "10.83.0.1", `${"a".repeat(64)}.example`, `${long}example.org`, "a.example\n"]) {
    assert.equal(isDomain(text), false, text);
  }
});
