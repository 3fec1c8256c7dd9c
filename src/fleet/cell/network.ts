/**
 * Cells' networks: each cell has one interface in a namespace of its own, joined to a router namespace that filters.
 * Point to point routes and no bridge, so a machine's address can be any address, public ones too.
 */

import type { MachineSpec } from "#fleet/machine.ts";
import { exec, tryExec } from "#host/exec.ts";
import { firewallRules, type Port, worldDevice } from "./firewall.ts";
import type { NetworkPlan } from "./network-plan.ts";
import { cellPlaces, routerNamespace } from "./places.ts";

/** Next hop of every cell; the same on each point-to-point link. */
const gateway = "169.254.1.1";

async function ip(...args: string[]): Promise<void> {
  await exec("ip", args);
}

async function write(namespace: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const script = Object.entries(settings)
    .map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`)
    .join("\n");
  await exec("ip", ["netns", "exec", namespace, "sh", "-ec", script]);
}

export async function namespaces(): Promise<string[]> {
  const { stdout } = await exec("ip", ["-json", "netns", "list"]);
  const text = stdout.toString("utf8").trim();
  const list: unknown = text === "" ? [] : JSON.parse(text);
  return Array.isArray(list) ? list.map((entry: { name: string }) => entry.name) : [];
}

/** Alias of a device that has all its addresses and routes. */
const complete = "complete";

/** Makes the router and its way to the world, and what is missing of them. */
export async function ensureRouter(plan: NetworkPlan): Promise<void> {
  const router = routerNamespace(plan.name);
  if (!(await namespaces()).includes(router)) await ip("netns", "add", router);
  await ip("-n", router, "link", "set", "lo", "up");
  await write(router, { "ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0" });
  const device = await deviceIn(router, worldDevice);
  if (device?.ifalias === complete) return;
  if (device !== null) await ip("-n", router, "link", "delete", worldDevice);
  // Both ends are made inside namespaces; the outer one may be the host's own.
  const outerDevice = `sh-${plan.name}`;
  const outside = plan.uplink.kind === "netns" ? ["-n", plan.uplink.name] : [];
  const outsideEnd = plan.uplink.kind === "netns" ? ["netns", plan.uplink.name] : ["netns", "1"];
  await tryExec("ip", [...outside, "link", "delete", outerDevice]);
  await ip("link", "add", worldDevice, "netns", router, "type", "veth", "peer", "name", outerDevice, ...outsideEnd);
  await ip("-n", router, "address", "add", `${plan.routerAddress}/32`, "dev", worldDevice);
  await ip("-n", router, "link", "set", worldDevice, "up");
  await ip("-n", router, "route", "add", `${plan.outsideAddress}/32`, "dev", worldDevice);
  await ip("-n", router, "route", "add", "default", "via", plan.outsideAddress, "dev", worldDevice);
  await ip(...outside, "address", "add", `${plan.outsideAddress}/32`, "dev", outerDevice);
  await ip(...outside, "link", "set", outerDevice, "up");
  await ip(...outside, "route", "add", `${plan.routerAddress}/32`, "dev", outerDevice, "src", plan.outsideAddress);
  for (const prefix of [plan.prefix, ...plan.transit]) {
    await ip(
      ...outside,
      "route",
      "replace",
      prefix,
      "via",
      plan.routerAddress,
      "dev",
      outerDevice,
      "src",
      plan.outsideAddress,
    );
  }
  await ip("-n", router, "link", "set", "dev", worldDevice, "alias", complete);
}

/** Gives a machine its namespace and its interface. A left-over namespace of that name is replaced. */
export async function addMachineNetwork(plan: NetworkPlan, machine: MachineSpec): Promise<void> {
  const router = routerNamespace(plan.name);
  const { id } = cellPlaces(plan.name, machine.name);
  const device = deviceOf(machine.address);
  await removeMachineNetwork(plan.name, machine.name);
  await ip("netns", "add", id);
  await ip("link", "add", "eth0", "netns", id, "type", "veth", "peer", "name", device, "netns", router);
  await ip("-n", router, "address", "add", `${gateway}/32`, "dev", device);
  await ip("-n", router, "link", "set", device, "up");
  const second = machine.secondAddress === undefined ? [] : [machine.secondAddress];
  const addresses = [machine.address, ...second, ...(machine.moreAddresses ?? [])];
  for (const address of addresses) await ip("-n", router, "route", "add", `${address}/32`, "dev", device);
  await ip("-n", id, "link", "set", "lo", "up");
  for (const address of addresses) await ip("-n", id, "address", "add", `${address}/32`, "dev", "eth0");
  await ip("-n", id, "link", "set", "eth0", "up");
  await ip("-n", id, "route", "add", gateway, "dev", "eth0");
  await ip("-n", id, "route", "add", "default", "via", gateway, "dev", "eth0", "src", machine.address);
  // smtpd's relay writes commands in small pieces; with delayed acknowledgements each would wait 40 ms on loopback.
  await ip("-n", id, "route", "replace", "local", "127.0.0.0/8", "dev", "lo", "table", "local", "quickack", "1");
  await write(id, {
    // The namespace belongs to the host's user namespace, where root of the cell may not bind ports under 1024.
    "ipv4/ip_unprivileged_port_start": "0",
    "core/somaxconn": "4096",
  });
}

/** Router's interface to a machine: names are limited to 15 characters, so it is made of the address. */
export function deviceOf(address: string): string {
  return `m${address
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")}`;
}

export async function removeMachineNetwork(network: string, machine: string): Promise<void> {
  const { id } = cellPlaces(network, machine);
  if (!(await namespaces()).includes(id)) return;
  // Removing the interface removes its other end at once, even while a dying process still holds the namespace.
  if ((await deviceIn(id, "eth0")) !== null) await ip("-n", id, "link", "delete", "eth0");
  await ip("netns", "delete", id);
}

/** Replaces the router's rules in one transaction. */
export async function applyFirewall(plan: NetworkPlan): Promise<void> {
  const ports: Port[] = plan.machines.map(({ name, address, secondAddress, moreAddresses }) => ({
    machine: name,
    address,
    secondAddress,
    moreAddresses,
    device: deviceOf(address),
  }));
  await exec("ip", ["netns", "exec", routerNamespace(plan.name), "nft", "-f", "-"], {
    input: firewallRules(ports, plan.links),
  });
}

export async function removeRouter(network: string): Promise<void> {
  const router = routerNamespace(network);
  if (!(await namespaces()).includes(router)) return;
  if ((await deviceIn(router, worldDevice)) !== null) await ip("-n", router, "link", "delete", worldDevice);
  await ip("netns", "delete", router);
}

async function deviceIn(namespace: string, device: string): Promise<{ ifalias?: string } | null> {
  const { status, stdout } = await tryExec("ip", ["-n", namespace, "-json", "link", "show", "dev", device]);
  if (status !== 0) return null;
  const [found] = JSON.parse(stdout.toString("utf8")) as { ifalias?: string }[];
  return found ?? null;
}
