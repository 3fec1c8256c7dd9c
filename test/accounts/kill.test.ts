/** Ledger and accept are killed at any moment while states come: each has the old or the new, and all end the same. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseChain, verifySteps } from "#core/account/chain.ts";
import { authKeys } from "#core/account/derive.ts";
import { parseProposal } from "#core/account/step.ts";
import { parseRecipients } from "#core/recipients.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { Operator } from "./operator.ts";
import { DOMAIN, Programs, type Role, until } from "./programs.ts";

const KILLS = 9;
const ROLES = ["in", "fetch"] as const;
const now = Math.floor(Date.now() / 1000);
const operator = new Operator(DOMAIN, now);
const owners = new Map(["alice", "bob", "carol"].map((name) => [name, new Owner(DOMAIN, now)]));
const programs = new Programs(operator.id, ROLES);
/** Key that logs in and seals -> version that has it. */
const versionOf = new Map<string, number>();
const said = new Map<string, number>();

before(async () => {
  await Promise.all([programs.ledger, ...programs.machines.values()].map((program) => program.start()));
  await programs.submit(
    { of: "directory", signed: operator.first },
    { of: "directory", signed: operator.add(owners) },
    ...[...owners.values()].map(({ genesis }) => ({ of: "state" as const, signed: genesis })),
  );
  for (const [name, { device }] of owners) {
    versionOf.set(lineOf(device), 1);
    said.set(name, 1);
  }
});
after(() => programs.stop());

/** Versions that the machine's files show, each a whole one; 0 for none. */
function shown(role: Role): number[] {
  return [...owners].map(([name]) => {
    if (role === "in") {
      const text = programs.read("in", "recipients");
      const [key] = text === null ? [] : (parseRecipients(text).byName.get(name)?.seal ?? []);
      return key === undefined ? 0 : (versionOf.get(key) ?? Number.NaN);
    }
    const keys = programs.read("fetch", `etc/ssh/authorized_keys/${name}`) ?? "";
    const version = keys === "" ? 0 : (versionOf.get(keys.trim().slice("restrict ".length)) ?? Number.NaN);
    const chain = parseChain(Buffer.from(programs.read("fetch", `srv/${name}/account/chain`) ?? "", "latin1"));
    // The chain is written before the keys.
    assert.ok((verifySteps(chain, DOMAIN, null)?.state.version ?? 0) >= version, "keys of a state that nobody can see");
    return version;
  });
}

test("killed at any moment", async () => {
  const over = new AbortController();
  const stream = (async () => {
    let turn = 0;
    while (!over.signal.aborted) {
      const [name, owner] = [...owners][turn++ % owners.size] ?? [];
      if (name === undefined || owner === undefined) return;
      const device = makeKey();
      const signed = owner.propose({ devices: [{ auth: true, seal: true, key: lineOf(device) }] });
      versionOf.set(lineOf(device), owner.standing.state.version + 1);
      // As shoal-keys does: until there is an answer, whoever was killed meanwhile.
      for (;;) {
        const [code] = await programs.submit({ of: "state", signed }).catch(async () => {
          await sleep(20);
          return ["gone"];
        });
        if (code === "ACCEPTED") break;
        assert.equal(code, "gone");
      }
      owner.advance({ devices: parseProposal(signed).state.devices });
      said.set(name, owner.standing.state.version);
    }
  })();
  stream.catch(() => {});
  const victims = [programs.ledger, ...programs.machines.values()];
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = victims[kill % victims.length];
      await sleep(Math.random() * 300);
      await victim?.kill();
      for (const role of ROLES) for (const version of shown(role)) assert.ok(!Number.isNaN(version), role);
      await victim?.start(kill % 2 === 0);
    }
  } finally {
    over.abort();
  }
  await stream;
  const expected = [...said.values()];
  assert.ok(Math.min(...expected) > 1, "states came through");
  for (const role of ROLES) {
    await until(
      () => JSON.stringify(shown(role)) === JSON.stringify(expected),
      () => `${role}: ${shown(role).join(" ")} of ${expected.join(" ")}`,
    );
  }
  const dump = (await programs.run("ledger", "dump")).stdout;
  for (const role of ROLES) assert.ok((await programs.run("accept", "dump", { role })).stdout.equals(dump), role);
  for (const [name, owner] of owners) {
    const chain = parseChain(Buffer.from(programs.read("fetch", `srv/${name}/account/chain`) ?? "", "latin1"));
    const standing = verifySteps(chain, DOMAIN, null);
    assert.equal(standing?.hash, owner.standing.hash);
    assert.deepEqual(standing === null ? [] : authKeys(standing), authKeys(owner.standing));
  }
});
