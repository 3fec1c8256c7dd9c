import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { named } from "#test/vectors/account-state/keys.ts";
import { parseChain, verifySteps } from "./chain.ts";
import { authKeys, nextGraceEnd, ownerKeys, sealKeys } from "./derive.ts";
import type { Standing } from "./step.ts";

const HOUR = 3600;

/** The standing behind the first versions of an accept vector. */
function standingOf(name: string, versions: number): Standing {
  const text = readFileSync(join(import.meta.dirname, "../../../test/vectors/account-state/accept", name), "latin1");
  const chain = parseChain(Buffer.from(text.slice(text.indexOf("accepted ")), "latin1"));
  const standing = verifySteps(chain.slice(0, versions), "example.org", null);
  assert.ok(standing !== null);
  return standing;
}

test("lines are sorted and restricted; keys only log in, or are only sealed to, if they say so", () => {
  const standing = standingOf("genesis-as-many-keys-as-there-may-be", 1);
  const lines = (name: string): string[] => Array.from({ length: 10 }, (_, n) => named(`${name} ${n}`).line).toSorted();
  assert.deepEqual(
    authKeys(standing),
    lines("auth").map((line) => `restrict ${line}`),
  );
  assert.deepEqual(sealKeys(standing), lines("seal"));
  assert.equal(ownerKeys(standing, 0).length, 10);
  assert.ok(ownerKeys(standing, 0).every((line) => line.startsWith("restrict ssh-ed25519 ")));
});

test("a removed recovery key hands in for 72 hours", () => {
  const standing = standingOf("stolen-master-ousted-after-71-hours", 2);
  const restricted = (name: string): string => `restrict ${named(name).line}`;
  const both = [restricted("thief"), restricted("recovery")].toSorted();
  const end = standing.accepted + 72 * HOUR;
  assert.deepEqual(ownerKeys(standing, standing.accepted), both);
  assert.deepEqual(ownerKeys(standing, end - 1), both);
  assert.deepEqual(ownerKeys(standing, end), [restricted("thief")]);
  assert.equal(nextGraceEnd(standing, standing.accepted), end);
  assert.equal(nextGraceEnd(standing, end), null);
});
