/** A name server on the machine itself that validates DNSSEC, for programs that must believe what they are told. */

import type { FileSpec, LinkSpec, ServiceSpec } from "#fleet/machine.ts";
import { isTestWorld, type RoleView, text } from "./role.ts";

const configFile = "/etc/unbound/shoal.conf";

/** It asks on 127.0.0.1, port 53. */
export const ownResolver = { address: "127.0.0.1", port: 53 } as const;

/**
 * unbound.conf(5): forwards to the fleet's resolver and validates what that says from the root's key on. Nothing in a test world
 * is signed; there it takes everything as unsigned.
 */
export function resolverFiles(view: RoleView): FileSpec[] {
  const names = isTestWorld(view.fleet)
    ? // Reverse names of private addresses, which it would else answer by itself.
      ["  unblock-lan-zones: yes", "  insecure-lan-zones: yes"]
    : ["  trust-anchor-file: /usr/share/dns/root.key"];
  const lines = [
    "server:",
    `  interface: ${ownResolver.address}`,
    "  access-control: 127.0.0.0/8 allow",
    "  do-ip6: no",
    "  num-threads: 1",
    "  do-daemonize: no",
    "  use-syslog: no",
    '  logfile: ""',
    '  pidfile: ""',
    '  username: ""',
    '  chroot: ""',
    '  directory: "/"',
    "  use-caps-for-id: no",
    "  edns-buffer-size: 1232",
    "  hide-identity: yes",
    "  hide-version: yes",
    '  module-config: "validator iterator"',
    ...names,
    "remote-control:",
    "  control-enable: no",
    "forward-zone:",
    '  name: "."',
    `  forward-addr: ${view.fleet.resolver}`,
  ];
  return [text(configFile, `${lines.join("\n")}\n`)];
}

export const resolverService: ServiceSpec = {
  name: "resolver",
  user: "unbound",
  listens: ownResolver.port,
  command: ["/usr/sbin/unbound", "-d", "-p", "-c", configFile],
};

/** What it asks. */
export function resolverLinks({ fleet, machine }: RoleView): LinkSpec[] {
  return (["udp", "tcp"] as const).map((protocol) => ({ from: machine.name, to: fleet.resolver, protocol, port: 53 }));
}
