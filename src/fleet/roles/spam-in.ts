import { commonFiles, machinesOf, publicKey, type Role, type RoleView, text } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

const port = 11_333;

/**
 * Modules that would tell others about our users' mail (addresses of senders, links in messages, checksums) are off: what
 * stays judges by the message itself, SPF, DKIM and DMARC.
 */
const tellingModules = [
  "rbl",
  "asn",
  "fuzzy_check",
  "url_redirector",
  "phishing",
  "elastic",
  "clickhouse",
  "metadata_exporter",
  "history_redis",
  "neural",
  "bayes_expiry",
  "greylist",
  "ratelimit",
  "replies",
  "milter_headers",
  "dkim_signing",
  "arc",
  "p0f",
  "hfilter",
  "mx_check",
  "reputation",
  "spamassassin",
  "antivirus",
  "dcc",
  "external_services",
  "url_suspect",
];

function files(view: RoleView) {
  const config = sshdConfig(
    [
      {
        user: "rspamd-link",
        lines: [
          "DisableForwarding no",
          "AllowTcpForwarding local",
          `PermitOpen 127.0.0.1:${port}`,
          "AllowStreamLocalForwarding no",
          "X11Forwarding no",
          "AllowAgentForwarding no",
          "ForceCommand /bin/false",
        ],
      },
    ],
    machinesOf(view, "in").map(({ address }) => address),
  );
  const callers = machinesOf(view, "in").map(
    ({ name }) =>
      `restrict,port-forwarding,permitopen="127.0.0.1:${port}",command="/bin/false" ${publicKey(view, `link/${name}/${view.machine.name}`)}`,
  );
  return [
    ...commonFiles(view),
    ...sshdFiles(config, view.machine.name),
    authorizedKeys("rspamd-link", callers),
    text("/etc/rspamd/local.d/logging.inc", 'type = "console";\nlevel = "warning";\n'),
    text(
      "/etc/rspamd/local.d/options.inc",
      `dns {\n  nameserver = ["${view.fleet.resolver}"];\n  timeout = 1s;\n  retransmits = 2;\n}\n`,
    ),
    text("/etc/rspamd/local.d/worker-normal.inc", `bind_socket = "127.0.0.1:${port}";\ncount = 2;\n`),
    text("/etc/rspamd/override.d/worker-controller.inc", "enabled = false;\n"),
    text("/etc/rspamd/override.d/worker-proxy.inc", "enabled = false;\n"),
    text("/etc/rspamd/override.d/worker-fuzzy.inc", "enabled = false;\n"),
    text("/etc/rspamd/override.d/classifier-bayes.conf", "enabled = false;\n"),
    ...tellingModules.map((module) => text(`/etc/rspamd/override.d/${module}.conf`, "enabled = false;\n")),
  ];
}

/** rspamd for `in`, reached through an SSH connection that can open one port and nothing else. */
export const spamInRole: Role = {
  name: "spam-in",
  does: "rspamd for `in`",
  whenTaken: "read mail arriving now, spoil verdicts; nothing stored",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: (view) => [
    { from: view.machine.name, to: view.fleet.resolver, protocol: "udp", port: 53 },
    { from: view.machine.name, to: view.fleet.resolver, protocol: "tcp", port: 53 },
  ],
  machine: (view) => ({
    packages: ["ssh-server", "rspamd"],
    users: [{ name: "rspamd-link", uid: 900, group: "rspamd-link", home: "/", shell: "/bin/sh" }],
    folders: [{ path: "/var/lib/rspamd", mode: 0o750, owner: "_rspamd", group: "_rspamd", keep: false }],
    files: files(view),
    services: [
      sshdService,
      {
        name: "rspamd",
        user: "root",
        listens: port,
        before: [["install", "-d", "-o", "_rspamd", "-g", "_rspamd", "-m", "755", "/run/rspamd"]],
        command: ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"],
      },
    ],
    schedules: [],
  }),
};
