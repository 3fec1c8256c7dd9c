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

/** Opens a fleet of the drill's name, runs the drill on it and closes it, whatever happens. */
export async function runDrill(
  name: string,
  tell: (text: string) => void,
): Promise<DrillReport & Partial<MailboxTally>> {
  const attempts = attemptsOf[name];
  if (attempts === undefined) throw new TypeError(`no drill "${name}"`);
  const scene = await openScene({ name: name.replaceAll("-", "").slice(0, 10) }, tell);
  try {
    const report = await runAttempts(attempts, scene, tell);
    return name === "fetch-root" ? { ...report, ...mailboxTally(scene) } : report;
  } finally {
    await scene.stage.close();
  }
}
