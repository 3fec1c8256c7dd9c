/** What each machine would get, as a folder that people and `diff` can read. Secrets are named, never written. */

import { createHash } from "node:crypto";
import { chmodSync, lstatSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder } from "#host/files.ts";
import { firewallRules } from "./cell/firewall.ts";
import { deviceOf } from "./cell/network.ts";
import type { NetworkPlan } from "./cell/network-plan.ts";
import type { FileSpec, MachineSpec } from "./machine.ts";

/** Path below the folder -> text. The same plan gives the same bytes. */
export function renderPlan(plan: NetworkPlan): Map<string, string> {
  const rendered = new Map<string, string>();
  const ports = plan.machines.map(({ name, address, secondAddress }) => ({
    machine: name,
    address,
    secondAddress,
    device: deviceOf(address),
  }));
  rendered.set("network/nftables.conf", firewallRules(ports, plan.links));
  for (const machine of plan.machines) {
    rendered.set(`${machine.name}/MACHINE`, machinePage(machine));
    for (const { path, content } of machine.files) {
      if ("text" in content) rendered.set(`${machine.name}/root${path}`, content.text);
    }
  }
  return rendered;
}

/** Everything of a machine that is not the text of a file. */
function machinePage(machine: MachineSpec): string {
  const lines = [
    `machine ${machine.name}`,
    `role ${machine.role}`,
    `hostname ${machine.hostname}`,
    `address ${machine.address}`,
    ...(machine.secondAddress === undefined ? [] : [`second address ${machine.secondAddress}`]),
    ...machine.packages.map((name) => `package ${name}`),
    ...machine.users.map(({ name, uid, group, home, shell }) => `user ${name} ${uid} ${group} ${home} ${shell}`),
    ...machine.folders.map(
      ({ path, mode, owner, group, keep }) => `folder ${path} ${octal(mode)} ${owner}:${group}${keep ? " kept" : ""}`,
    ),
    ...machine.files.map(
      (file) => `file ${file.path} ${octal(file.mode)} ${file.owner}:${file.group} ${contentName(file)}`,
    ),
    ...machine.services.map(({ name, user, command }) => `service ${name} as ${user}: ${command.join(" ")}`),
    ...machine.schedules.map(
      ({ name, user, everySeconds, command }) =>
        `schedule ${name} every ${everySeconds} s as ${user}: ${command.join(" ")}`,
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function contentName({ content }: FileSpec): string {
  if ("secret" in content) return `secret ${content.secret}`;
  if ("program" in content) return `program ${content.program}`;
  return `sha256 ${createHash("sha256").update(content.text).digest("hex")}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** Makes a folder hold what {@link renderPlan} gave and nothing else. What is right already is not touched. */
export async function writeRendered(folder: string, rendered: ReadonlyMap<string, string>): Promise<void> {
  await makeFolder(folder);
  removeOthers(folder, new Set(rendered.keys()));
  const made = new Set<string>();
  // There is a file for every account. One call after the other is many times as fast as waiting for each.
  for (const [path, text] of rendered) {
    const target = join(folder, path);
    if (lstatSync(target, { throwIfNoEntry: false })?.isFile() === true) {
      if (readFileSync(target, "utf8") === text) continue;
    } else {
      if (!made.has(dirname(target))) await makeFolder(dirname(target));
      made.add(dirname(target));
    }
    writeFileSync(target, text);
    chmodSync(target, 0o644);
  }
}

/** Removes what is not a file with one of the paths, and folders that hold none. */
function removeOthers(folder: string, paths: ReadonlySet<string>, prefix = ""): void {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) {
      removeOthers(folder, paths, `${path}/`);
      if (readdirSync(join(folder, path)).length === 0) rmdirSync(join(folder, path));
    } else if (!entry.isFile() || !paths.has(path)) {
      rmSync(join(folder, path));
    }
  }
}
