/** A whole network of cells: bring it up to what the plan says, take it down, tell how it is. */

import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import type { MachineSpec, ServiceSpec } from "#fleet/machine.ts";
import { tryExec } from "#host/exec.ts";
import { exists, writeDurably } from "#host/files.ts";
import { type ContentReader, cellStatus, execInCell, startCell, stopCell } from "./cell.ts";
import { type IdRange, idRange } from "./id-range.ts";
import { type Image, removeUnfinishedImages, roleImage } from "./image.ts";
import { applyFirewall, ensureRouter, namespaces, removeRouter } from "./network.ts";
import type { NetworkPlan } from "./network-plan.ts";
import { cellPlaces, networkFolder, runcRoot } from "./places.ts";
import { cellProcesses } from "./processes.ts";
import { logFolder } from "./supervise.ts";

const STARTS_AT_ONCE = 3;
const LONGEST_READY_SECONDS = 1800;

export interface UpOptions {
  read: ContentReader;
  /** Told what is going on. */
  onProgress: (text: string) => void;
  /** How long services may keep ending until they listen; default 60. */
  readySeconds?: number;
}

/**
 * Makes the running network what the plan says: machines whose data changed are replaced, others are left alone, foreign
 * ones end. May be called again at any time, also after it was killed half way.
 * @returns names of the machines that were started
 */
export async function cellsUp(plan: NetworkPlan, options: UpOptions): Promise<string[]> {
  await removeUnfinishedImages();
  const wanted = new Set(plan.machines.map(({ name }) => name));
  for (const name of await cellNames(plan.name)) if (!wanted.has(name)) await stopCell(plan.name, name);

  const images = await roleImages(plan.machines, options.onProgress);
  await ensureRouter(plan);
  await applyFirewall(plan);
  const started = new Set<string>();
  const waiting = [...plan.machines];
  const start = async (): Promise<void> => {
    for (let machine = waiting.shift(); machine !== undefined; machine = waiting.shift()) {
      if (await startIfOther(plan, machine, images, options)) started.add(machine.name);
    }
  };
  // Most of a start is waiting for other programs. None goes on in the background when another has failed.
  const starts = await Promise.allSettled(Array.from({ length: STARTS_AT_ONCE }, start));
  for (const result of starts) if (result.status === "rejected") throw result.reason;
  await Promise.all(plan.machines.map((machine) => waitUntilReady(plan.name, machine, options)));
  return plan.machines.map(({ name }) => name).filter((name) => started.has(name));
}

/** @returns true if it was started, false if it runs as it should */
async function startIfOther(
  plan: NetworkPlan,
  machine: MachineSpec,
  images: ReadonlyMap<string, Image>,
  { read, onProgress }: UpOptions,
): Promise<boolean> {
  const image = images.get(machine.role);
  if (image === undefined) throw new TypeError(`no image for role "${machine.role}"`);
  const digest = await machineDigest(machine, image.root, read);
  const state = join(cellPlaces(plan.name, machine.name).folder, "digest");
  const running = (await cellStatus(plan.name, machine.name))?.status === "running";
  if (running && (await exists(state)) && (await readFile(state, "utf8")) === digest) return false;
  onProgress(`machine ${machine.name}`);
  await startCell(plan, machine, image, read);
  await writeDurably(state, digest);
  return true;
}

/** The image of every role, two built at a time. */
async function roleImages(
  machines: readonly MachineSpec[],
  onProgress: (text: string) => void,
): Promise<Map<string, Image>> {
  const packages = new Map(machines.map((machine) => [machine.role, machine.packages]));
  const ranges = new Map<string, IdRange>();
  for (const role of packages.keys()) ranges.set(role, await idRange(role));
  const images = new Map<string, Image>();
  const waiting = [...ranges];
  const build = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [role, range] = next;
      images.set(role, await roleImage(role, packages.get(role) ?? [], range, onProgress));
    }
  };
  await Promise.all([build(), build()]);
  return images;
}

/** Ends every machine of a network and removes its namespaces. Kept data, keys and images stay. */
export async function cellsDown(network: string): Promise<void> {
  for (const name of await cellNames(network)) await stopCell(network, name);
  await removeRouter(network);
  await rm(join(networkFolder(network), "cells"), { recursive: true, force: true });
}

/** Removes everything of a network, kept mail and keys included. */
export async function destroyCells(network: string): Promise<void> {
  await cellsDown(network);
  await rm(networkFolder(network), { recursive: true, force: true });
}

/** Names of all machines of which anything is there: a folder, a container or a namespace. */
async function cellNames(network: string): Promise<string[]> {
  const prefix = `shoal-${network}-`;
  const folder = join(networkFolder(network), "cells");
  const names = new Set<string>((await exists(folder)) ? await readdir(folder) : []);
  for (const name of await namespaces()) if (name.startsWith(prefix)) names.add(name.slice(prefix.length));
  const list = await tryExec("runc", ["--root", runcRoot, "list", "--quiet"]);
  for (const id of list.stdout.toString("utf8").split("\n"))
    if (id.startsWith(prefix)) names.add(id.slice(prefix.length));
  return [...names].sort();
}

