/** The drills by name. */

import { type DrillReport, runAttempts } from "./attempt.ts";
import { fetchRootAttempts } from "./fetch-root.ts";
import { keysRootAttempts } from "./keys-root.ts";
import { ledgerRootAttempts } from "./ledger-root.ts";
import { openScene } from "./scene.ts";

type Drill = (tell: (text: string) => void) => Promise<DrillReport>;

/** Name and network are those of flows: both never run at the same time. */
const place = { name: "drill", net: 161 };

function onAccounts(attempts: Parameters<typeof runAttempts<Awaited<ReturnType<typeof openScene>>>>[0]): Drill {
  return async (tell) => {
    const scene = await openScene(place, tell);
    try {
      return await runAttempts(attempts, scene, tell);
    } finally {
      await scene.stage.close();
    }
  };
}

export const drills: Readonly<Record<string, Drill>> = {
  "fetch-root": onAccounts(fetchRootAttempts),
  "keys-root": onAccounts(keysRootAttempts),
  "ledger-root": onAccounts(ledgerRootAttempts),
};
