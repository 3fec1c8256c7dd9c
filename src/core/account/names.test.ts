import assert from "node:assert/strict";
import { test } from "node:test";
import { accountNameMistake } from "./names.ts";

test("names that an account may have", () => {
  const right = ["a", "0a", "alice", "a.b", "a-b", "a--b", "1.2", "shoal", "shoal.keys", "postmaster", "x".repeat(31)];
  for (const name of right) assert.equal(accountNameMistake(name), null, name);
});

test("names that it may not have", () => {
  const wrong = [
    ...["", "A", "-a", "a-", ".a", "a.", "a..b", "a_b", "a+b", "a b", "a\n", "a/b", "a:b", "ä", "0", "20001"],
    ...["x".repeat(32), "root", "sshd", "www-data", "shoal-", "shoal-keys"],
  ];
  for (const name of wrong) assert.notEqual(accountNameMistake(name), null, JSON.stringify(name));
});