async function machineDigest(machine: MachineSpec, image: string, read: ContentReader): Promise<string> {
  const hash = createHash("sha256").update(image).update(JSON.stringify(machine));
  for (const { content } of machine.files) if (!("text" in content)) hash.update(await read(content));
  return hash.digest("hex");
}

/**
 * Waits until every service listens. One that was given its time and still runs may take much longer: before shoal-accept
 * listens it verifies each state of ten thousand accounts. One that keeps ending may not.
 */
async function waitUntilReady(
  network: string,
  machine: MachineSpec,
  { onProgress, readySeconds = 60 }: UpOptions,
): Promise<void> {
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 1000);
  let [pause, nextWord] = [50, 15];
  for (;;) {
    const status = await cellStatus(network, machine.name);
    if (status?.status !== "running")
      throw new HostError("EXEC", `machine "${machine.name}" ended as soon as it had started`);
    const open = await listening(status.pid);
    const missing = machine.services.filter(({ listens }) => listens !== undefined && !open.has(listens));
    if (missing.length === 0) return;
    if (seconds() >= nextWord) {
      onProgress(`machine ${machine.name}: waiting for ${missing.map(({ name }) => name).join(", ")}, ${seconds()} s`);
      nextWord += 15;
    }
    if (seconds() > readySeconds) {
      const isLongest = seconds() > LONGEST_READY_SECONDS;
      const [failing] = isLongest ? missing : await youngerThan(readySeconds / 2, network, machine.name, missing);
      if (failing !== undefined) throw await neverReady(network, machine.name, failing, seconds());
    }
    await sleep(pause);
    // Each look costs the machine that it waits for some of its time.
    pause = Math.min(pause * 1.2, 1000);
  }
}

/** Services whose process is not there or began less than `seconds` ago (sv(8)). */
async function youngerThan(
  seconds: number,
  network: string,
  machine: string,
  services: readonly ServiceSpec[],
): Promise<ServiceSpec[]> {
  const ask = ["sv", "status", ...services.map(({ name }) => `/etc/service/${name}`)];
  const lines = (await execInCell(network, machine, ask)).stdout.toString("utf8").split("\n");
  return services.filter((_, index) => {
    const [, ran] = /^run: \S+ \(pid [0-9]+\) ([0-9]+)s/.exec(lines[index] ?? "") ?? [];
    return ran === undefined || Number(ran) < seconds;
  });
}

async function neverReady(
  network: string,
  machine: string,
  { name, listens }: ServiceSpec,
  seconds: number,
): Promise<HostError> {
  const logs = await execInCell(network, machine, ["tail", "-n", "10", `${logFolder}/${name}/current`]);
  return new HostError("TIMEOUT", `machine "${machine}": ${name} does not listen on ${listens} after ${seconds} s`, {
    hint: `its last log lines:\n${logs.stdout.toString("utf8")}`,
  });
}

/** Listening TCP ports (proc_net_tcp(5), state 0A) and Unix sockets (proc_net_unix(5), __SO_ACCEPTCON) of a process's network. */
async function listening(pid: number): Promise<Set<number | string>> {
  const ends = new Set<number | string>();
  for (const table of ["tcp", "tcp6", "unix"]) {
    const path = `/proc/${pid}/net/${table}`;
    if (!(await exists(path))) continue;
    for (const line of (await readFile(path, "utf8")).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (table === "unix") {
        const [, , , flags, , , , socket] = fields;
        if (flags === "00010000" && socket !== undefined) ends.add(socket);
        continue;
      }
      const [, local, , state] = fields;
      if (state === "0A" && local !== undefined) ends.add(Number.parseInt(local.split(":")[1] ?? "", 16));
    }
  }
  return ends;
}

export interface MachineStatus {
  name: string;
  role: string;
  address: string;
  state: string;
  /** Service name -> what its supervisor says. */
  services: Record<string, string>;
  /** Memory of all processes of the machine (proportional set size). */
  memoryBytes: number;
}

export async function machineStatus(network: string, machine: MachineSpec): Promise<MachineStatus> {
  const { name, role, address } = machine;
  const status = await cellStatus(network, name);
  const services: Record<string, string> = {};
  let memoryBytes = 0;
  if (status?.status === "running") {
    for (const process of await cellProcesses(status.pid)) memoryBytes += process.memoryBytes;
    const { stdout } = await execInCell(network, name, ["sh", "-c", "sv status /etc/service/*"]);
    for (const line of stdout.toString("utf8").split("\n")) {
      const service = /^(\w+): \/etc\/service\/([\w.-]+): (?:\(pid \d+\) )?(\d+)s/.exec(line);
      if (service?.[1] !== undefined && service[2] !== undefined)
        services[service[2]] = `${service[1]} ${service[3]} s`;
    }
  }
  return { name, role, address, state: status?.status ?? "down", services, memoryBytes };
}
