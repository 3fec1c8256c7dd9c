/**
 * Everything on one machine: the test internet, a fleet in it, and people with accounts. Flows, drills, benches and the demo
 * open a stage, use it as people and strangers would, and close it.
 */

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HostError } from "#core/errors.ts";
import { addAccounts } from "#fleet/accounts/add-accounts.ts";
import type { Addition } from "#fleet/accounts/additions.ts";
import { type Operator, waitUntilTaken } from "#fleet/accounts/change.ts";
import { createDirectory } from "#fleet/accounts/create-directory.ts";
import { operatorOf } from "#fleet/accounts/operator.ts";
import { bringUp } from "#fleet/bring-up.ts";
import { cellCommand, execInCell } from "#fleet/cell/cell.ts";
import { cellsUp, destroyCells } from "#fleet/cell/cells.ts";
import { defineDebianPackages } from "#fleet/cell/debian.ts";
import type { NetworkPlan } from "#fleet/cell/network-plan.ts";
import { networkFolder, routerNamespace } from "#fleet/cell/places.ts";
import { type Fleet, parseFleet } from "#fleet/definition/definition.ts";
import { dkimRecords } from "#fleet/dkim.ts";
import { ensureFleetKeys } from "#fleet/keys.ts";
import { knownHostsLines } from "#fleet/known-hosts.ts";
import type { MachineSpec } from "#fleet/machine.ts";
import { siteMachines } from "#fleet/plan.ts";
import { readProgram } from "#fleet/programs.ts";
import { unixTime } from "#host/clock.ts";
import { type ExecOptions, type ExecResult, exec } from "#host/exec.ts";
import { makeFolder } from "#host/files.ts";
import { type Lock, takeLock } from "#host/lock.ts";
import { PATIENCE_SECONDS } from "#test/until.ts";
import { bundle, programs } from "#tools/build.ts";
import { additionOf, type MoreAccount } from "./more-accounts.ts";
import { untilAccepting } from "./smtp-probe.ts";
import { type WorldOptions, worldAddresses, worldMachines, worldPackages } from "./world.ts";
import type { ResourceRecord } from "./zones.ts";

export interface StageOptions {
  /** Names the fleet, in at most ten letters and digits; the world is `w` and this. */
  name: string;
  /** Second number of the fleet's addresses (10.N.0.0/16); the world has the next one. Default: numbers that no other stage has. */
  net?: number;
  /** People with an account made by `shoal account create`; spread over the fetch machines in turn. */
  people?: readonly string[];
  /** People who get a recovery key, `~/recovery`; default: nobody. */
  recovery?: readonly string[];
  /** Further accounts, of nobody on the user machine. */
  moreAccounts?: readonly MoreAccount[];
  /** Replaces lines of the definition, as `["quota: 100 MB", "quota: 1 MB"]`. */
  changes?: readonly (readonly [string, string])[];
  /** More of the world, for its network (first three numbers of its addresses). */
  moreWorld?: (network: string) => MoreWorld | Promise<MoreWorld>;
  /** Further packages on the computer of the mail users, by neutral names. */
  userPackages?: readonly string[];
  /** Further DNS records. */
  records?: WorldOptions["records"];
  onProgress?: (text: string) => void;
}

export interface MoreWorld {
  machines?: readonly MachineSpec[];
  records?: readonly ResourceRecord[];
  /** Ready-made zones: name -> zone file. */
  zoneTexts?: ReadonlyMap<string, string>;
}

export interface Stage {
  fleet: Fleet;
  /** The fleet definition, for `shoalctl --fleet`. */
  fleetFile: string;
  /** Network of the world's machines: `exec` with it reaches `post`, `exim`, `user`, `dns`. */
  world: string;
  /** Address of a machine of the fleet, by role. */
  address(role: string): string;
  /** Runs a command as root of a machine: a role of the fleet, or a machine of the world. It is given five minutes. */
  exec: (machine: string, command: readonly string[], options?: ExecOptions) => Promise<ExecResult>;
  /** The same command line for a program that is to be spawned. */
  command(machine: string, command: readonly string[]): Promise<[string, ...string[]]>;
  /** Runs a command on the user machine as one of the people, in their home. Fails unless the exit status is 0. */
  as(person: string, command: string, options?: ExecOptions): Promise<string>;
  /** Brings the fleet up again, after a change of the definition or a machine that was ended. */
  up(): Promise<string[]>;
  /** The operator's private key file, for `shoalctl account … --key`. */
  operatorKey: string;
  /** The operator with that key and the copy of the directory as it is now. */
  operator(): Promise<Operator>;
  /** Adds accounts and waits until all machines have them. */
  add(additions: readonly Addition[]): Promise<void>;
  close(): Promise<void>;
}

