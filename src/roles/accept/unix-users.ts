/** The machine's own account files with the accounts of the directory in them (passwd(5), group(5), shadow(5)). */

/** User id, and group id, of the account that was added first; an ordinal is added to it. */
export const FIRST_UID = 20_000;
/** The first that is not an account's. */
const END_UID = 60_000;

export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
  readonly shadow: string;
}

export interface UnixUser {
  readonly name: string;
  readonly uid: number;
}

function isOurs(id: string | undefined): boolean {
  return id !== undefined && /^[0-9]+$/.test(id) && Number(id) >= FIRST_UID && Number(id) < END_UID;
}

/** Names of users and groups that are not accounts: no account may be made with one of these. */
export function systemNames({ passwd, group }: Pick<UserFiles, "group" | "passwd">): Set<string> {
  const names = new Set<string>();
  for (const line of [...linesOf(passwd), ...linesOf(group)]) {
    const [name = "", , id] = line.split(":");
    if (!isOurs(id)) names.add(name);
  }
  return names;
}

/**
 * The files with exactly these accounts, and everything that is not an account's as it was. No account gets a password:
 * `*` can't match any hash and, unlike `!`, lets sshd accept a key.
 * @param shell by which sshd runs a forced command; sshd's own SFTP server needs none
 * @param gid of the group that they share; default: each has its own
 */
export function withAccounts(
  files: UserFiles,
  users: readonly UnixUser[],
  shell = "/usr/sbin/nologin",
  gid?: number,
): UserFiles {
  const system = systemNames(files);
  const kept = (text: string): string[] => linesOf(text).filter((line) => !isOurs(line.split(":")[2]));
  return {
    passwd: joined(
      kept(files.passwd),
      users.map(({ name, uid }) => `${name}:x:${uid}:${gid ?? uid}::/:${shell}`),
    ),
    group: joined(
      kept(files.group),
      users.map(({ name, uid }) => `${name}:x:${uid}:`),
    ),
    shadow: joined(
      linesOf(files.shadow).filter((line) => system.has(line.split(":")[0] ?? "")),
      users.map(({ name }) => `${name}:*:20000:0:99999:7:::`),
    ),
  };
}

/** Names and ids of the accounts that are users already. */
export function accountUsers({ passwd }: Pick<UserFiles, "passwd">): Map<string, number> {
  const fields = linesOf(passwd).map((line) => line.split(":"));
  return new Map(fields.filter(([, , id]) => isOurs(id)).map(([name = "", , id]) => [name, Number(id)]));
}

/** Id of a user; undefined for none. */
export function uidOf({ passwd }: Pick<UserFiles, "passwd">, user: string): number | undefined {
  const line = linesOf(passwd).find((text) => text.startsWith(`${user}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function joined(system: readonly string[], accounts: readonly string[]): string {
  return [...system, ...accounts].map((line) => `${line}\n`).join("");
}
