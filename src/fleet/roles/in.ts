import { printRecipients } from "#core/recipients.ts";
import type { FileSpec, ServiceSpec, UserSpec } from "#fleet/machine.ts";
import type { CourierConfigInput, FrontConfigInput, SealConfigInput } from "#roles/in/config.ts";
import { smtpdConf } from "#roles/in/smtpd-conf.ts";
import {
  commonFiles,
  type MachineId,
  machinesOf,
  pinnedHosts,
  publicKey,
  type Role,
  type RoleView,
  secret,
  text,
} from "./role.ts";

/** Ports on the machine's own loopback. */
const port = { smtpd: 10_025, courier: 10_026, rspamd: 11_333 } as const;
const loopback = "127.0.0.1";
const recipientsFile = "/etc/shoal/recipients";
const usageFile = "/run/shoal/usage";

const users: UserSpec[] = [
  ["shoal-front", 900],
  ["shoal-seal", 901],
  ["shoal-courier", 902],
  ["shoal-spam", 903],
].map(([name, uid]) => ({
  name: String(name),
  uid: Number(uid),
  group: String(name),
  home: "/nonexistent",
  shell: "/usr/sbin/nologin",
}));

function program(name: string): FileSpec {
  return {
    path: `/usr/lib/shoal/${name}.mjs`,
    mode: 0o644,
    owner: "root",
    group: "root",
    content: { program: name },
  };
}

function json(path: string, value: object): FileSpec {
  return text(path, `${JSON.stringify(value, null, 2)}\n`);
}

function linkKey(user: string, machine: string): string {
  return `/etc/shoal/${user}/${machine}`;
}

/** What an account needs to reach machines: its own key for each, and their pinned host keys. */
function linkFiles(view: RoleView, user: string, to: readonly MachineId[]): FileSpec[] {
  return [
    text(`/etc/shoal/${user}/known_hosts`, pinnedHosts(view, to)),
    ...to.map(({ name }) => secret(linkKey(user, name), `link/${view.machine.name}/${name}`, user)),
  ];
}

/** Node with nothing but what the program needs: Node's own fence, inside that of the user and the machine. */
function node(name: string, config: string, allowed: readonly string[]): string[] {
  return ["/usr/bin/node", "--permission", ...allowed, `/usr/lib/shoal/${name}.mjs`, config];
}

const readConfig = ["--allow-fs-read=/etc/shoal", "--allow-fs-read=/usr/lib/shoal"];

/** Carries rspamd's port from `spam-in` to this machine's loopback. */
function spamTunnel(view: RoleView): ServiceSpec {
  const [judge] = machinesOf(view, "spam-in");
  if (judge === undefined) throw new TypeError("a site has no spam-in");
  const options = [
    "BatchMode=yes",
    "ExitOnForwardFailure=yes",
    "ServerAliveInterval=15",
    "ConnectTimeout=10",
    "StrictHostKeyChecking=yes",
    "UserKnownHostsFile=/etc/shoal/shoal-spam/known_hosts",
  ];
  return {
    name: "spam-tunnel",
    user: "shoal-spam",
    listens: port.rspamd,
    command: [
      ...["ssh", "-N", "-F", "none", "-i", linkKey("shoal-spam", judge.name)],
      ...options.flatMap((option) => ["-o", option]),
      ...["-L", `${loopback}:${port.rspamd}:127.0.0.1:${port.rspamd}`, `rspamd-link@${judge.hostname}`],
    ],
  };
}

function services(view: RoleView): ServiceSpec[] {
  return [
    spamTunnel(view),
    {
      name: "courier",
      user: "shoal-courier",
      listens: port.courier,
      before: [["install", "-d", "-o", "shoal-courier", "-m", "755", "/run/shoal"]],
      command: node("shoal-courier", "/etc/shoal/courier.json", [
        ...readConfig,
        "--allow-fs-read=/run/shoal",
        "--allow-fs-write=/run/shoal",
        "--allow-net",
        "--allow-child-process",
      ]),
    },
    {
      name: "smtpd",
      user: "root",
      listens: port.smtpd,
      // smtpd changes what it waits for with each line that passes a filter; in libevent's epoll that is a system call
      // each time, half of what smtpd does. poll(2) has none.
      command: ["env", "EVENT_NOEPOLL=1", "/usr/sbin/smtpd", "-d"],
    },
    {
      name: "front",
      user: "shoal-front",
      listens: 25,
      command: node("shoal-front", "/etc/shoal/front.json", [...readConfig, "--allow-net"]),
    },
  ];
}

