/** `shoalctl`: the operator's program. Each verb reads the definition, makes the plan, and hands it to the target. */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OptionValues, type Program, runProgram, type Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { tryExec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { accountVerbs } from "./accounts/account-verbs.ts";
import { directoryVerbs } from "./accounts/directory-verbs.ts";
import { ledgerOf } from "./accounts/operator.ts";
import { OperatorCopy } from "./accounts/operator-copy.ts";
import { bringUp } from "./bring-up.ts";
import { cellCommand } from "./cell/cell.ts";
import { cellsDown, destroyCells, machineStatus } from "./cell/cells.ts";
import type { NetworkPlan } from "./cell/network-plan.ts";
import { networkFolder } from "./cell/places.ts";
import type { Fleet } from "./definition/definition.ts";
import { dkimVerbs } from "./dkim-verbs.ts";
import { dns } from "./dns/dns-verb.ts";
import { fleetFileOf, fleetOption, noMore, readFleet } from "./fleet-option.ts";
import { ensureFleetKeys } from "./keys.ts";
import { knownHostsLines } from "./known-hosts.ts";
import { ledgerVerbs } from "./ledger/ledger-verbs.ts";
import { ledgerWarnings } from "./ledger/standing.ts";
import type { MachineSpec } from "./machine.ts";
import { fleetPlan, siteMachines } from "./plan.ts";
import { renderPlan, writeRendered } from "./render.ts";
import { version } from "./version.ts";

const program = "shoalctl";

const help = `Usage: shoalctl COMMAND [--fleet FILE] [ARGUMENT ...]

Builds and runs the machines of a mail fleet from one definition (default: fleet.yaml).

Commands:
  check                 read the definition and report every mistake
  render DIR            write what each machine would get
  diff                  what would change on the running machines
  up                    make the running machines what the definition says
  down [--destroy]      stop them; --destroy also removes stored mail, queues and keys
  status [--json]       machines, services, memory
  exec MACHINE -- CMD   run a command as root of a machine (a role names its first machine)
  logs MACHINE [NAME]   last log lines of a machine's services
  known-hosts           lines of known_hosts for users' clients
  directory create      begin the directory of accounts, signed by the operator
  dns [--check]         the DNS records that the fleet needs, and whether the world has them
  dkim COMMAND          list, roll: the keys that sign mail
  ledger COMMAND        certify, status: the signed lists of mailboxes
  account COMMAND       add, list, suspend, resume, remove, set, submit, verify

\`shoalctl help COMMAND\` tells more. Everything but check, render, known-hosts and directory needs root.

Example:
  shoalctl check && shoalctl up && shoalctl status
`;

async function readPlan(options: OptionValues): Promise<NetworkPlan> {
  const fleet = await readFleet(options);
  return fleetPlan(fleet, await ensureFleetKeys(fleet));
}

/** A machine by its name; a role's name means its first machine. */
function machineNamed(plan: NetworkPlan, name: string | undefined): MachineSpec {
  const machine = plan.machines.find((one) => one.name === name) ?? plan.machines.find((one) => one.role === name);
  if (machine === undefined) {
    const names = plan.machines.map((one) => one.name).join(", ");
    throw new PolicyError("USAGE", name === undefined ? "no machine named" : `there is no machine "${name}"`, {
      hint: `machines are ${names}`,
    });
  }
  return machine;
}

const check: Verb = {
  help: `Usage: shoalctl check [--fleet FILE]

Reads the definition. Every mistake is one line: file, line, key, what was found, what was expected.
Exit status 0 when there is none, 78 otherwise.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    const machines = siteMachines(fleet, fleet.live);
    say(program, `${fleet.domain}: ${machines.length} machines on site ${fleet.live}, directory ${fleet.directory}`);
    return 0;
  },
};

const render: Verb = {
  help: `Usage: shoalctl render [--fleet FILE] DIR

Replaces DIR by what each machine would get: one folder a machine with its files and a page MACHINE (packages, users,
folders, owners and modes, services, schedules), and the firewall. The same definition and keys give the same bytes.
Private keys are named and never written. Keys that do not exist yet are made.
`,
  options: fleetOption,
  async run([folder, ...rest], options) {
    noMore(rest);
    if (folder === undefined) throw new PolicyError("USAGE", "no folder named", { hint: "shoalctl render DIR" });
    if ((await exists(folder)) && !(await exists(join(folder, "network/nftables.conf")))) {
      throw new PolicyError("USAGE", `"${folder}" holds something else than rendered machines`, {
        hint: "name a folder that does not exist yet",
      });
    }
    await writeRendered(folder, renderPlan(await readPlan(options)));
    return 0;
  },
};

const diff: Verb = {
  help: `Usage: shoalctl diff [--fleet FILE]

Shows, as a unified diff, what \`shoalctl up\` would change against the last \`up\`. Exit status 1 when there is something.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const plan = await readPlan(options);
    const folder = await mkdtemp(join(tmpdir(), "shoal-diff-"));
    try {
      const [was, will] = [join(networkFolder(plan.name), "rendered"), join(folder, "rendered")];
      await writeRendered(will, renderPlan(plan));
      const result = await tryExec("diff", ["--recursive", "--unified=1", "--new-file", was, will]);
      if (result.status === null || result.status > 1)
        throw new HostError("EXEC", `diff failed: ${result.stderr.trim()}`);
      print(
        result.stdout
          .toString("utf8")
          .replaceAll(`${folder}/`, "new/")
          .replaceAll(`${networkFolder(plan.name)}/`, "running/"),
      );
      return result.status;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const up: Verb = {
  help: `Usage: shoalctl up [--fleet FILE]

Makes the running machines what the definition says: builds images (cached), makes missing keys, starts machines that do
not run, replaces those whose data changed, ends those that are no longer named. Each machine starts from its image and
its rendered files; only stored mail, the queue and account states outlive it. Safe to repeat, also after it was cut short.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    const started = await bringUp(fleet, (text) => say(program, text));
    say(program, started.length === 0 ? "everything runs as defined" : `started ${started.join(", ")}`);
    for (const text of await warningsOf(fleet)) say(program, text);
    return 0;
  },
};

