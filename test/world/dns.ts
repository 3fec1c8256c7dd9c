/** The name server of the test internet: NSD, authoritative for all there is; every other name does not exist. */

import type { FileSpec, MachineSpec } from "#fleet/machine.ts";
import { nameFiles, textFile } from "#test/world/machine-parts.ts";
import { absolute, type ResourceRecord, splitIntoZones, zoneFile } from "#test/world/zones.ts";

const zoneFolder = "/etc/nsd/zones";

export interface DnsOptions {
  address: string;
  hostname: string;
  /** Zones besides the root and the reverse tree. */
  zones: readonly string[];
  records: readonly ResourceRecord[];
  /** Further zones, ready made: name -> zone file. */
  zoneTexts?: ReadonlyMap<string, string>;
}

export function dnsMachine(options: DnsOptions): MachineSpec {
  const { address, hostname, zoneTexts = new Map<string, string>() } = options;
  const files = zoneFiles(options);
  for (const [zone, content] of zoneTexts) files.set(zone, textFile(zonePath(zone), content));
  return {
    name: "dns",
    role: "world-dns",
    hostname,
    address,
    packages: ["nsd"],
    users: [],
    folders: [],
    files: [
      ...nameFiles(address, hostname, address),
      textFile("/etc/nsd/nsd.conf", nsdConfig([...files.keys()])),
      ...files.values(),
    ],
    services: [{ name: "nsd", user: "nsd", command: ["/usr/sbin/nsd", "-d", "-c", "/etc/nsd/nsd.conf"], listens: 53 }],
    schedules: [],
  };
}

/** Path of a zone's file on the machine. After a change there, `sv restart nsd` makes it known. */
export function zonePath(zone: string): string {
  return `${zoneFolder}/${zone === "" ? "root" : zone}.zone`;
}

function zoneFiles({ hostname, zones, records }: DnsOptions): Map<string, FileSpec> {
  const all = [...zones, "in-addr.arpa"];
  const delegations = all.map((zone): ResourceRecord => ({ name: zone, type: "NS", data: absolute(hostname) }));
  const files = new Map<string, FileSpec>();
  for (const [zone, own] of splitIntoZones(all, records)) {
    const content = zoneFile(zone, hostname, zone === "" ? [...own, ...delegations] : own);
    files.set(zone, textFile(zonePath(zone), content));
  }
  return files;
}

function nsdConfig(zones: readonly string[]): string {
  const list = zones.map((zone) => `zone:\n  name: "${absolute(zone)}"\n  zonefile: "${zonePath(zone)}"\n`).join("");
  // It runs as its own account from the start, so there is nothing left to drop and no privileged file to write.
  return `server:
  ip-address: 0.0.0.0
  do-ip6: no
  username: ""
  server-count: 1
  database: ""
  pidfile: ""
  zonelistfile: "/tmp/nsd-zone.list"
  xfrdfile: "/tmp/nsd-xfrd.state"
  xfrdir: "/tmp"
  verbosity: 1
  round-robin: yes
  minimal-responses: yes
remote-control:
  control-enable: no
${list}`;
}
