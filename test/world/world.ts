/**
 * The test internet as machine data: a name server, two strangers with real mail servers (Postfix and Exim), and the
 * computer of the mail users. Names are of the `example` tree, addresses of one network of 256.
 */

import type { MachineSpec } from "#fleet/machine.ts";
import { dnsMachine } from "#test/world/dns.ts";
import { eximMachine } from "#test/world/exim.ts";
import { postfixMachine } from "#test/world/postfix.ts";
import { userMachine } from "#test/world/user.ts";
import { absolute, type Host, type ResourceRecord, reverseName } from "#test/world/zones.ts";

/** Debian 13 packages for the neutral names used here. */
export const worldPackages: Readonly<Record<string, readonly string[]>> = {
  openssl: ["openssl"],
  nsd: ["nsd"],
  postfix: ["postfix", "ca-certificates", "openssl"],
  exim: ["exim4-daemon-light", "ca-certificates", "openssl"],
  swaks: ["swaks"],
  msmtp: ["msmtp"],
  "mail-programs": ["tmux", "vim-tiny", "neomutt", "aerc", "git", "git-email", "libmailtools-perl"],
  "fake-clock": ["faketime"],
  "dkim-verifier": ["python3-dkim", "python3-nacl"],
  "perl-dkim-verifier": ["libmail-dkim-perl"],
};

export interface WorldOptions {
  /** First three numbers of the world's addresses, as in "10.84.0". */
  network: string;
  /** The fleet under test, as the world sees it. */
  fleet: {
    domain: string;
    /** Machines that take mail from the world; each becomes an MX. */
    mx: readonly Host[];
    /** Further machines with a public name (`fetch`). */
    hosts: readonly Host[];
    /** Addresses that mail of the domain leaves from, besides those of `mx`. */
    senders?: readonly string[];
  };
  /** Further records, as DKIM keys at `selector._domainkey.post.example`. Names outside every zone go to the root. */
  records?: readonly ResourceRecord[];
  /** Further zones, ready made: name -> zone file. */
  zoneTexts?: ReadonlyMap<string, string>;
  /** People with an account on the `user` machine; default alice and bob. */
  people?: readonly string[];
  /** known_hosts(5) lines for all people; default none. */
  knownHosts?: string;
  /** Further packages on the `user` machine, by neutral names. */
  userPackages?: readonly string[];
}

/** A stranger's mail server. */
export interface Stranger {
  kind: "postfix" | "exim";
  /** Name of its machine. */
  machine: string;
  domain: string;
}

export const post: Stranger = { kind: "postfix", machine: "post", domain: "post.example" };
export const exim: Stranger = { kind: "exim", machine: "exim", domain: "exim.example" };
export const strangers: readonly Stranger[] = [post, exim];

/** Addresses of the world's machines: the last number tells who it is. */
export function worldAddresses(network: string): { dns: string; post: string; exim: string; user: string } {
  return { dns: `${network}.53`, post: `${network}.25`, exim: `${network}.26`, user: `${network}.77` };
}

/** All machines of the test internet; nothing between them is filtered. */
export function worldMachines(options: WorldOptions): MachineSpec[] {
  const addresses = worldAddresses(options.network);
  const nameServer: Host = { name: "ns.world.example", address: addresses.dns };
  const user: Host = { name: "laptop.world.example", address: addresses.user };
  const mailServers = strangers.map((stranger) => ({
    stranger,
    host: { name: `mx.${stranger.domain}`, address: addresses[stranger.machine as "post" | "exim"] },
  }));
  const records = [
    ...[nameServer, user].flatMap(hostRecords),
    ...mailServers.flatMap(({ stranger, host }) => domainRecords(stranger.domain, [host])),
    ...domainRecords(options.fleet.domain, options.fleet.mx, options.fleet.senders),
    ...options.fleet.hosts.flatMap(hostRecords),
    ...(options.records ?? []),
  ];
  const zones = ["world.example", ...strangers.map(({ domain }) => domain), options.fleet.domain];
  return [
    dnsMachine({
      address: addresses.dns,
      hostname: nameServer.name,
      zones,
      records,
      ...(options.zoneTexts === undefined ? {} : { zoneTexts: options.zoneTexts }),
    }),
    ...mailServers.map(({ stranger: { kind, machine, domain }, host }) =>
      (kind === "postfix" ? postfixMachine : eximMachine)({
        name: machine,
        domain,
        hostname: host.name,
        address: host.address,
        nameServer: addresses.dns,
      }),
    ),
    userMachine({
      address: user.address,
      hostname: user.name,
      nameServer: addresses.dns,
      people: options.people ?? ["alice", "bob"],
      knownHosts: options.knownHosts ?? "",
      packages: options.userPackages ?? [],
    }),
  ];
}

/** A name and the way back. */
function hostRecords({ name, address }: Host): ResourceRecord[] {
  return [
    { name, type: "A", data: address },
    { name: reverseName(address), type: "PTR", data: absolute(name) },
  ];
}

/** What a domain that exchanges mail publishes: its MX hosts, and that only they send for it. */
function domainRecords(domain: string, hosts: readonly Host[], senders: readonly string[] = []): ResourceRecord[] {
  return [
    ...hosts.flatMap(hostRecords),
    ...hosts.map(({ name }): ResourceRecord => ({ name: domain, type: "MX", data: `10 ${absolute(name)}` })),
    { name: domain, type: "TXT", data: `v=spf1 mx ${senders.map((address) => `ip4:${address} `).join("")}-all` },
    { name: `_dmarc.${domain}`, type: "TXT", data: "v=DMARC1; p=none" },
  ];
}
