/** The audit against random honest histories, in which it has nothing to say, and against every attack on them. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attacks, type Scene } from "#test/mailbox/attacks.ts";
import { copyOf } from "#test/mailbox/fetch.ts";
import { formatAttacks } from "#test/mailbox/format-attacks.ts";
import { ledgerAttacks } from "#test/mailbox/ledger-attacks.ts";
import { auditFolder, play, sceneOf, wordsOf } from "#test/mailbox/scene.ts";
import { emptyTally, simulate } from "#test/mailbox/simulate.ts";

/** `test/mailbox-simulation.ts` takes as many as one likes. */
const HISTORIES = 4;
const STEPS = 250;
const SCENES = 2;
const STEPS_OF_SCENE = 30;

test("honest histories raise no alarm, whatever is interrupted", () => {
  const tally = emptyTally();
  for (let seed = 1; seed <= HISTORIES; seed++) simulate(seed, STEPS, tally);
  assert.deepEqual(tally.false, []);
  assert.ok(
    tally.audits > 150 && tally.delivered > 400 && tally.removed > 200 && tally.reread > 0,
    JSON.stringify(tally),
  );
});

const known = new Map<number, Scene>();

function quiet(seed: number): Scene {
  const scene = known.get(seed) ?? sceneOf(seed, STEPS_OF_SCENE);
  known.set(seed, scene);
  return scene;
}

describe("attacks", () => {
  const scenes = Array.from({ length: SCENES }, (_, index) => index + 1);
  for (const attack of [...attacks, ...formatAttacks, ...ledgerAttacks]) {
    test(attack.name, () => {
      for (const seed of scenes) {
        const isLast = attack.after !== undefined || attack.usesUpScene === true;
        const scene = isLast ? sceneOf(seed, STEPS_OF_SCENE) : quiet(seed);
        assert.deepEqual(wordsOf(auditFolder(scene.world, scene.world.folder, null)), [], "honest before");
        const { expected, memory, fresh, opened } = play(attack, scene);
        assert.deepEqual(memory, [...expected.memory].sort(), `device with memory, seed ${seed}`);
        assert.deepEqual(fresh, [...expected.fresh].sort(), `new device, seed ${seed}`);
        assert.deepEqual(opened, [], `seed ${seed}`);
      }
    });
  }
});

test("two hundred thousand files that nobody delivered are as many findings", () => {
  const { world } = sceneOf(7, 0, 1_790_000_000);
  const folder = copyOf(world.folder);
  for (let count = 0; count < 200_000; count++) folder.mail.set(`x${count}`, Buffer.alloc(0));
  assert.equal(auditFolder(world, folder, null).findings.length, 200_000);
});
