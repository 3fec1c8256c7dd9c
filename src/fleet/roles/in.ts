import type { FileSpec, UserSpec } from "#fleet/machine.ts";
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
  return { path: `/usr/lib/shoal/${name}.mjs`, mode: 0o644, owner: "root", group: "root", content: { program: name } };
}

function linkFiles(view: RoleView, user: string, to: readonly MachineId[]): FileSpec[] {
  return [
    text(`/etc/shoal/${user}/known_hosts`, pinnedHosts(view, to)),
    ...to.map(({ name }) => secret(`/etc/shoal/${user}/${name}`, `link/${view.machine.name}/${name}`, user)),
  ];
}

function files(view: RoleView): FileSpec[] {
  return [
    ...commonFiles(view),
    ...linkFiles(view, "shoal-courier", machinesOf(view, "fetch")),
    ...linkFiles(view, "shoal-spam", machinesOf(view, "spam-in")),
    text("/etc/shoal/tls.crt", publicKey(view, `tls/${view.machine.name}`)),
    secret("/etc/shoal/tls.key", `tls/${view.machine.name}`, "shoal-front"),
    program("shoal-front"),
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
    services: [
      {
        name: "spam-tunnel",
        user: "shoal-spam",
        listens: port.rspamd,
        command: [
          "ssh",
          "-N",
          "-F",
          "none",
          "-o",
          "BatchMode=yes",
          "-o",
          "ExitOnForwardFailure=yes",
          "-o",
          "ServerAliveInterval=15",
          "-o",
          "UserKnownHostsFile=/etc/shoal/shoal-spam/known_hosts",
          "-o",
          "StrictHostKeyChecking=yes",
          "-i",
          `/etc/shoal/shoal-spam/${machinesOf(view, "spam-in")[0]?.name}`,
          "-L",
          `127.0.0.1:${port.rspamd}:127.0.0.1:${port.rspamd}`,
          `rspamd-link@${machinesOf(view, "spam-in")[0]?.hostname}`,
        ],
      },
    ],
    schedules: [],
  }),
};
