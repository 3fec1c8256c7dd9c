import { dirname } from "node:path";
import type { FileSpec, ServiceSpec, UserSpec } from "#fleet/machine.ts";
import type { CourierConfigInput, FrontConfigInput, SealConfigInput } from "#roles/in/config.ts";
import { smtpdConf } from "#roles/in/smtpd-conf.ts";
import { acceptParts, recipientsFile } from "./accept.ts";
import { linkFiles, linkHosts, linkKey, linkSecrets } from "./link.ts";
import { json, mayRead, mayWrite, node, program } from "./node-program.ts";
import { commonFiles, type MachineId, machinesOf, publicKey, type Role, type RoleView, secret, text } from "./role.ts";
import { rspamdPort, rspamdTunnel } from "./rspamd-machine.ts";
import { sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** Ports on the machine's own loopback. */
const port = { smtpd: 10_025, courier: 10_026 } as const;
const loopback = "127.0.0.1";
const usageFile = "/run/shoal/usage";
const recipientsFolder = dirname(recipientsFile);

const users: UserSpec[] = [
  ["shoal-front", 900],
  ["shoal-seal", 901],
  ["shoal-courier", 902],
  ["shoal-spam", 903],
  ["shoal-accept", 904],
].map(([name, uid]) => ({
  name: String(name),
  uid: Number(uid),
  group: String(name),
  home: "/nonexistent",
  shell: "/usr/sbin/nologin",
}));

function accept(view: RoleView) {
  const fetch = Object.fromEntries(machinesOf(view, "fetch").map(({ number, name }) => [String(number), name]));
  const serves = { role: "in", recipientsFile, fetch } as const;
  return acceptParts(view, { serves, owner: "shoal-accept", ledgerUid: 905, folders: [] });
}

function judgeOf(view: RoleView): MachineId {
  const [judge] = machinesOf(view, "spam-in");
  if (judge === undefined) throw new TypeError("a site has no spam-in");
  return judge;
}

function services(view: RoleView): ServiceSpec[] {
  return [
    accept(view).service,
    sshdService,
    rspamdTunnel(judgeOf(view), "shoal-spam"),
    {
      name: "courier",
      user: "shoal-courier",
      listens: port.courier,
      before: [["install", "-d", "-o", "shoal-courier", "-m", "755", "/run/shoal"]],
      command: node(
        "shoal-courier",
        ["/etc/shoal/courier.json"],
        [...mayRead(recipientsFolder), ...mayWrite("/run/shoal"), "--allow-net", "--allow-child-process"],
      ),
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
      command: node("shoal-front", ["/etc/shoal/front.json"], ["--allow-net"]),
    },
  ];
}

/** Configuration of the three programs: docs in their `.8.md` pages. */
function configs(view: RoleView): { front: FrontConfigInput; seal: SealConfigInput; courier: CourierConfigInput } {
  const { limits } = view.fleet;
  return {
    front: {
      domain: view.fleet.domain,
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
        knownHosts: linkHosts("shoal-courier"),
      })),
      ...ledgerOf(view),
    },
  };
}

/** Where the courier has deliveries listed. */
function ledgerOf(view: RoleView): Pick<CourierConfigInput, "ledger"> {
  const [ledger] = machinesOf(view, "ledger");
  if (ledger === undefined) throw new TypeError("a site has no ledger");
  const { name, hostname } = ledger;
  const user = "shoal-courier";
  return {
    ledger: { host: hostname, port: 22, user: "append", identity: linkKey(user, name), knownHosts: linkHosts(user) },
  };
}

/** The machines whose services the courier uses. */
function courierReaches(view: RoleView): MachineId[] {
  return [...machinesOf(view, "fetch"), ...machinesOf(view, "ledger")];
}

function files(view: RoleView): FileSpec[] {
  const { fleet, machine } = view;
  const config = configs(view);
  const { login, files: acceptFiles } = accept(view);
  const sshd = sshdConfig(
    [login],
    machinesOf(view, "ledger").map(({ address }) => address),
  );
  return [
    ...commonFiles(view),
    ...sshdFiles(sshd, machine.name),
    ...acceptFiles,
    ...linkFiles(view, "shoal-courier", courierReaches(view)),
    ...linkFiles(view, "shoal-spam", machinesOf(view, "spam-in")),
    text("/etc/shoal/tls.crt", publicKey(view, `tls/${machine.name}`)),
    secret("/etc/shoal/tls.key", `tls/${machine.name}`, "shoal-front"),
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
        rspamdUrl: `http://${loopback}:${rspamdPort}`,
        sealCommand: node("shoal-seal", ["/etc/shoal/seal.json"], mayRead("/run/shoal", recipientsFolder)).join(" "),
        sealUser: "shoal-seal",
      }),
    ),
    ...["shoal-front", "shoal-seal", "shoal-courier"].map(program),
  ];
}

export const inRole: Role = {
  name: "in",
  does: "SMTP from the world; filters, seals, hands on",
  whenTaken: "read or change mail arriving now, list mail that never came; nothing stored",
  secrets: (view) => [
    { name: `host/${view.machine.name}`, kind: "ssh-ed25519", hostname: view.machine.hostname },
    { name: `tls/${view.machine.name}`, kind: "tls", hostname: view.machine.hostname },
    ...linkSecrets(view, [...courierReaches(view), ...machinesOf(view, "spam-in")]),
  ],
  links: (view) => [
    { from: "world", to: view.machine.name, protocol: "tcp", port: 25 },
    ...[...courierReaches(view), ...machinesOf(view, "spam-in")].map(({ name }) => ({
      from: view.machine.name,
      to: name,
      protocol: "tcp" as const,
      port: 22,
    })),
    { from: view.machine.name, to: view.fleet.resolver, protocol: "udp", port: 53 },
    { from: view.machine.name, to: view.fleet.resolver, protocol: "tcp", port: 53 },
  ],
  machine: (view) => ({
    packages: ["smtp-server", "smtp-filter-rspamd", "ssh-client", ...accept(view).packages],
    users: [...users, ...accept(view).users],
    folders: [
      ...accept(view).folders,
      { path: "/var/spool/smtpd", mode: 0o711, owner: "root", group: "root", keep: true },
    ],
    files: files(view),
    services: services(view),
    schedules: [
      // smtpd's own first retry comes after minutes; the courier is on this machine, so asking it often costs nothing.
      { name: "retry", everySeconds: 20, user: "root", command: ["smtpctl", "schedule", "all"] },
    ],
  }),
};
