/** The peer of mail out: the same OpenSMTPD, taking submissions as everybody does, with passwords over TLS. */

import type { MachineSpec } from "#fleet/machine.ts";
import { nameFiles, selfSignedBefore, textFile, tlsCertificate, tlsKey } from "#test/world/machine-parts.ts";

export const submissionHost = "submission.world.example";
export const submissionPassword = "a password of usual length";

/**
 * The password is hashed by the quickest way in use (SHA-512 of crypt(3)): what `smtpctl encrypt` makes takes smtpd most of a second
 * for each login. smtpd's queue is as Debian has it; mail
 * leaves over TLS where it is offered.
 */
export function submissionMachine({ address, nameServer }: { address: string; nameServer: string }): MachineSpec {
  const makeUsers = `printf 'alice %s\\n' "$(openssl passwd -6 '${submissionPassword}')" > /etc/submission-users`;
  const config = [
    `pki own cert "${tlsCertificate}"`,
    `pki own key "${tlsKey}"`,
    "table users file:/etc/submission-users",
    `listen on ${address} port 465 smtps pki own auth <users> hostname ${submissionHost} mask-src`,
    `action "out" relay helo ${submissionHost}`,
    'match auth from any for any action "out"',
    "",
  ];
  return {
    name: "submission",
    role: "world-submission",
    hostname: submissionHost,
    address,
    packages: ["smtp-server", "openssl"],
    users: [],
    folders: [{ path: "/var/spool/smtpd", mode: 0o711, owner: "root", group: "root", keep: true }],
    files: [...nameFiles(nameServer, submissionHost, address), textFile("/etc/smtpd.conf", config.join("\n"))],
    services: [
      {
        name: "smtpd",
        user: "root",
        listens: 465,
        before: [...selfSignedBefore(submissionHost, "root"), ["chmod", "600", tlsKey], ["sh", "-ec", makeUsers]],
        command: ["/usr/sbin/smtpd", "-d"],
      },
    ],
    schedules: [],
  };
}
