import assert from "node:assert/strict";
import { test } from "node:test";
import { accountOf, isAccountName, parseAddress } from "./address.ts";

test("finds the account behind an address", () => {
  for (const [address, account] of [
    ["alice@example.org", "alice"],
    ["Alice@Example.ORG", "alice"],
    ["alice+shop@example.org", "alice"],
    ["alice+a+b@example.org", "alice"],
    ["alice+@example.org", "alice"],
    ["j.doe_1-x@example.org", "j.doe_1-x"],
    ["1@example.org", "1"],
    [`${"a".repeat(32)}@example.org`, "a".repeat(32)],
  ] as const) {
    assert.equal(accountOf(address, "example.org"), account);
  }
});

test("finds none behind anything else", () => {
  for (const address of [
    "",
    "@",
    "alice",
    "alice@",
    "@example.org",
    "+x@example.org",
    "alice@example.com",
    "alice@sub.example.org",
    "alice@example.org.",
    "alice@[192.0.2.1]",
    "alice@example.org@example.com",
    '"alice"@example.org',
    "al ice@example.org",
    "alice\n@example.org",
    "alice@example.org\n",
    "alice@example.org ",
    "<alice@example.org>",
    "älice@example.org",
    ".alice@example.org",
    "-alice@example.org",
    "al/ice@example.org",
    "../etc@example.org",
    "\u212Aate@example.org",
    `${"a".repeat(33)}@example.org`,
    `alice+${"a".repeat(64)}@example.org`,
  ]) {
    assert.equal(accountOf(address, "example.org"), null, JSON.stringify(address));
  }
});

test("parses addresses of strangers", () => {
  assert.deepEqual(parseAddress("O'Brien=x@MX.Example.com"), { local: "O'Brien=x", domain: "mx.example.com" });
  for (const text of ["a@b_c", "a@-b.example", "a@b..c", `a@${"b.".repeat(127)}c`, "a@b c"])
    assert.equal(parseAddress(text), null, text);
});

test("names of accounts make harmless names of files", () => {
  for (const name of ["", ".", "..", ".a", "-a", "_a", "a/b", "A", "a\n", "a b", "a".repeat(33)]) {
    assert.equal(isAccountName(name), false, JSON.stringify(name));
  }
});
