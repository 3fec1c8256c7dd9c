/** A role: one machine with one job and no more power. What a machine of it needs is a pure function of the fleet. */

import type { Fleet } from "#fleet/definition/definition.ts";
import type { FileSpec, LinkSpec, MachineSpec } from "#fleet/machine.ts";

export type RoleName = keyof Fleet["roles"];

/** One machine of the fleet before it is rendered. */
export interface MachineId {
  /** `SITE-ROLE`, from the second on `SITE-ROLE-N`. */
  name: string;
  role: RoleName;
  site: string;
  /** 1-based. */
  number: number;
  hostname: string;
  address: string;
  /** Of roles that have one. */
  secondAddress?: string;
}

/** Public halves of what bring-up made. */
export interface FleetKeys {
  /** Secret name (`host/MACHINE`, `link/FROM/TO`) -> public key line "type base64". */
  publicKeys: ReadonlyMap<string, string>;
  /** Which of the keys that sign mail are in use (`src/fleet/dkim.ts`). */
  dkimGeneration: number;
}

/** What a role sees when it is rendered for one machine. */
export interface RoleView {
  fleet: Fleet;
  keys: FleetKeys;
  machine: MachineId;
  /** All machines of the machine's site. */
  site: readonly MachineId[];
}

/**
 * What bring-up makes and only the machines that name it get: a private key with its public half or certificate, 32 random
 * bytes, or a line of 32 random characters (192 bits). RSA keys have 2048 bits: receivers of mail needn't take more (RFC 8301).
 */
export interface SecretSpec {
  name: string;
  kind: "ssh-ed25519" | "ssh-rsa" | "tls" | "random-bytes" | "random-text";
  /** Host name of a certificate. */
  hostname: string;
}

export interface Role {
  name: RoleName;
  /** One line each for people: the trust table is printed from these. */
  does: string;
  whenTaken: string;
  /** Whether its machines have two addresses, which the world sees connections come from. */
  readonly hasSecondAddress?: boolean;
  machine(view: RoleView): Omit<MachineSpec, "name" | "role" | "hostname" | "address" | "secondAddress">;
  links(view: RoleView): LinkSpec[];
  secrets(view: RoleView): SecretSpec[];
}

export function machinesOf(view: RoleView, role: RoleName): MachineId[] {
  return view.site.filter((machine) => machine.role === role);
}

/** @throws TypeError when bring-up has not made the key: a defect, not bad input */
export function publicKey(view: RoleView, secret: string): string {
  const key = view.keys.publicKeys.get(secret);
  if (key === undefined) throw new TypeError(`no public key for "${secret}"`);
  return key;
}

export function text(path: string, content: string, mode = 0o644, owner = "root", group = owner): FileSpec {
  return { path, mode, owner, group, content: { text: content } };
}

export function secret(path: string, name: string, owner: string): FileSpec {
  return { path, mode: 0o400, owner, group: owner === "root" ? "root" : owner, content: { secret: name } };
}

/** Whether the world is a network namespace of this host, which has private addresses and no signed names. */
export function isTestWorld({ uplink }: Fleet): boolean {
  return uplink.kind === "netns";
}

/** Every machine: who the others are, and whom to ask for names. */
export function commonFiles(view: RoleView, nameServer = view.fleet.resolver): FileSpec[] {
  // smtpd looks up the machine's short name before it listens: with no name server that would take it half a minute.
  const hosts = view.site.map(
    ({ address, hostname, name }) => `${address} ${hostname} ${name} ${hostname.split(".", 1)[0]}\n`,
  );
  return [
    text("/etc/hosts", `127.0.0.1 localhost\n${hosts.join("")}`),
    text("/etc/resolv.conf", `nameserver ${nameServer}\noptions timeout:2 attempts:2\n`),
  ];
}

/** Lines of known_hosts(5) that pin the given machines, by name and address. */
export function pinnedHosts(view: RoleView, machines: readonly MachineId[]): string {
  return machines
    .map(({ name, hostname, address }) => `${hostname},${address} ${publicKey(view, `host/${name}`)}\n`)
    .join("");
}
