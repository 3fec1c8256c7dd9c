/**
 * The fleet definition: one YAML file that says what a fleet is. Normative page: docs/formats/fleet.md.
 * What is parsed here is right in itself; everything after takes a {@link Fleet} as given.
 */

import { isChainId } from "#core/account/chain-id.ts";
import { type Limits, readLimits } from "./limits.ts";
import { DefinitionError, Mistakes } from "./mistakes.ts";
import { DOMAIN_EXPECTED, isDomain, NAMESPACE_NAME, SHORT_NAME, SHORT_NAME_EXPECTED } from "./names.ts";
import { contains, isUnicast, type Network, parseAddress, parseNetwork } from "./network.ts";
import { parseTree } from "./tree.ts";
import { oneOf, Value } from "./value.ts";

export type { Limits, Network };
export { DefinitionError };

/** Where the world begins: this machine's own network, or a network namespace that exists already. */
export type Uplink = { kind: "host" } | { kind: "netns"; name: string };

export interface Fleet {
  /** Names the namespaces. */
  name: string;
  domain: string;
  network: Network;
  /** IPv4 address of the DNS resolver that machines ask; outside the network. */
  resolver: string;
  uplink: Uplink;
  /** In the order of the file, at least one. */
  sites: string[];
  /**
   * Site -> first label of a host name (`in`, `fetch-2`, and `out-anyway` for the second address of `out`) -> the IPv4 address
   * by which the world knows it, where that is another than the machine's own.
   */
  publicAddresses: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The site that takes mail. */
  live: string;
  /** The directory of accounts that machines believe, 22 characters. */
  directory: string;
  /**
   * How many machines of each role a site has, 1 to 9; one ledger, because somebody must say what came first; `out` and `spam-out` may be 0.
   */
  roles: {
    in: number;
    "spam-in": number;
    fetch: number;
    keys: number;
    ledger: number;
    out: number;
    /** 0 without machines `out`. */
    "spam-out": number;
  };
  /** How long `fetch` keeps sealed mail. */
  retentionDays: number;
  limits: Limits;
}

const MAX_MACHINES = 9;
const MAX_SITES = 9;
const MAX_RETENTION_DAYS = 365;

/**
 * Reads a fleet definition.
 * @param fileName how messages name the file
 * @throws DefinitionError (a FormatError CONFIG) with every mistake in the file; of text that is not YAML, only why not
 */
export function parseFleet(text: string, fileName: string): Fleet {
  return parseWith(text, fileName, []);
}

/** The same before the fleet has a directory: `directory` may be absent and is "" then. */
export function parseFleetToBe(text: string, fileName: string): Fleet {
  return parseWith(text, fileName, ["directory"]);
}

function parseWith(text: string, fileName: string, optional: readonly Key[]): Fleet {
  const mistakes = new Mistakes();
  const tree = parseTree(text, mistakes);
  const fleet = tree === null ? null : readFleet(new Value(tree, "", mistakes), optional);
  mistakes.throwIfAny(fileName, text);
  if (fleet === null) throw new Error("a definition without mistakes gave no fleet");
  return fleet;
}

const KEYS = [
  "fleet",
  "domain",
  "network",
  "resolver",
  "uplink",
  "sites",
  "live",
  "directory",
  "roles",
  "retention-days",
  "limits",
] as const;
type Key = (typeof KEYS)[number];

function readFleet(file: Value, optional: readonly Key[]): Fleet {
  const required = KEYS.filter((key) => !optional.includes(key));
  const fields = file.fields<Key, Key>(required, optional);
  const network = readNetwork(fields.network);
  const roles = readRoles(fields.roles);
  const { sites, publicAddresses } = readSites(fields.sites, roles);
  // Before there is one, an empty line waits for it in the example.
  const hasDirectory = !fields.directory.isAbsent && !(optional.includes("directory") && fields.directory.isNothing);
  return {
    name: fields.fleet.text(SHORT_NAME, SHORT_NAME_EXPECTED),
    domain: fields.domain.parsed((text) => (isDomain(text) ? text : null), DOMAIN_EXPECTED) ?? "",
    network,
    resolver: readResolver(fields.resolver, network),
    uplink: readUplink(fields.uplink),
    sites,
    publicAddresses,
    live: readLive(fields.live, sites),
    directory: hasDirectory ? readDirectory(fields.directory) : "",
    roles,
    retentionDays: fields["retention-days"].wholeNumber(1, MAX_RETENTION_DAYS, "days"),
    limits: readLimits(fields.limits),
  };
}

