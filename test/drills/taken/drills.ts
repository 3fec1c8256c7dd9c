/** The drills by name. */

import { type Attempt, type DrillReport, runAttempts } from "./attempt.ts";
import { fetchRootAttempts } from "./fetch-root.ts";
import { keysRootAttempts } from "./keys-root.ts";
import { ledgerRootAttempts } from "./ledger-root.ts";
import { openScene, type Scene } from "./scene.ts";

/** What root of one machine tries on a fleet with accounts. */
export const attemptsOf: Readonly<Record<string, readonly Attempt<Scene>[]>> = {
  "fetch-root": fetchRootAttempts,
  "keys-root": keysRootAttempts,
  "ledger-root": ledgerRootAttempts,
};

/** Opens a fleet, runs one drill after another on it and closes it, whatever happens. */
export async function runDrills(
  names: readonly string[],
  tell: (text: string) => void,
): Promise<Map<string, DrillReport>> {
  const scene = await openScene({ name: "drill", net: 161 }, tell);
  try {
    const reports = new Map<string, DrillReport>();
    for (const name of names) reports.set(name, await runAttempts(attemptsOf[name] ?? [], scene, tell));
    return reports;
  } finally {
    await scene.stage.close();
  }
}
