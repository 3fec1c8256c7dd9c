/** The drills by name. */

import { type Attempt, type DrillReport, runAttempts } from "./attempt.ts";
import { fetchRootAttempts } from "./fetch-root.ts";
import { keysRootAttempts } from "./keys-root.ts";
import { ledgerRootAttempts } from "./ledger-root.ts";
import { forkAttempts } from "./mailbox-fork.ts";
import { type MailboxTally, mailboxRootAttempts, mailboxTally } from "./mailbox-root.ts";
import { outRootAttempts } from "./out-root.ts";
import { openScene, type Scene } from "./scene.ts";
import { spamOutRootAttempts } from "./spam-out-root.ts";

/** What root of one machine tries on a fleet with accounts. */
export const attemptsOf: Readonly<Record<string, readonly Attempt<Scene>[]>> = {
  "fetch-root": [...mailboxRootAttempts, ...fetchRootAttempts],
  "keys-root": keysRootAttempts,
  "ledger-root": [...forkAttempts, ...ledgerRootAttempts],
  "out-root": outRootAttempts,
  "spam-out-root": spamOutRootAttempts,
};

/** Opens a fleet, runs one drill after another on it and closes it, whatever happens. */
export async function runDrills(
  names: readonly string[],
  tell: (text: string) => void,
): Promise<Map<string, DrillReport & Partial<MailboxTally>>> {
  const scene = await openScene({ name: "taken" }, tell);
  try {
    const reports = new Map<string, DrillReport & Partial<MailboxTally>>();
    for (const name of names) {
      const report = await runAttempts(attemptsOf[name] ?? [], scene, tell);
      reports.set(name, name === "fetch-root" ? { ...report, ...mailboxTally(scene) } : report);
    }
    return reports;
  } finally {
    await scene.stage.close();
  }
}