const domain = "shoal.example";
/** A command that takes longer hangs. */
const COMMAND_SECONDS = 300;

/** Builds the programs, starts the world and the fleet, and gives every person an account. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const onProgress = options.onProgress ?? (() => undefined);
  const people = options.people ?? ["alice", "bob"];
  const world = `w${options.name}`;
  defineDebianPackages(worldPackages);
  onProgress("building the programs");
  for (const name of Object.keys(programs)) await bundle(name);
  await destroyCells(options.name);
  await destroyCells(world);

  const { net, lock } = options.net === undefined ? await freeNet() : { net: options.net, lock: undefined };
  const folder = networkFolder(world);
  await mkdir(folder, { recursive: true });
  const fleetFile = join(folder, "fleet.yaml");
  const addresses = worldAddresses(`10.${net + 1}.0`);
  const operatorKey = join(folder, "operator");
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", operatorKey]);
  const directory = await createDirectory({ fleetFile, domain, keyFiles: [operatorKey], now: unixTime() });
  const definition = (options.changes ?? []).reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new TypeError(`the stage's definition has no "${from}"`);
      return text.replace(from, to);
    },
    `fleet: ${options.name}
domain: ${domain}
network: 10.${net}.0.0/16
resolver: ${addresses.dns}
uplink: netns:${routerNamespace(world)}
sites: { alpha: {} }
live: alpha
directory: ${directory}
roles:
  in: 1
  spam-in: 1
  fetch: 1
  keys: 1
  ledger: 1
retention-days: 14
limits:
  message: 35 MB
  quota: 100 MB
  recipients: 100
  connections: 500
  connections-per-address: 100
`,
  );
  await writeFile(fleetFile, definition);
  const fleet = parseFleet(definition, fleetFile);

  const machines = siteMachines(fleet, "alpha");
  const hosts = (role: string) =>
    machines.filter((machine) => machine.role === role).map(({ hostname, address }) => ({ name: hostname, address }));
  // Both addresses: mail leaves from either.
  const senders = machines.flatMap(({ role, address, secondAddress }) =>
    role === "out" && secondAddress !== undefined ? [address, secondAddress] : [],
  );
  const more = (await options.moreWorld?.(`10.${net + 1}.0`)) ?? {};
  const worldPlan: NetworkPlan = {
    name: world,
    machines: [
      ...worldMachines({
        network: `10.${net + 1}.0`,
        fleet: { domain, mx: hosts("in"), hosts: [...hosts("fetch"), ...hosts("keys"), ...hosts("out")], senders },
        people,
        userPackages: options.userPackages ?? [],
        records: [...(options.records ?? []), ...(more.records ?? []), ...(await signingRecords(fleet))],
        ...(more.zoneTexts === undefined ? {} : { zoneTexts: more.zoneTexts }),
      }),
      ...(more.machines ?? []),
    ],
    links: "open",
    uplink: { kind: "host" },
    prefix: `10.${net + 1}.0.0/24`,
    transit: [`10.${net}.0.0/16`],
    routerAddress: `10.${net + 1}.0.253`,
    outsideAddress: `10.${net + 1}.0.254`,
  };
  const readWorld = async (content: { text: string } | { secret: string } | { program: string }) => {
    if ("text" in content) return content.text;
    if ("program" in content) return await readProgram(content.program);
    throw new TypeError(`the world has no secret "${content.secret}"`);
  };

  const networkOf = (machine: string): [string, string] => {
    const own = machines.find(({ name, role }) => name === machine || role === machine);
    return own === undefined ? [world, machine] : [options.name, own.name];
  };
  const stage: Stage = {
    fleet,
    fleetFile,
    operatorKey,
    world,
    address(role) {
      const [first] = hosts(role);
      if (first === undefined) throw new TypeError(`the stage has no machine of role "${role}"`);
      return first.address;
    },
    exec: (machine, command, execOptions) =>
      execInCell(...networkOf(machine), command, { timeoutSeconds: COMMAND_SECONDS, ...execOptions }),
    command: (machine, command) => cellCommand(...networkOf(machine), command),
    async as(person, command, execOptions) {
      const result = await stage.exec("user", asPerson(person, command), execOptions);
      if (result.status !== 0) {
        throw new Error(
          `${person}$ ${command}\nexit status ${result.status}\n${result.stdout.toString("utf8").slice(-2000)}\n${result.stderr.slice(-4000)}`,
        );
      }
      return result.stdout.toString("utf8");
    },
    up: () => bringUp(fleet, onProgress),
    operator: () => operatorOf(fleet, fleetFile, [operatorKey]),
    async add(additions) {
      const operator = await stage.operator();
      let late = await addAccounts(operator, additions);
      if (late.length > 0) late = await waitUntilTaken(operator.ledger, PATIENCE_SECONDS);
      if (late.length > 0) throw new Error(`accounts are not on ${late.join(", ")} after ${PATIENCE_SECONDS} s`);
    },
    async close() {
      await destroyCells(options.name);
      await destroyCells(world);
      await rm(folder, { recursive: true, force: true });
      lock?.release();
    },
  };

  try {
    onProgress("the test internet: name server, Postfix, Exim, the users' computer");
    await cellsUp(worldPlan, { read: readWorld, onProgress });
    onProgress("the fleet, and accounts of people");
    const keepers = hosts("fetch");
    const [requests] = await Promise.all([
      // One after the other: there are few processors, and most of the time goes into the fleet.
      (async (): Promise<Addition[]> => {
        const additions: Addition[] = [];
        for (const [index, person] of people.entries()) {
          const number = (index % keepers.length) + 1;
          const genesis = await requestAccount(stage, person, {
            host: keepers[number - 1]?.name ?? "",
            keysHost: hosts("keys")[0]?.name ?? "",
            hasRecovery: options.recovery?.includes(person) === true,
          });
          additions.push({ name: person, genesis, quotaBytes: fleet.limits.quotaBytes, fetch: number });
        }
        return additions;
      })(),
      stage.up(),
    ]);
    const known = knownHostsLines(fleet, await ensureFleetKeys(fleet), (await stage.operator()).copy);
    await stage.exec("user", ["sh", "-c", "cat > /etc/ssh/ssh_known_hosts"], { input: known });
    onProgress("accounts");
    const additions = (options.moreAccounts ?? []).map((account) => additionOf(account, domain, unixTime()));
    await stage.add([...requests, ...additions]);
    if (people[0] !== undefined) await untilAccepting(stage.address("in"), `${people[0]}@${domain}`);
    return stage;
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Numbers for {@link StageOptions.net} that stages which name theirs leave alone. */
const freeNets = Array.from({ length: 16 }, (_, index) => 200 + 2 * index);