const down: Verb = {
  help: `Usage: shoalctl down [--fleet FILE] [--destroy]

Stops all machines and removes their networks. Stored mail, queues and keys stay, unless --destroy is given.
`,
  options: { ...fleetOption, destroy: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    await (options["destroy"] === true ? destroyCells(fleet.name) : cellsDown(fleet.name));
    return 0;
  },
};

/** What the ledger says that the operator has to do; nothing while it does not speak, which shows elsewhere. */
async function warningsOf(fleet: Fleet): Promise<string[]> {
  try {
    return ledgerWarnings(await ledgerOf(fleet).mailboxes(), unixTime());
  } catch (error) {
    if (error instanceof HostError) return [];
    throw error;
  }
}

const status: Verb = {
  help: `Usage: shoalctl status [--fleet FILE] [--json]

Shows each machine with its services and the memory of its processes. Exit status 1 when something does not run, or when users
have to wait for something that the operator has to do.
`,
  options: { ...fleetOption, json: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    const plan = fleetPlan(fleet, await ensureFleetKeys(fleet));
    const machines = await Promise.all(plan.machines.map((machine) => machineStatus(plan.name, machine)));
    const warnings = machines.some(({ state }) => state === "running") ? await warningsOf(fleet) : [];
    const well =
      warnings.length === 0 &&
      machines.every(
        ({ state, services }) => state === "running" && Object.values(services).every((text) => text.startsWith("run")),
      );
    if (options["json"] === true) {
      print(`${JSON.stringify({ well, machines, warnings })}\n`);
    } else {
      for (const { name, address, state, memoryBytes, services } of machines) {
        print(
          `${name.padEnd(16)} ${address.padEnd(15)} ${state.padEnd(8)} ${(memoryBytes / 1e6).toFixed(0).padStart(5)} MB\n`,
        );
        for (const [service, text] of Object.entries(services)) print(`  ${service.padEnd(22)} ${text}\n`);
      }
      for (const text of warnings) say(program, text);
    }
    return well ? 0 : 1;
  },
};

/** Gives the terminal to a program and waits for it. */
function inherit([command, ...args]: readonly [string, ...string[]]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "inherit" });
    child.on("error", (cause) => reject(new HostError("EXEC", `can't start "${command}"`, { cause })));
    child.on("close", (code) => resolve(code ?? 1));
  });
}

const exec: Verb = {
  help: `Usage: shoalctl exec [--fleet FILE] MACHINE -- COMMAND [ARGUMENT ...]

Runs a command as root of a machine, with this terminal, and gives its exit status. A role names its first machine.

Example:
  shoalctl exec in -- smtpctl show queue
`,
  options: fleetOption,
  async run([name, ...command], options) {
    const plan = await readPlan(options);
    const machine = machineNamed(plan, name);
    if (command.length === 0)
      throw new PolicyError("USAGE", "no command named", { hint: "shoalctl exec MACHINE -- COMMAND" });
    return await inherit(await cellCommand(plan.name, machine.name, command));
  },
};

const logs: Verb = {
  help: `Usage: shoalctl logs [--fleet FILE] [--lines N] MACHINE [SERVICE]

Shows the last log lines of a machine's services. Logs are kept in the machine's memory only and end with it.
`,
  options: { ...fleetOption, lines: { type: "string" } },
  async run([name, service, ...rest], options) {
    noMore(rest);
    const plan = await readPlan(options);
    const machine = machineNamed(plan, name);
    const lines = typeof options["lines"] === "string" ? options["lines"] : "40";
    if (!/^\d{1,6}$/.test(lines)) throw new PolicyError("USAGE", `--lines is "${lines}", expected a number`);
    const names = [
      ...machine.services.map((one) => one.name),
      ...machine.schedules.map((one) => `schedule-${one.name}`),
    ];
    if (service !== undefined && !names.includes(service)) {
      throw new PolicyError("USAGE", `"${machine.name}" has no service "${service}"`, {
        hint: `it has ${names.join(", ")}`,
      });
    }
    const files = (service === undefined ? names : [service]).map((one) => `/run/log/${one}/current`);
    return await inherit(await cellCommand(plan.name, machine.name, ["tail", "-q", "-n", lines, ...files]));
  },
};

const knownHosts: Verb = {
  help: `Usage: shoalctl known-hosts [--fleet FILE]

Prints lines of known_hosts to hand out with accounts: the host keys of the machines that users reach, and the operators'
keys, under \`operator.DOMAIN\`, by which \`shoal\` tells whether the signature on a mailbox is this fleet's.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    const copy = await OperatorCopy.read(fleetFileOf(options), fleet.domain, fleet.directory);
    print(knownHostsLines(fleet, await ensureFleetKeys(fleet), copy));
    return 0;
  },
};

const shoalctl: Program = {
  name: program,
  version,
  help,
  verbs: {
    check,
    render,
    diff,
    up,
    down,
    status,
    exec,
    logs,
    "known-hosts": knownHosts,
    directory: directoryVerbs,
    dkim: dkimVerbs,
    dns,
    ledger: ledgerVerbs,
    account: accountVerbs,
  },
};

await runProgram(shoalctl, process.argv.slice(2));
