import { commonFiles, machinesOf, publicKey, type Role, type RoleView, text } from "./role.ts";
import { rspamdConf } from "./rspamd-conf.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

const port = 11_333;

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
    text("/etc/rspamd/rspamd.conf", rspamdConf(view.fleet.resolver, port)),
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
        before: [
          ["install", "-d", "-o", "_rspamd", "-g", "_rspamd", "-m", "755", "/run/rspamd"],
          // Workers outlive a main process that was killed, and their port would keep the next one from starting.
          ["sh", "-c", "pkill -KILL -u _rspamd; :"],
        ],
        command: ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"],
      },
    ],
    schedules: [],
  }),
};
