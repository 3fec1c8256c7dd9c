import assert from "node:assert/strict";
import { test } from "node:test";
import { accountNameMistake } from "#core/account/names.ts";
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

test("account names that are fine", () => {
  for (const name of ["alice", "j.doe", "a", "0x", "4th-floor", "a--b", "a_", "postmaster", "abuse", "a".repeat(32)]) {
    assert.equal(accountNameMistake(name), null, name);
  }
});

test("account names that a system or an address could not carry", () => {
  const shapes = [
    "",
    "Alice",
    ".a",
    "_a",
    "-a",
    "a.",
    "a..b",
    "a+b",
    "a b",
    "a@b",
    "a/b",
    "a:b",
    "a\n",
    "é",
    "12",
    "a".repeat(33),
  ];
  const taken = [
    "root",
    "sshd",
    "deposit",
    "usage",
    "mail",
    "nobody",
    "staff",
    "sudo",
    "www-data",
    "opensmtpd",
    "systemd-network",
  ];
  for (const name of [...shapes, ...taken]) assert.notEqual(accountNameMistake(name), null, name);
});
