/** A stranger's mail server that runs Exim 4. */

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
import type { StrangerOptions } from "#test/world/postfix.ts";

export const eximLog = "/var/log/exim4/mainlog";

export function eximMachine(options: StrangerOptions): MachineSpec {
  const { name, hostname, address, nameServer } = options;
  return {
    name,
    role: "world-exim",
    hostname,
    address,
    packages: ["exim"],
    users: [inboxUser],
    folders: [{ path: inboxUser.home, mode: 0o755, owner: inboxUser.name, group: inboxUser.group, keep: false }],
    files: [
      ...nameFiles(nameServer, hostname, address),
      // The package looks here before it looks for what its own configuration tool makes.
      textFile("/etc/exim4/exim4.conf", eximConfig(options)),
    ],
    services: [
      {
        name: "exim",
        user: "root",
        before: selfSignedBefore(hostname, "Debian-exim"),
        // Stays in the foreground and runs the queue every two seconds.
        command: ["exim4", "-bdf", "-q2s"],
        listens: 25,
      },
    ],
    schedules: [],
  };
}

/** Exim's run-time configuration (spec.txt, chapters 6 and 14). */
export function eximConfig({ domain, hostname }: StrangerOptions): string {
  return `primary_hostname = ${hostname}
qualify_domain = ${domain}
domainlist local_domains = ${domain}
acl_smtp_rcpt = check_recipient
acl_smtp_data = take_it
disable_ipv6 = true
log_file_path = /var/log/exim4/%slog
log_selector = +smtp_confirmation +tls_cipher -queue_run
keep_environment =
tls_advertise_hosts = *
tls_certificate = ${tlsCertificate}
tls_privatekey = ${tlsKey}

# A mail may be handed over in one piece, commands and all.
smtp_enforce_sync = false
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
recipients_max = 1000

# Mail passes as it is: nothing is cut or mended, so that what arrives can be compared.
message_size_limit = 100M
header_maxsize = 64M
header_line_maxsize = 0
return_path_remove = false
envelope_to_remove = false
delivery_date_remove = false
smtputf8_advertise_hosts =

begin acl
check_recipient:
  accept hosts = 127.0.0.0/8
  accept domains = +local_domains
  deny message = relay not permitted
take_it:
  accept

begin routers
inbox:
  driver = accept
  domains = +local_domains
  transport = inbox
world:
  driver = dnslookup
  transport = world
  no_more

begin transports
inbox:
  driver = appendfile
  directory = ${inboxMaildir}
  maildir_format
  user = ${inboxUser.name}
  group = ${inboxUser.group}
  envelope_to_add
  return_path_add
world:
  driver = smtp
  message_linelength_limit = 1G
  hosts_try_dane =
  connect_timeout = 5s
  # A server that was killed while the link was cut has sent its reset once.
  command_timeout = 60s
  data_timeout = 60s
  final_timeout = 120s

# Retries come within seconds, so that nobody waits for them.
begin retry
* * F,1h,2s
`;
}
