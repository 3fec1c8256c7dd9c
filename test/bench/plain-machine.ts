/** The peer: the same OpenSMTPD from the same image, delivering in clear to a Maildir. */

import type { MachineSpec } from "#fleet/machine.ts";

export const plainMaildir = "/srv/alice/Maildir";

export interface PlainMachineOptions {
  address: string;
  nameServer: string;
}

/** Differs from stock in one number: smtpd ends sessions after 100 mails, and the load generator does not come back. */
export function plainMachine({ address, nameServer }: PlainMachineOptions): MachineSpec {
  return {
    name: "plain",
    // The image of `in`: the very same smtpd.
    role: "in",
    hostname: "plain.world.example",
    address,
    packages: ["smtp-server", "smtp-filter-rspamd", "ssh-client", "node"],
    users: [{ name: "alice", uid: 20_000, group: "alice", home: "/srv/alice", shell: "/usr/sbin/nologin" }],
    folders: [
      { path: "/var/spool/smtpd", mode: 0o711, owner: "root", group: "root", keep: true },
      { path: "/srv/alice", mode: 0o755, owner: "alice", group: "alice", keep: true },
    ],
    files: [
      {
        path: "/etc/smtpd.conf",
        mode: 0o644,
        owner: "root",
        group: "root",
        content: {
          text: [
            "smtp limit max-mails 1000000",
            "listen on 0.0.0.0 port 25 hostname plain.world.example",
            'action "maildir" maildir',
            'match from any for domain "shoal.example" action "maildir"',
            "",
          ].join("\n"),
        },
      },
      {
        path: "/etc/resolv.conf",
        mode: 0o644,
        owner: "root",
        group: "root",
        content: { text: `nameserver ${nameServer}\n` },
      },
      {
        path: "/etc/hosts",
        mode: 0o644,
        owner: "root",
        group: "root",
        content: { text: `127.0.0.1 localhost\n${address} plain.world.example plain\n` },
      },
    ],
    services: [{ name: "smtpd", user: "root", listens: 25, command: ["/usr/sbin/smtpd", "-d"] }],
    schedules: [],
  };
}
