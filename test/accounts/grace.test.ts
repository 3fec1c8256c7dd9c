/** A removed recovery key has its say on `keys` for 72 hours, and goes by itself then. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fromAccept, type LedgerFrame } from "#core/account/feed.ts";
import { GRACE_SECONDS } from "#core/account/step.ts";
import { lineOf, Owner } from "#test/owner.ts";
import { Operator } from "./operator.ts";
import { DOMAIN, Programs, until } from "./programs.ts";

const now = Math.floor(Date.now() / 1000);
const begun = now - GRACE_SECONDS - 1000;
const operator = new Operator(DOMAIN, begun);
const alice = new Owner(DOMAIN, begun);
const programs = new Programs(operator.id, ["keys"]);
const keys = programs.machines.get("keys") ?? assert.fail();
const lines = (): string[] => (programs.read("keys", "etc/ssh/authorized_keys/alice") ?? "").trim().split("\n").sort();

before(() => keys.start());
after(() => programs.stop());

test("it goes when its time is over, with nobody saying so", async () => {
  const line = await programs.connect("keys", fromAccept());
  const removedAt = Math.floor(Date.now() / 1000) - GRACE_SECONDS + 3;
  const record = (of: "directory" | "state", accepted: number, signed: Buffer): LedgerFrame => {
    return { kind: "record", of, accepted, signed };
  };
  await line.send(
    record("directory", begun, operator.first),
    record("directory", begun, operator.add(new Map([["alice", alice]]))),
    record("state", begun, alice.genesis),
    record("state", removedAt, alice.propose({ recovery: [] })),
  );
  let took = 0;
  while (took < 4) took += (await line.next())?.filter(({ kind }) => kind === "took").length ?? assert.fail("ended");
  assert.deepEqual(lines(), [alice.master, alice.recovery].map((key) => `restrict ${lineOf(key)}`).sort());
  await until(() => lines().length === 1);
  assert.ok(Date.now() / 1000 >= removedAt + GRACE_SECONDS);
  assert.deepEqual(lines(), [`restrict ${lineOf(alice.master)}`]);
  line.close();
});

test("it does not come back with a start", async () => {
  await keys.kill();
  await keys.start();
  assert.deepEqual(lines(), [`restrict ${lineOf(alice.master)}`]);
});
