/** The machines of a fleet that have names in public DNS, as the world sees them. */

import type { Fleet } from "#fleet/definition/definition.ts";
import { siteMachines } from "#fleet/plan.ts";

const PUBLIC_ROLES = ["in", "fetch", "keys", "out"] as const;

export interface PublicHost {
  role: (typeof PUBLIC_ROLES)[number];
  /** Name of the machine. */
  machine: string;
  hostname: string;
  /** What the machine itself has. */
  ownAddress: string;
  /** What the world knows it by. */
  address: string;
  /** Of machines `out`: where mail leaves from that may go unprotected. Nobody connects there. */
  anyway?: { hostname: string; ownAddress: string; address: string };
}

/** Of the live site, in the order of its machines. */
export function publicHosts(fleet: Fleet): PublicHost[] {
  const known = fleet.publicAddresses[fleet.live] ?? {};
  return siteMachines(fleet, fleet.live).flatMap(({ name, role, hostname, address, secondAddress }) => {
    const publicRole = PUBLIC_ROLES.find((one) => one === role);
    if (publicRole === undefined) return [];
    const [label = ""] = hostname.split(".");
    const host = { role: publicRole, machine: name, hostname, ownAddress: address, address: known[label] ?? address };
    if (secondAddress === undefined) return [host];
    const second = `${label}-anyway`;
    const anyway = {
      hostname: hostname.replace(label, second),
      ownAddress: secondAddress,
      address: known[second] ?? secondAddress,
    };
    return [{ ...host, anyway }];
  });
}

/** All addresses that mail leaves from, each once. */
export function sendingAddresses(hosts: readonly PublicHost[]): string[] {
  const all = hosts.flatMap(({ role, address, anyway }) =>
    role === "out" ? [address, ...(anyway === undefined ? [] : [anyway.address])] : [],
  );
  return [...new Set(all)];
}

/** Whether the world can't reach this address (RFC 1918, RFC 6598). */
export function isPrivate(address: string): boolean {
  return /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(address);
}
