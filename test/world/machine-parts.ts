/** What the machines of the test internet have in common. */

import type { FileSpec, ServiceSpec, UserSpec } from "#fleet/machine.ts";

export function textFile(path: string, text: string, mode = 0o644, owner = "root", group = owner): FileSpec {
  return { path, mode, owner, group, content: { text } };
}

/** Files by which a machine asks the world's name server, knows its own name, and knows no other. */
export function nameFiles(nameServer: string, hostname: string, address: string): FileSpec[] {
  const short = hostname.split(".", 1)[0] ?? hostname;
  return [
    textFile("/etc/hosts", `127.0.0.1 localhost\n${address} ${hostname} ${short}\n`),
    textFile("/etc/resolv.conf", `nameserver ${nameServer}\noptions timeout:2 attempts:3\n`),
    textFile("/etc/mailname", `${hostname}\n`),
  ];
}

/** The account that owns what a stranger's mail server delivers. */
export const inboxUser: UserSpec = {
  name: "inbox",
  uid: 5000,
  group: "inbox",
  home: "/var/mail/inbox",
  shell: "/usr/sbin/nologin",
};

/** Maildir that takes every address of a stranger's domain. */
export const inboxMaildir = "/var/mail/inbox/Maildir";

const tlsFolder = "/etc/mail-tls";
export const tlsKey = `${tlsFolder}/key.pem`;
export const tlsCertificate = `${tlsFolder}/certificate.pem`;

/** Makes a key and a self-signed certificate, as most mail servers have them, before the first start. */
export function selfSignedBefore(hostname: string, keyGroup: string): NonNullable<ServiceSpec["before"]> {
  const make = [
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -batch -quiet",
    `-subj /CN=${hostname} -addext subjectAltName=DNS:${hostname}`,
    `-keyout ${tlsKey} -out ${tlsCertificate}`,
  ].join(" ");
  return [
    ["sh", "-c", `test -s ${tlsCertificate} || { mkdir -p ${tlsFolder} && ${make}; }`],
    ["chgrp", keyGroup, tlsKey],
    ["chmod", "640", tlsKey],
  ];
}