/** A number that is this stage's until the lock is released or the process ends. @throws HostError BUSY */
async function freeNet(): Promise<{ net: number; lock: Lock }> {
  await makeFolder("/run/shoal");
  for (const net of freeNets) {
    try {
      return { net, lock: takeLock(`/run/shoal/net-${net}.lock`, `a stage in 10.${net}.0.0`) };
    } catch (error) {
      if (!(error instanceof HostError && error.code === "BUSY")) throw error;
    }
  }
  throw new HostError("BUSY", `${freeNets.length} stages are open already`, { hint: "wait until one is closed" });
}

/** By which the world knows what the fleet has signed. */
async function signingRecords(fleet: Fleet): Promise<ResourceRecord[]> {
  const records = await dkimRecords(fleet);
  return records.map(({ selector, txt }) => ({ name: `${selector}._domainkey.${domain}`, type: "TXT", data: txt }));
}

/** A new account as its owner makes it: the signed first state. */
async function requestAccount(
  stage: Stage,
  person: string,
  { host, keysHost, hasRecovery }: { host: string; keysHost: string; hasRecovery: boolean },
): Promise<Buffer> {
  const recovery = hasRecovery ? "--recovery recovery" : "--no-recovery";
  const create = `shoal account create ${person}@${domain} --host ${host} --keys-host ${keysHost} ${recovery}`;
  return Buffer.from(await stage.as(person, `${create} >&2 && shoal account request`), "latin1");
}

/** A command line of one of the people, in their home folder. */
export function asPerson(person: string, command: string): string[] {
  return ["chpst", "-u", person, "env", `HOME=/home/${person}`, `USER=${person}`, "sh", "-c", `cd && ${command}`];
}
