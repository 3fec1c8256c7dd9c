/**
 * The long runs: `node test/mailbox-simulation.ts [STEPS [SCENES [SEED]]]`. Random honest histories of so many steps (100,000),
 * then every attack on so many random scenes (20). Prints what happened, and what should not have; its exit status is 1 if
 * there was such.
 */

import { attacks } from "./mailbox/attacks.ts";
import { formatAttacks } from "./mailbox/format-attacks.ts";
import { ledgerAttacks } from "./mailbox/ledger-attacks.ts";
import { play, sceneOf } from "./mailbox/scene.ts";
import { emptyTally, simulate } from "./mailbox/simulate.ts";

const STEPS_OF_HISTORY = 500;
const MAX_STEPS_OF_SCENE = 120;
const [steps = 100_000, scenes = 20, firstSeed = 1] = process.argv.slice(2).map(Number);

const tally = emptyTally();
const begun = performance.now();
for (let seed = firstSeed; (seed - firstSeed) * STEPS_OF_HISTORY < steps; seed++)
  simulate(seed, STEPS_OF_HISTORY, tally);
const { false: alarms, ...numbers } = tally;
for (const { seed, step, finding } of alarms) {
  console.log(
    `seed ${seed}, step ${step}: ${finding.code} ${finding.seq ?? finding.file ?? ""} ${finding.detail ?? ""}`,
  );
}

let [played, named] = [0, 0];
for (let seed = firstSeed; seed < firstSeed + scenes; seed++) {
  for (const attack of [...attacks, ...formatAttacks, ...ledgerAttacks]) {
    const { expected, memory, fresh, opened } = play(attack, sceneOf(seed, (seed * 37) % MAX_STEPS_OF_SCENE));
    const isNamed =
      String(memory) === String([...expected.memory].sort()) && String(fresh) === String([...expected.fresh].sort());
    played += 1;
    if (isNamed && opened.length === 0) named += 1;
    else console.log(`seed ${seed}, ${attack.name}: ${JSON.stringify({ expected, memory, fresh, opened })}`);
  }
}
const seconds = Math.round((performance.now() - begun) / 1000);
console.log(JSON.stringify({ ...numbers, falseAlarms: alarms.length, attacks: played, named, seconds }));
process.exitCode = alarms.length === 0 && named === played ? 0 : 1;
