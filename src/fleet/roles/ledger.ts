import type { LedgerConfigInput } from "#roles/ledger/config.ts";
import { forcedSocket } from "./accept.ts";
import { callers, linkFiles, linkHosts, linkKey, linkSecrets } from "./link.ts";
import { json, mayWrite, node, program } from "./node-program.ts";
import { commonFiles, type MachineId, machinesOf, type Role, type RoleView } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

const user = "shoal-ledger";
const store = "/var/lib/shoal/ledger";
const runFolder = "/run/ledger";
const socket = `${runFolder}/socket`;
/** Only `append`, whom `in` logs in as, gets to the socket in it. */
const appendFolder = "/run/append";
const appendSocket = `${appendFolder}/socket`;

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
    mailboxes: {
      store: `${store}/mailboxes.db`,
      signer: `${store}/signer`,
      socket: appendSocket,
      retentionDays: view.fleet.retentionDays,
      fetch: machinesOf(view, "fetch").map(({ name, number, hostname }) => ({
        machine: name,
        number,
        host: hostname,
        port: 22,
        identity: linkKey(user, name),
        knownHosts: linkHosts(user),
      })),
    },
  };
}

/** An SSH server for the one socket that `in` may talk to. */
function sshdParts(view: RoleView) {
  const inMachines = machinesOf(view, "in");
  const config = sshdConfig(
    [{ user: "append", lines: [forcedSocket(appendSocket)] }],
    inMachines.map(({ address }) => address),
    false,
  );
  return [...sshdFiles(config, view.machine.name), authorizedKeys("append", callers(view, inMachines))];
}

/**
 * Says which state of each account is the latest, and keeps the list of each mailbox's mail. It reaches the others; of them `in` reaches
 * one socket here, which takes deliveries.
 */
export const ledgerRole: Role = {
  name: "ledger",
  does: "verified account states; signs mailbox ledgers",
  whenTaken:
    "withhold or delay account states; never invent one, never read mail; sign another history of a mailbox (devices that saw the first say FORK)",
  secrets: (view) => [
    { name: `host/${view.machine.name}`, kind: "ssh-ed25519", hostname: view.machine.hostname },
    ...linkSecrets(view, fed(view)),
  ],
  links: (view) =>
    fed(view).map(({ name }) => ({ from: view.machine.name, to: name, protocol: "tcp" as const, port: 22 })),
  machine: (view) => ({
    packages: ["ssh-client", "ssh-server", "netcat", "node"],
    users: [
      { name: user, uid: 900, group: user, home: "/nonexistent", shell: "/usr/sbin/nologin" },
      // sshd hands the forced command to the user's shell.
      { name: "append", uid: 901, group: "append", home: "/", shell: "/bin/sh" },
    ],
    folders: [
      { path: "/var/lib/shoal", mode: 0o755, owner: "root", group: "root", keep: false },
      { path: store, mode: 0o700, owner: user, group: user, keep: true },
    ],
    files: [
      ...commonFiles(view),
      ...linkFiles(view, user, fed(view)),
      ...sshdParts(view),
      json(ledgerConfig, config(view)),
      program("shoal-ledger"),
    ],
    services: [
      {
        name: "ledger",
        user,
        listens: socket,
        before: [
          ["install", "-d", "-o", user, "-g", user, "-m", "700", runFolder],
          ["install", "-d", "-o", user, "-g", "append", "-m", "710", appendFolder],
        ],
        command: node(
          "shoal-ledger",
          ["serve", ledgerConfig],
          [...mayWrite(store, runFolder, appendFolder), "--allow-net", "--allow-child-process"],
        ),
      },
      sshdService,
    ],
    schedules: [],
  }),
};
