/**
 * The ledger is killed again and again while couriers deliver and devices look, its connection is cut, and its clock jumps. Nothing may
 * be lost, doubled or forked, and nobody may be alarmed.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseEntries } from "#core/mailbox/entries.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import { until } from "#test/accounts/programs.ts";
import { childrenOf } from "./children.ts";
import { LedgerMachine } from "./ledger-machine.ts";
import { Random } from "./random.ts";

const NAMES = ["alice", "bob", "carol"] as const;
const KILLS = 14;
const IN_FLIGHT = 8;
/** What couriers have been told, by mailbox: number -> digest. */
const told = new Map(NAMES.map((name) => [name, new Map<number, string>()]));

async function deliver(machine: LedgerMachine, name: (typeof NAMES)[number], isOver: () => boolean): Promise<void> {
  const courier = machine.courier();
  const numbers = told.get(name) ?? new Map<number, string>();
  const one = async (): Promise<void> => {
    while (!isOver()) {
      const mail = machine.deposit(name);
      const seq = await courier.append(mail);
      assert.ok(!numbers.has(seq), `two answers for number ${seq} of ${name}`);
      numbers.set(seq, mail.digest);
      // A courier that was killed asks for the same once more.
      if (seq % 5 === 0) assert.equal(await courier.append(mail), seq);
      await sleep(5);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}

async function look(machine: LedgerMachine, name: string, isOver: () => boolean): Promise<number> {
  let memory: AuditMemory | null = null;
  let audits = 0;
  while (!isOver()) {
    const result = machine.audit(name, memory);
    assert.deepEqual(result.findings, [], `${name}: ${machine.program.log}`);
    ({ memory } = result);
    audits++;
    await sleep(15);
  }
  return audits;
}

test("killed at any moment", { timeout: 300_000 }, async (context) => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const machine = await LedgerMachine.start({ names: NAMES, heartbeatSeconds: 2 });
  let over = false;
  const isOver = (): boolean => over;
  try {
    await until(
      () => NAMES.every((name) => machine.audit(name).head !== null),
      () => machine.program.log,
    );
    const devices = NAMES.map((name) => look(machine, name, isOver));
    const couriers = NAMES.map((name) => deliver(machine, name, isOver));
    for (const work of [...devices, ...couriers]) work.catch(() => (over = true));
    for (let kill = 0; kill < KILLS && !isOver(); kill++) {
      await sleep(random.between(0, 400));
      const [ssh] = childrenOf(machine.program.pid);
      if (ssh !== undefined && random.chance(0.4)) {
        process.kill(ssh, "SIGKILL");
        await sleep(random.between(0, 300));
      }
      await machine.program.kill();
      machine.shiftClock(random.between(-500, 500));
      // Most of the time it is killed before it is up and running.
      await machine.program.start(random.chance(0.6));
    }
    machine.shiftClock(0);
    await machine.program.kill();
    await machine.program.start();
    await sleep(500);
    over = true;
    await Promise.all(couriers);
    const audits = await Promise.all(devices);
    context.diagnostic(
      `${audits.reduce((sum, some) => sum + some)} audits, ${[...told.values()].map(({ size }) => size).join("+")} mails`,
    );
    for (const [name, numbers] of told) {
      const last = Math.max(...numbers.keys());
      assert.ok(numbers.size > 20, "some were delivered");
      await until(
        () => machine.audit(name).head?.last.seq === last,
        () => JSON.stringify(machine.audit(name).findings),
      );
      assert.deepEqual(machine.audit(name).findings, []);
      const entries = parseEntries(readFileSync(machine.path(name, "ledger/entries")), last);
      assert.deepEqual(
        entries.map(({ seq, digest }) => [seq, digest]),
        [...numbers].sort(([a], [b]) => a - b),
        "every answer is in the chain, and nothing else",
      );
    }
  } finally {
    over = true;
    await machine.stop();
  }
});
