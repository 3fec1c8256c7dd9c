/** A stranger's mail server that runs Postfix. */

import type { MachineSpec } from "#fleet/machine.ts";
import {
  inboxMaildir,
  inboxUser,
  nameFiles,
  selfSignedBefore,
  textFile,
  tlsCertificate,
  tlsKey,
} from "#test/world/machine-parts.ts";

export interface StrangerOptions {
  name: string;
  /** Domain whose mail this machine takes, whatever the local part. */
  domain: string;
  hostname: string;
  address: string;
  nameServer: string;
}

export const postfixLog = "/var/log/mail.log";

export function postfixMachine(options: StrangerOptions): MachineSpec {
  const { name, hostname, address, nameServer } = options;
  return {
    name,
    role: "world-postfix",
    hostname,
    address,
    packages: ["postfix"],
    users: [inboxUser],
    folders: [{ path: inboxUser.home, mode: 0o755, owner: inboxUser.name, group: inboxUser.group, keep: false }],
    files: [
      ...nameFiles(nameServer, hostname, address),
      textFile("/etc/postfix/main.cf", postfixMain(options)),
      textFile("/etc/postfix/master.cf", postfixMaster),
    ],
    services: [
      {
        name: "postfix",
        user: "root",
        before: selfSignedBefore(hostname, "postfix"),
        command: ["postfix", "start-fg"],
        listens: 25,
      },
    ],
    schedules: [],
  };
}

/** `main.cf` (postconf(5)). */
export function postfixMain({ domain, hostname }: StrangerOptions): string {
  return settings([
    ["compatibility_level", "3.9"],
    ["myhostname", hostname],
    ["mydomain", domain],
    ["myorigin", domain],
    ["inet_interfaces", "all"],
    ["inet_protocols", "ipv4"],
    ["mynetworks", "127.0.0.0/8"],
    ["maillog_file", postfixLog],

    "Sending: by MX, with TLS where it is offered, as most of the world does.",
    ["relayhost", ""],
    ["smtp_tls_security_level", "may"],
    ["smtp_tls_loglevel", "1"],

    "Retries come within seconds, so that nobody waits for them.",
    ["minimal_backoff_time", "2s"],
    ["maximal_backoff_time", "5s"],
    ["queue_run_delay", "2s"],
    ["transport_retry_time", "2s"],
    ["smtp_connect_timeout", "5s"],
    ["smtp_helo_timeout", "20s"],
    ["in_flow_delay", "0"],
    ["bounce_queue_lifetime", "1h"],

    "Nor for a server that was killed while the link was cut, whose reset nobody sends again.",
    ["smtp_starttls_timeout", "60s"],
    ["smtp_mail_timeout", "60s"],
    ["smtp_rcpt_timeout", "60s"],
    ["smtp_data_init_timeout", "60s"],
    ["smtp_data_xfer_timeout", "60s"],
    ["smtp_data_done_timeout", "120s"],
    ["smtp_quit_timeout", "20s"],

    "Mail passes as it is: what Postfix would mend or cut is left alone, so that what arrives can be compared.",
    ["smtp_line_length_limit", "0"],
    ["header_size_limit", "67108864"],
    ["message_size_limit", "104857600"],
    ["mailbox_size_limit", "0"],
    ["virtual_mailbox_limit", "0"],
    ["disable_mime_output_conversion", "yes"],
    ["message_drop_headers", ""],
    ["local_header_rewrite_clients", ""],
    ["smtputf8_enable", "no"],

    "A mail may be handed over in one piece, commands and all.",
    ["smtpd_forbid_unauth_pipelining", "no"],

    "Receiving: every address of the domain goes to one maildir, nothing is relayed for others.",
    ["smtpd_relay_restrictions", "permit_mynetworks, reject_unauth_destination"],
    ["smtpd_tls_security_level", "may"],
    ["smtpd_tls_chain_files", `${tlsKey}, ${tlsCertificate}`],
    ["mydestination", "localhost"],
    ["local_recipient_maps", ""],
    ["alias_maps", ""],
    ["alias_database", ""],
    ["virtual_mailbox_domains", domain],
    ["virtual_mailbox_base", inboxMaildir.slice(0, inboxMaildir.lastIndexOf("/"))],
    ["virtual_mailbox_maps", `static:${inboxMaildir.slice(inboxMaildir.lastIndexOf("/") + 1)}/`],
    ["virtual_uid_maps", `static:${inboxUser.uid}`],
    ["virtual_gid_maps", `static:${inboxUser.uid}`],
  ]);
}

function settings(lines: readonly (string | readonly [string, string])[]): string {
  return lines
    .map((line) => (typeof line === "string" ? `\n# ${line}\n` : `${`${line[0]} = ${line[1]}`.trimEnd()}\n`))
    .join("");
}

/** `master.cf` (master(5)) with the services that Debian runs, chrooted where Debian chroots them. */
export const postfixMaster = `# service  type  private unpriv chroot wakeup maxproc command
smtp       inet  n - y -     -   smtpd
pickup     unix  n - y 60    1   pickup
cleanup    unix  n - y -     0   cleanup
qmgr       unix  n - n 300   1   qmgr
tlsmgr     unix  - - y 1000? 1   tlsmgr
rewrite    unix  - - y -     -   trivial-rewrite
bounce     unix  - - y -     0   bounce
defer      unix  - - y -     0   bounce
trace      unix  - - y -     0   bounce
verify     unix  - - y -     1   verify
flush      unix  n - y 1000? 0   flush
proxymap   unix  - - n -     -   proxymap
proxywrite unix  - - n -     1   proxymap
smtp       unix  - - y -     -   smtp
relay      unix  - - y -     -   smtp
showq      unix  n - y -     -   showq
error      unix  - - y -     -   error
retry      unix  - - y -     -   error
discard    unix  - - y -     -   discard
local      unix  - n n -     -   local
virtual    unix  - n n -     -   virtual
anvil      unix  - - y -     1   anvil
scache     unix  - - y -     1   scache
postlog    unix-dgram n - n - 1  postlogd
`;
