/**
 * Which addresses a stranger's DNS may send us to. Whoever writes mail chooses the domain, and whoever owns the domain
 * chooses the address: without this, both could look into the provider's own network through our probes.
 */

import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

/** The registries of special-purpose addresses, as far as they are not globally reachable (RFC 6890), and multicast. */
const closed4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
/** All of IPv6 that is handed out. Mapped and translated addresses (`::ffff:0:0/96`, `64:ff9b::/96`) are outside. */
const open6 = ["2000::/3"];
/** Teredo, documentation, and 6to4, which carries an IPv4 address inside. */
const closed6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

export interface AddressGuardOptions {
  /** Lets private and special addresses pass: for a test network. */
  readonly allowPrivate: boolean;
  /** CIDR blocks of the provider's own public addresses; this machine's own addresses are known. */
  readonly ownNetworks: readonly string[];
}

export class AddressGuard {
  readonly #open6 = blockList(open6);
  readonly #closed: BlockList;
  readonly #allowPrivate: boolean;

  constructor({ allowPrivate, ownNetworks }: AddressGuardOptions) {
    this.#allowPrivate = allowPrivate;
    this.#closed = blockList(allowPrivate ? ownNetworks : [...closed4, ...closed6, ...ownNetworks]);
    if (allowPrivate) return;
    for (const own of Object.values(networkInterfaces()).flat()) {
      if (own !== undefined) this.#closed.addAddress(own.address, own.family === "IPv6" ? "ipv6" : "ipv4");
    }
  }

  /** True if we may connect there. */
  allows(address: string): boolean {
    const version = isIP(address);
    if (version === 4) return !this.#closed.check(address, "ipv4");
    if (version !== 6 || this.#closed.check(address, "ipv6")) return false;
    return this.#allowPrivate || this.#open6.check(address, "ipv6");
  }
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix = ""] = network.split("/");
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
