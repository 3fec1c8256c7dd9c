/** Random honest histories: whatever happens in them, no device may raise an alarm. */

import type { Finding } from "#core/mailbox/finding.ts";
import { HonestWorld, type TestDevice } from "./honest-world.ts";
import { Random } from "./random.ts";

export interface Tally {
  steps: number;
  audits: number;
  delivered: number;
  removed: number;
  /** Audits that asked to read again. */
  reread: number;
  expiredUnseen: number;
  /** STALE while the ledger was down in truth. */
  trulyStale: number;
  false: { seed: number; step: number; finding: Finding }[];
}

export const emptyTally = (): Tally => ({
  ...{ steps: 0, audits: 0, delivered: 0, removed: 0, reread: 0, expiredUnseen: 0, trulyStale: 0 },
  false: [],
});

/** The ledger has died, and its last head is as old; clocks may make it seem older. */
const LEDGER_IS_MISSED_SECONDS = 600;

/** Takes one history further into the tally. */
export function simulate(seed: number, steps: number, tally: Tally): HonestWorld {
  const world = new HonestWorld(seed);
  const random = new Random(seed ^ 0x5eed);
  const audit = (device: TestDevice, step: number): void => {
    const isBusy = random.chance(0.7);
    const look = world.look(device, isBusy);
    tally.audits += 1;
    if (look.isSecond) tally.reread += 1;
    tally.expiredUnseen += look.result.expiredUnseen;
    for (const finding of look.result.findings) {
      const { time } = look.result.head ?? { time: world.time };
      const isMissed = world.time - time > LEDGER_IS_MISSED_SECONDS && world.ledgerDownUntil >= time;
      if (finding.code === "STALE" && isMissed) tally.trulyStale += 1;
      else tally.false.push({ seed, step, finding });
    }
    if (device.work === null && random.chance(0.6)) tally.removed += world.startRemoving(device, look).length;
  };
  for (let step = 0; step < steps; step++) {
    tally.steps += 1;
    const dice = random.next();
    if (dice < 0.2) world.startDelivery();
    else if (dice < 0.5) for (let count = random.between(1, 12); count > 0; count--) world.tick();
    else if (dice < 0.75) audit(random.pick(world.devices), step);
    else if (dice < 0.85) world.advance(random.between(1, 200));
    else if (dice < 0.94) world.advance(random.between(200, 20_000));
    else if (dice < 0.97) world.advance(random.between(20_000, 3 * 86_400));
    else if (dice < 0.975) world.advance(random.between(86_400, 30 * 86_400));
    else if (dice < 0.985) world.addDevice();
    else if (dice < 0.99) world.removeDevice();
    else if (dice < 0.995 && world.isLedgerUp) world.replaceSigner();
    else world.advance(random.between(1, 20));
  }
  tally.delivered += world.delivered.length;
  return world;
}
