import type { LedgerConfigInput } from "#roles/ledger/config.ts";
import { linkFiles, linkHosts, linkKey, linkSecrets } from "./link.ts";
import { json, mayWrite, node, program } from "./node-program.ts";
import { commonFiles, type MachineId, machinesOf, type Role, type RoleView } from "./role.ts";

const user = "shoal-ledger";
const store = "/var/lib/shoal/ledger";
const runFolder = "/run/ledger";
const socket = `${runFolder}/socket`;

/** What the operator's commands on the machine and the service read. */
export const ledgerConfig = "/etc/shoal/ledger.json";

/** The machines that it feeds. */
function fed(view: RoleView): MachineId[] {
  return (["keys", "in", "fetch", "out"] as const).flatMap((role) => machinesOf(view, role));
}

function config(view: RoleView): LedgerConfigInput {
  const { domain, directory } = view.fleet;
  return {
    domain,
    directory,
    store: `${store}/accounts.db`,
    socket,
    machines: fed(view).map(({ name, role, hostname }) => ({
      machine: name,
      role: role as "fetch",
      host: hostname,
      port: 22,
      identity: linkKey(user, name),
      knownHosts: linkHosts(user),
    })),
  };
}

/** Says which state of each account is the latest. It reaches the others and nobody reaches it. */
export const ledgerRole: Role = {
  name: "ledger",
  does: "verified account states",
  whenTaken: "withhold or delay account states; never invent one, never read mail",
  secrets: (view) => linkSecrets(view, fed(view)),
  links: (view) =>
    fed(view).map(({ name }) => ({ from: view.machine.name, to: name, protocol: "tcp" as const, port: 22 })),
  machine: (view) => ({
    packages: ["ssh-client", "node"],
    users: [{ name: user, uid: 900, group: user, home: "/nonexistent", shell: "/usr/sbin/nologin" }],
    folders: [
      { path: "/var/lib/shoal", mode: 0o755, owner: "root", group: "root", keep: false },
      { path: store, mode: 0o700, owner: user, group: user, keep: true },
    ],
    files: [
      ...commonFiles(view),
      ...linkFiles(view, user, fed(view)),
      json(ledgerConfig, config(view)),
      program("shoal-ledger"),
    ],
    services: [
      {
        name: "ledger",
        user,
        listens: socket,
        before: [["install", "-d", "-o", user, "-g", user, "-m", "700", runFolder]],
        command: node(
          "shoal-ledger",
          ["serve", ledgerConfig],
          [...mayWrite(store, runFolder), "--allow-net", "--allow-child-process"],
        ),
      },
    ],
    schedules: [],
  }),
};