function readNetwork(network: Value): Network {
  const expected = 'an IPv4 network from /16 to /20 with its first address, as in "10.83.0.0/16"';
  return network.parsed(parseNetwork, expected) ?? { base: "", prefixLength: Number.NaN };
}

function readResolver(resolver: Value, network: Network): string {
  const isOutside = (text: string): string | null => {
    const address = parseAddress(text);
    return address !== null && isUnicast(address) && !contains(network, address) ? text : null;
  };
  return resolver.parsed(isOutside, 'an IPv4 address outside the network, as in "10.84.0.53"') ?? "";
}

function readUplink(uplink: Value): Uplink {
  const parse = (text: string): Uplink | null => {
    if (text === "host") return { kind: "host" };
    const name = text.startsWith("netns:") ? text.slice("netns:".length) : "";
    return NAMESPACE_NAME.test(name) ? { kind: "netns", name } : null;
  };
  return uplink.parsed(parse, '"host" or "netns:NAME"') ?? { kind: "host" };
}

function readSites(sites: Value, roles: Fleet["roles"]): Pick<Fleet, "sites" | "publicAddresses"> {
  const expected = `a mapping with 1 to ${MAX_SITES} sites, as in "alpha: {}"`;
  const entries = sites.named(
    expected,
    (name) => (SHORT_NAME.test(name) ? null : SHORT_NAME_EXPECTED),
    (count) => count >= 1 && count <= MAX_SITES,
  );
  const publicAddresses = entries.map(({ name, value }): [string, Record<string, string>] => {
    const fields = value.fields([], ["public-addresses"]);
    return [name, readPublicAddresses(fields["public-addresses"], roles)];
  });
  return { sites: entries.map(({ name }) => name), publicAddresses: Object.fromEntries(publicAddresses) };
}

/** Machines that the world reaches, or hears from. */
const PUBLIC_ROLES = ["in", "fetch", "keys", "out"] as const;

function readPublicAddresses(addresses: Value, roles: Fleet["roles"]): Record<string, string> {
  if (addresses.isAbsent) return {};
  const known = PUBLIC_ROLES.flatMap((role) =>
    Array.from({ length: Number.isNaN(roles[role]) ? MAX_MACHINES : roles[role] }, (_, index) => {
      const label = index === 0 ? role : `${role}-${index + 1}`;
      return role === "out" ? [label, `${label}-anyway`] : [label];
    }).flat(),
  );
  const entries = addresses.named(`a mapping of machines to addresses, as in "in: 192.0.2.25"`, (name) =>
    known.includes(name) ? null : oneOf(known),
  );
  const isUsable = (text: string): string | null => (isUnicast(parseAddress(text) ?? 0) ? text : null);
  return Object.fromEntries(
    entries.map(({ name, value }) => [name, value.parsed(isUsable, 'an IPv4 address, as in "192.0.2.25"') ?? ""]),
  );
}

function readLive(live: Value, sites: readonly string[]): string {
  // Without any valid site the mistake is there and not here.
  const expected = sites.length === 0 ? "the name of a site" : `${oneOf(sites)} (a site)`;
  return live.parsed((text) => (sites.length === 0 || sites.includes(text) ? text : null), expected) ?? "";
}

function readDirectory(directory: Value): string {
  const expected = "the 22 characters that `shoalctl directory create` prints";
  return directory.parsed((text) => (isChainId(text) ? text : null), expected) ?? "";
}

function readRoles(roles: Value): Fleet["roles"] {
  const fields = roles.fields(["in", "spam-in", "fetch", "keys", "ledger"], ["out", "spam-out"]);
  const out = fields.out.isAbsent ? 0 : fields.out.wholeNumber(0, MAX_MACHINES, "machines");
  return {
    in: fields.in.wholeNumber(1, MAX_MACHINES, "machines"),
    "spam-in": fields["spam-in"].wholeNumber(1, MAX_MACHINES, "machines"),
    fetch: fields.fetch.wholeNumber(1, MAX_MACHINES, "machines"),
    keys: fields.keys.wholeNumber(1, MAX_MACHINES, "machines"),
    ledger: fields.ledger.wholeNumber(1, 1, "machines"),
    out,
    "spam-out": readSpamOut(fields["spam-out"], out),
  };
}

function readSpamOut(count: Value, out: number): number {
  if (count.isAbsent) return 0;
  const machines = count.wholeNumber(0, MAX_MACHINES, "machines");
  if (machines > 0 && out === 0) count.refuse("0, because there is no machine `out` to ask it");
  return machines;
}
