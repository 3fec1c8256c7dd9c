/** SSH connections between machines: a key for each, which opens one thing at the other end. */

import type { FileSpec } from "#fleet/machine.ts";
import { type MachineId, pinnedHosts, type RoleView, type SecretSpec, secret, text } from "./role.ts";

/** Where a user of a machine has its key for another machine. */
export function linkKey(user: string, machine: string): string {
  return `/etc/shoal/${user}/${machine}`;
}

export function linkHosts(user: string): string {
  return `/etc/shoal/${user}/known_hosts`;
}

/** What a user needs to reach machines: its own key for each, and their pinned host keys. */
export function linkFiles(view: RoleView, user: string, to: readonly MachineId[]): FileSpec[] {
  return [
    text(linkHosts(user), pinnedHosts(view, to)),
    ...to.map(({ name }) => secret(linkKey(user, name), `link/${view.machine.name}/${name}`, user)),
  ];
}

export function linkSecrets(view: RoleView, to: readonly MachineId[]): SecretSpec[] {
  return to.map(({ name, hostname }) => ({ name: `link/${view.machine.name}/${name}`, kind: "ssh-ed25519", hostname }));
}

/** `authorized_keys` lines that let the given machines in here. */
export function callers(view: RoleView, from: readonly MachineId[], options = "restrict"): string[] {
  return from.map(({ name }) => {
    const key = view.keys.publicKeys.get(`link/${name}/${view.machine.name}`);
    if (key === undefined) throw new TypeError(`no key for the link from "${name}"`);
    return `${options} ${key}`;
  });
}
