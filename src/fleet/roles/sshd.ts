import type { FileSpec, ServiceSpec } from "#fleet/machine.ts";
import { secret, text } from "./role.ts";

/** A `Match User` block: what one account, or everyone else, may do. */
export interface SshdAccount {
  /** Account name, or "*" for all that no other block names. */
  user: string;
  /** Lines of sshd_config(5). */
  lines: readonly string[];
}

/**
 * sshd_config(5) of every machine: keys only, no shell worth having, no forwarding, nobody's own files trusted.
 * @param neverPenalised addresses of machines of the fleet: a link that fails is retried at once, not locked out
 * @param hasSftp whether a session may ask for SFTP at all
 */
export function sshdConfig(
  accounts: readonly SshdAccount[],
  neverPenalised: readonly string[],
  hasSftp = true,
): string {
  const named = accounts.filter(({ user }) => user !== "*").map(({ user }) => user);
  const blocks = accounts.map(({ user, lines }) => {
    const pattern = user === "*" ? ["*", ...named.map((name) => `!${name}`)].join(",") : user;
    return `\nMatch User ${pattern}\n${lines.map((line) => `  ${line}\n`).join("")}`;
  });
  const allowed = accounts.some(({ user }) => user === "*") ? [] : [`AllowUsers ${named.join(" ")}`];
  return `${[
    "Port 22",
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "AuthenticationMethods publickey",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin no",
    "PermitEmptyPasswords no",
    "UsePAM no",
    "AuthorizedKeysFile /etc/ssh/authorized_keys/%u",
    "StrictModes yes",
    "DisableForwarding yes",
    "PermitTTY no",
    "PermitUserEnvironment no",
    "PermitUserRC no",
    "PrintMotd no",
    "LogLevel ERROR",
    "LoginGraceTime 30",
    "MaxAuthTries 6",
    "MaxStartups 200:30:400",
    "ClientAliveInterval 60",
    "ClientAliveCountMax 3",
    "Compression no",
    ...(hasSftp ? ["Subsystem sftp internal-sftp"] : []),
    ...(neverPenalised.length === 0 ? [] : [`PerSourcePenaltyExemptList ${neverPenalised.join(",")}`]),
    ...allowed,
  ].join("\n")}\n${blocks.join("")}`;
}

export function sshdFiles(config: string, machine: string): FileSpec[] {
  return [text("/etc/ssh/sshd_config", config), secret("/etc/ssh/ssh_host_ed25519_key", `host/${machine}`, "root")];
}

/** `authorized_keys` of one account, owned by root: an account can't let in anybody else. */
export function authorizedKeys(user: string, lines: readonly string[]): FileSpec {
  return text(`/etc/ssh/authorized_keys/${user}`, lines.map((line) => `${line}\n`).join(""));
}

export const sshdService: ServiceSpec = {
  name: "sshd",
  command: ["/usr/sbin/sshd", "-D", "-e"],
  user: "root",
  listens: 22,
  before: [["install", "-d", "-m", "755", "/run/sshd"]],
};
