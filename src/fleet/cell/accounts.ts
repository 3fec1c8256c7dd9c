/** The machine's own account files: what the image's packages made, and the role's users after them. Pure. */

import type { UserSpec } from "#fleet/machine.ts";

export interface AccountFiles {
  passwd: string;
  group: string;
  shadow: string;
}

/** Ids by name, as files and folders of the machine name their owners. */
export interface Ids {
  users: Map<string, number>;
  groups: Map<string, number>;
}

/**
 * Adds users to the image's files (formats: passwd(5), group(5), shadow(5)). No account gets a password: `*` can't match
 * any hash and, unlike `!`, lets sshd accept a key.
 */
export function addUsers(base: AccountFiles, users: readonly UserSpec[]): AccountFiles {
  const groups = new Set(base.group.split("\n").map((line) => line.split(":")[0]));
  const passwd: string[] = [];
  const group: string[] = [];
  const shadow: string[] = [];
  const { groups: ids } = idsOf(base);
  for (const user of users) {
    if (!groups.has(user.group)) {
      groups.add(user.group);
      ids.set(user.group, user.uid);
      group.push(`${user.group}:x:${user.uid}:\n`);
    }
    passwd.push(`${user.name}:x:${user.uid}:${ids.get(user.group)}::${user.home}:${user.shell}\n`);
    shadow.push(`${user.name}:*:20000:0:99999:7:::\n`);
  }
  return {
    passwd: base.passwd + passwd.join(""),
    group: base.group + group.join(""),
    shadow: base.shadow + shadow.join(""),
  };
}

export function idsOf(files: Pick<AccountFiles, "passwd" | "group">): Ids {
  return { users: idColumn(files.passwd), groups: idColumn(files.group) };
}

function idColumn(text: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name, , id] = line.split(":");
    if (name !== undefined && name !== "" && id !== undefined) ids.set(name, Number(id));
  }
  return ids;
}
