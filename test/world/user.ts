/** The computer of mail users: SSH, age, Node and our client, and an account for each person. */

import type { MachineSpec } from "#fleet/machine.ts";
import { nameFiles, textFile } from "#test/world/machine-parts.ts";

export interface UserMachineOptions {
  address: string;
  hostname: string;
  nameServer: string;
  /** Names of accounts; each has a home folder that outlives the machine. */
  people: readonly string[];
  /** Lines of known_hosts(5) for all people; empty when they have yet to meet the servers. */
  knownHosts: string;
  /** Further packages, by neutral names. */
  packages?: readonly string[];
}

/** User id of the first person; the others follow. */
const firstUid = 1001;

export function userMachine({
  address,
  hostname,
  nameServer,
  people,
  knownHosts,
  packages,
}: UserMachineOptions): MachineSpec {
  return {
    name: "user",
    role: "world-user",
    hostname,
    address,
    packages: ["ssh-client", "age", "node", "openssl", "swaks", "dkim-verifier", ...(packages ?? [])],
    users: people.map((name, index) => ({
      name,
      uid: firstUid + index,
      group: name,
      home: `/home/${name}`,
      shell: "/bin/bash",
    })),
    folders: people.map((name) => ({ path: `/home/${name}`, mode: 0o700, owner: name, group: name, keep: true })),
    files: [
      ...nameFiles(nameServer, hostname, address),
      ...(knownHosts === "" ? [] : [textFile("/etc/ssh/ssh_known_hosts", knownHosts)]),
      {
        path: "/usr/local/bin/shoal",
        mode: 0o755,
        owner: "root",
        group: "root",
        content: { program: "shoal" },
      },
    ],
    services: [],
    schedules: [],
  };
}
