/** nftables rules of a network's router namespace: default deny, only the role table's links. Pure. */

import type { LinkSpec } from "#fleet/machine.ts";

export interface Port {
  machine: string;
  address: string;
  /** Another one that it may speak from. */
  secondAddress?: string | undefined;
  /** Further ones, where it is reached as well. */
  moreAddresses?: readonly string[] | undefined;
  /** Name of the router's interface that leads to the machine. */
  device: string;
}

/** Interface of the router that leads to the world. */
export const worldDevice = "world";

/**
 * @param links "open" lets everything through (a test internet); otherwise the allowed connections
 */
export function firewallRules(ports: readonly Port[], links: readonly LinkSpec[] | "open"): string {
  const byName = new Map(ports.map((port) => [port.machine, port]));
  const allowed = links === "open" ? ["    accept"] : links.map((link) => `    ${linkRule(link, byName)} accept`);
  // A machine can't speak with another's address.
  const spoofed = ports.map((port) => `    iifname "${port.device}" ip saddr != ${sources(port)} drop`);
  return `flush ruleset
table inet shoal {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
${spoofed.join("\n")}
${allowed.join("\n")}
    counter drop
  }
  chain input {
    type filter hook input priority filter; policy drop;
    icmp type echo-request accept
  }
}
`;
}

/** What a machine may speak from. */
function sources({ address, secondAddress, moreAddresses = [] }: Port): string {
  return addressSet([address, ...(secondAddress === undefined ? [] : [secondAddress]), ...moreAddresses]);
}

function addressSet(addresses: readonly string[]): string {
  return addresses.length === 1 ? addresses.join() : `{ ${addresses.join(", ")} }`;
}

function linkRule(link: LinkSpec, ports: ReadonlyMap<string, Port>): string {
  return [
    ...side("iifname", "saddr", link.from, ports),
    ...side("oifname", "daddr", link.to, ports),
    `${link.protocol} dport ${link.port}`,
  ].join(" ");
}

function side(device: string, address: string, end: string, ports: ReadonlyMap<string, Port>): string[] {
  const port = ports.get(end);
  if (port !== undefined)
    return [
      `${device} "${port.device}"`,
      `ip ${address} ${address === "saddr" ? sources(port) : addressSet([port.address, ...(port.moreAddresses ?? [])])}`,
    ];
  if (end === "world") return [`${device} "${worldDevice}"`];
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(end))
    throw new TypeError(`link names "${end}", which is no machine, "world" or IPv4 address`);
  return [`${device} "${worldDevice}"`, `ip ${address} ${end}`];
}
