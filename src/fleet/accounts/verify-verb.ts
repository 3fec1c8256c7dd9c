import type { Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { FormatError, HostError, VerifyError } from "#core/errors.ts";
import type { Fleet } from "#fleet/definition/definition.ts";
import { fleetOption, noMore } from "#fleet/fleet-option.ts";
import { ensureFleetKeys } from "#fleet/keys.ts";
import type { MachineSpec } from "#fleet/machine.ts";
import { fleetPlan, siteMachines } from "#fleet/plan.ts";
import {
  compareAccounts,
  compareDirectories,
  compareFiles,
  filesOf,
  type Serves,
  type Shown,
  verifyDump,
} from "./audit.ts";
import type { Operator } from "./change.ts";
import { dumpOf, filesOn, ownKeys } from "./machine-accounts.ts";
import { operatorIn } from "./operator.ts";

export const verify: Verb = {
  help: `Usage: shoalctl account verify [--fleet FILE]

Looks at the ledger and at each machine that works with accounts, and verifies everything from the first signature on by
itself: the directory against the copy beside the definition, each account's chain, machines against the ledger, and the
files that machines made (users, keys that may log in, recipients) against the chains. Prints a line for each thing that
differs; exit status 1 when there is one.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const { fleet, operator } = await operatorIn(options);
    let findings = await audit(fleet, operator);
    // A change that is under way while we look would show as a difference.
    if (findings.length > 0) findings = await audit(fleet, operator);
    for (const finding of findings) print(`${finding}\n`);
    if (findings.length === 0) {
      say("shoalctl", `${operator.copy.directory.entries.size} accounts are the same on all machines`);
    }
    return findings.length === 0 ? 0 : 1;
  },
};

/** One line for each thing that differs. */
export async function audit(fleet: Fleet, { copy, ledger, now }: Operator): Promise<string[]> {
  const { directory } = copy;
  const plan = fleetPlan(fleet, await ensureFleetKeys(fleet));
  const { shown, findings: first } = verifyDump("ledger", await ledger.dump(), directory, now());
  let findings = [...first, ...compareDirectories(directory, "ledger", shown.accounts.directory)];
  for (const machine of plan.machines) {
    const serves = servesOf(fleet, machine);
    if (serves === null) continue;
    try {
      const own = verifyDump(machine.name, await dumpOf(plan.name, machine.name), directory, now());
      const files = await auditFiles(plan.name, machine, serves, own.shown, now);
      // As arguments of push they could be more than fit.
      findings = [...findings, ...own.findings, ...compareAccounts(shown, own.shown), ...files];
    } catch (error) {
      if (!(error instanceof HostError || error instanceof FormatError || error instanceof VerifyError)) throw error;
      findings.push(`${machine.name}: ${error.message}`);
    }
  }
  return findings;
}

async function auditFiles(
  network: string,
  machine: MachineSpec,
  serves: Serves,
  { accounts }: Shown,
  now: () => number,
): Promise<string[]> {
  const expected = filesOf(accounts, serves, ownKeys(machine), now());
  return compareFiles(machine.name, expected, await filesOn(network, machine));
}

function servesOf(fleet: Fleet, machine: MachineSpec): Serves | null {
  const site = siteMachines(fleet, fleet.live);
  if (machine.role === "keys" || machine.role === "out") return { role: machine.role };
  if (machine.role === "fetch") {
    return { role: "fetch", number: site.find(({ name }) => name === machine.name)?.number ?? 0 };
  }
  if (machine.role !== "in") return null;
  const fetch = site.filter(({ role }) => role === "fetch").map(({ number, name }) => [number, name] as const);
  return { role: "in", fetch: new Map(fetch) };
}