/** Configuration of the three programs: docs in their `.8.md` pages. */
function configs(view: RoleView): { front: FrontConfigInput; seal: SealConfigInput; courier: CourierConfigInput } {
  const { limits } = view.fleet;
  return {
    front: {
      listen: [{ address: "0.0.0.0", port: 25 }],
      smtpd: { address: loopback, port: port.smtpd },
      tls: { certificate: "/etc/shoal/tls.crt", key: "/etc/shoal/tls.key" },
      maxMessageBytes: limits.messageBytes,
      maxConnections: limits.connections,
      maxConnectionsPerClient: limits.connectionsPerAddress,
    },
    seal: { hostname: view.machine.hostname, recipientsFile, usageFile, maxMessageBytes: limits.messageBytes },
    courier: {
      listen: { address: loopback, port: port.courier },
      recipientsFile,
      usageFile,
      fetch: machinesOf(view, "fetch").map(({ name, hostname }) => ({
        machine: name,
        host: hostname,
        port: 22,
        depositUser: "deposit",
        usageUser: "usage",
        identity: linkKey("shoal-courier", name),
        knownHosts: "/etc/shoal/shoal-courier/known_hosts",
      })),
    },
  };
}

function files(view: RoleView): FileSpec[] {
  const { fleet, machine } = view;
  const fetchMachines = machinesOf(view, "fetch");
  const accounts = fleet.accounts.map(({ name, quotaBytes, fetch, seal }) => {
    const keeper = fetchMachines.find(({ number }) => number === fetch);
    if (keeper === undefined) throw new TypeError(`no fetch machine ${fetch} for "${name}"`);
    return { name, quotaBytes, fetch: keeper.name, seal };
  });
  const config = configs(view);
  return [
    ...commonFiles(view),
    ...linkFiles(view, "shoal-courier", fetchMachines),
    ...linkFiles(view, "shoal-spam", machinesOf(view, "spam-in")),
    text("/etc/shoal/tls.crt", publicKey(view, `tls/${machine.name}`)),
    secret("/etc/shoal/tls.key", `tls/${machine.name}`, "shoal-front"),
    text(recipientsFile, printRecipients(fleet.domain, accounts)),
    json("/etc/shoal/front.json", config.front),
    json("/etc/shoal/seal.json", config.seal),
    json("/etc/shoal/courier.json", config.courier),
    text(
      "/etc/smtpd.conf",
      smtpdConf({
        hostname: machine.hostname,
        domain: fleet.domain,
        maxMessageBytes: fleet.limits.messageBytes,
        maxRecipients: fleet.limits.recipients,
        frontPort: port.smtpd,
        courierPort: port.courier,
        rspamdUrl: `http://${loopback}:${port.rspamd}`,
        sealCommand: node("shoal-seal", "/etc/shoal/seal.json", [...readConfig, "--allow-fs-read=/run/shoal"]).join(
          " ",
        ),
        sealUser: "shoal-seal",
      }),
    ),
    ...["shoal-front", "shoal-seal", "shoal-courier"].map(program),
  ];
}

export const inRole: Role = {
  name: "in",
  does: "SMTP from the world; filters, seals, hands on",
  whenTaken: "read or change mail arriving now; nothing stored",
  secrets: (view) => [
    { name: `tls/${view.machine.name}`, kind: "tls", hostname: view.machine.hostname },
    ...["fetch", "spam-in"].flatMap((role) =>
      machinesOf(view, role as "fetch").map(({ name, hostname }) => ({
        name: `link/${view.machine.name}/${name}`,
        kind: "ssh-ed25519" as const,
        hostname,
      })),
    ),
  ],
  links: (view) => [
    { from: "world", to: view.machine.name, protocol: "tcp", port: 25 },
    ...[...machinesOf(view, "fetch"), ...machinesOf(view, "spam-in")].map(({ name }) => ({
      from: view.machine.name,
      to: name,
      protocol: "tcp" as const,
      port: 22,
    })),
    { from: view.machine.name, to: view.fleet.resolver, protocol: "udp", port: 53 },
    { from: view.machine.name, to: view.fleet.resolver, protocol: "tcp", port: 53 },
  ],
  machine: (view) => ({
    packages: ["smtp-server", "smtp-filter-rspamd", "ssh-client", "node"],
    users,
    folders: [{ path: "/var/spool/smtpd", mode: 0o711, owner: "root", group: "root", keep: true }],
    files: files(view),
    services: services(view),
    schedules: [
      // smtpd's own first retry comes after minutes; the courier is on this machine, so asking it often costs nothing.
      { name: "retry", everySeconds: 60, user: "root", command: ["smtpctl", "schedule", "all"] },
    ],
  }),
};
