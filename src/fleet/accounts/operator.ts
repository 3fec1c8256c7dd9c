/** The operator at work on the accounts of a running fleet. */

import type { OptionValues } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import type { Fleet } from "#fleet/definition/definition.ts";
import { fleetFileOf, readFleet } from "#fleet/fleet-option.ts";
import { siteMachines } from "#fleet/plan.ts";
import { unixTime } from "#host/clock.ts";
import type { Operator } from "./change.ts";
import { LedgerMachine } from "./ledger-machine.ts";
import { OperatorCopy } from "./operator-copy.ts";

/** The ledger of the live site. */
export function ledgerOf(fleet: Fleet): LedgerMachine {
  const ledger = siteMachines(fleet, fleet.live).find(({ role }) => role === "ledger");
  if (ledger === undefined) throw new TypeError("a site has no ledger");
  return new LedgerMachine(fleet.name, ledger.name);
}

export async function operatorOf(fleet: Fleet, fleetFile: string, keyFiles: readonly string[]): Promise<Operator> {
  return {
    copy: await OperatorCopy.read(fleetFile, fleet.domain, fleet.directory),
    ledger: ledgerOf(fleet),
    keyFiles,
    now: unixTime,
    say: (text) => say("shoalctl", text),
  };
}

/** The fleet and the operator that options of a verb name: `--fleet FILE`, `--key FILE` (once or more). */
export async function operatorIn(options: OptionValues): Promise<{ fleet: Fleet; operator: Operator }> {
  const fleet = await readFleet(options);
  const key = options["key"];
  const keyFiles = Array.isArray(key) ? key.map(String) : typeof key === "string" ? [key] : [];
  return { fleet, operator: await operatorOf(fleet, fleetFileOf(options), keyFiles) };
}
