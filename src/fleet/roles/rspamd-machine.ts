/** Machines with rspamd, and the way to them: an SSH connection that can open rspamd's port and nothing else. */

import type { FileSpec, ServiceSpec } from "#fleet/machine.ts";
import { linkHosts, linkKey } from "./link.ts";
import { commonFiles, type MachineId, publicKey, type Role, type RoleView, text } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** On the loopback of the machine itself, and of those that ask it. */
export const rspamdPort = 11_333;
const linkUser = "rspamd-link";

/**
 * @param callers who may ask
 * @param files rspamd's configuration
 */
export function rspamdMachine(
  view: RoleView,
  callers: readonly MachineId[],
  files: readonly FileSpec[],
): ReturnType<Role["machine"]> {
  const config = sshdConfig(
    [
      {
        user: linkUser,
        lines: [
          "DisableForwarding no",
          "AllowTcpForwarding local",
          `PermitOpen 127.0.0.1:${rspamdPort}`,
          "AllowStreamLocalForwarding no",
          "X11Forwarding no",
          "AllowAgentForwarding no",
          "ForceCommand /bin/false",
        ],
      },
    ],
    callers.map(({ address }) => address),
  );
  const lines = callers.map(
    ({ name }) =>
      `restrict,port-forwarding,permitopen="127.0.0.1:${rspamdPort}",command="/bin/false" ${publicKey(view, `link/${name}/${view.machine.name}`)}`,
  );
  return {
    packages: ["ssh-server", "rspamd"],
    users: [{ name: linkUser, uid: 900, group: linkUser, home: "/", shell: "/bin/sh" }],
    folders: [{ path: "/var/lib/rspamd", mode: 0o750, owner: "_rspamd", group: "_rspamd", keep: false }],
    files: [...commonFiles(view), ...sshdFiles(config, view.machine.name), authorizedKeys(linkUser, lines), ...files],
    services: [sshdService, rspamdService],
    schedules: [],
  };
}

const rspamdService: ServiceSpec = {
  name: "rspamd",
  user: "root",
  listens: rspamdPort,
  before: [
    ["install", "-d", "-o", "_rspamd", "-g", "_rspamd", "-m", "755", "/run/rspamd"],
    // Workers outlive a main process that was killed, and their port would keep the next one from starting.
    ["sh", "-c", "pkill -KILL -u _rspamd; :"],
  ],
  command: ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"],
};

/** Carries rspamd's port from a machine to this one's loopback. @param user has the key of the link */
export function rspamdTunnel(judge: MachineId, user: string): ServiceSpec {
  const options = [
    "BatchMode=yes",
    "ExitOnForwardFailure=yes",
    "ServerAliveInterval=15",
    "ConnectTimeout=10",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${linkHosts(user)}`,
  ];
  return {
    name: "spam-tunnel",
    user,
    listens: rspamdPort,
    command: [
      ...["ssh", "-N", "-F", "none", "-i", linkKey(user, judge.name)],
      ...options.flatMap((option) => ["-o", option]),
      ...["-L", `127.0.0.1:${rspamdPort}:127.0.0.1:${rspamdPort}`, `${linkUser}@${judge.hostname}`],
    ],
  };
}

/** The machine's own configuration file. */
export function rspamdConfFile(content: string): FileSpec {
  return text("/etc/rspamd/rspamd.conf", content);
}
