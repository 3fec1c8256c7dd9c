import type { Account } from "#fleet/definition/definition.ts";
import type { FileSpec, FolderSpec, UserSpec } from "#fleet/machine.ts";
import { commonFiles, machinesOf, publicKey, type Role, type RoleView, text } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** Requests of sftp-server(8) that reading and deleting one's own mail takes; all others are refused. */
const readerRequests = "open,read,close,lstat,stat,fstat,opendir,readdir,remove,realpath,limits,expand-path";
/** Adding a file that never replaces another: no read, remove, rename or change of attributes. */
const depositRequests = "open,write,fsync,close,hardlink,lstat,limits";
const usageRequests = "open,read,close,lstat,fstat,limits";

const mailFolder = "/srv/mail";
const usageFolder = "/srv/usage";

/**
 * Who may do what follows from ownership, so that not even a defect in an allow-list opens a mailbox:
 * - `/srv/mail/ACCOUNT` is root's (sshd requires it of a chroot) and its group is the account's own;
 * - `mail/` in it belongs to the account, is sticky and hands its group to new files; others (only `deposit` can get
 *   there, everyone else is locked into another root) may add to it and not list it;
 * - `incoming/` is where a file is written before it gets its name in `mail/`, out of the account's sight;
 * - a deposited file has mode 0440, so that nobody can write it again; the account reads it through its group and deletes
 *   it as owner of the sticky folder. Its owner `deposit` is kept from reading by its allow-list alone: without the owner's
 *   read bit, which sftp(1) copies, a user of plain `sftp` could not read the file that they fetched.
 */
function mailboxFolders({ name }: Account): FolderSpec[] {
  return [
    { path: `${mailFolder}/${name}`, mode: 0o751, owner: "root", group: name, keep: true },
    { path: `${mailFolder}/${name}/mail`, mode: 0o3773, owner: name, group: name, keep: true },
    { path: `${mailFolder}/${name}/incoming`, mode: 0o3703, owner: "root", group: name, keep: true },
  ];
}

function accountsHere({ fleet, machine }: RoleView): Account[] {
  return fleet.accounts.filter((account) => account.fetch === machine.number);
}

function user(view: RoleView, account: Account): UserSpec {
  const uid = view.keys.userIds.get(account.name);
  if (uid === undefined) throw new TypeError(`no user id for account "${account.name}"`);
  return { name: account.name, uid, group: account.name, home: "/", shell: "/usr/sbin/nologin" };
}

const systemUsers: UserSpec[] = [
  { name: "deposit", uid: 900, group: "deposit", home: "/", shell: "/usr/sbin/nologin" },
  { name: "usage", uid: 901, group: "usage", home: "/", shell: "/usr/sbin/nologin" },
];

/** Removes the files in all accounts' folders of that name for which the tests of find(1) hold. */
function remove(folder: "mail" | "incoming", ...tests: string[]): string[] {
  const depth = ["-mindepth", "3", "-maxdepth", "3"];
  return ["find", mailFolder, ...depth, "-type", "f", "-path", `${mailFolder}/*/${folder}/*`, ...tests, "-delete"];
}

/** Sizes of all mailboxes for quota checks, in the format of docs/formats/recipients.md. */
const usageScript = `#!/bin/sh
# Adds up each mailbox; written beside and renamed, so a reader never sees half of it.
set -eu
cd ${mailFolder}
{
  echo shoal-usage/v1
  echo "time $(date +%s)"
  find . -mindepth 3 -maxdepth 3 -type f -path '*/mail/*' -printf '%h %s\\n' |
    awk '{ split($1, part, "/"); sum[part[2]] += $2 } END { for (name in sum) printf "%s %d\\n", name, sum[name] }' | LC_ALL=C sort
} > ${usageFolder}/.usage
chmod 0644 ${usageFolder}/.usage
mv ${usageFolder}/.usage ${usageFolder}/usage
`;

function files(view: RoleView): FileSpec[] {
  const accounts = accountsHere(view);
  const depositors = machinesOf(view, "in").map(
    ({ name }) => `restrict ${publicKey(view, `link/${name}/${view.machine.name}`)}`,
  );
  const config = sshdConfig(
    [
      {
        user: "deposit",
        lines: [`ChrootDirectory ${mailFolder}`, `ForceCommand internal-sftp -u 0337 -p ${depositRequests}`],
      },
      { user: "usage", lines: [`ChrootDirectory ${usageFolder}`, `ForceCommand internal-sftp -R -p ${usageRequests}`] },
      {
        user: "*",
        lines: [`ChrootDirectory ${mailFolder}/%u`, `ForceCommand internal-sftp -u 0777 -p ${readerRequests}`],
      },
    ],
    machinesOf(view, "in").map(({ address }) => address),
  );
  return [
    ...commonFiles(view),
    ...sshdFiles(config, view.machine.name),
    text("/usr/lib/shoal/count-usage", usageScript, 0o755),
    authorizedKeys("deposit", depositors),
    authorizedKeys("usage", depositors),
    ...accounts.map((account) =>
      authorizedKeys(
        account.name,
        account.auth.map((key) => `restrict ${key}`),
      ),
    ),
  ];
}

/** Holds sealed mail and hands it to its owners: OpenSSH and nothing of ours. */
export const fetchRole: Role = {
  name: "fetch",
  does: "sealed mail over SFTP",
  whenTaken: "delete, hide or replay stored files; never read them",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: ({ machine }) => [{ from: "world", to: machine.name, protocol: "tcp", port: 22 }],
  machine: (view) => ({
    packages: ["ssh-server"],
    users: [...systemUsers, ...accountsHere(view).map((account) => user(view, account))],
    folders: [
      { path: mailFolder, mode: 0o711, owner: "root", group: "root", keep: true },
      ...accountsHere(view).flatMap(mailboxFolders),
      { path: usageFolder, mode: 0o755, owner: "root", group: "root", keep: false },
    ],
    files: files(view),
    services: [sshdService],
    schedules: [
      { name: "usage", everySeconds: 15, user: "root", command: ["/usr/lib/shoal/count-usage"] },
      {
        name: "retention",
        everySeconds: 3600,
        user: "root",
        command: remove("mail", "-mmin", `+${view.fleet.retentionDays * 24 * 60}`),
      },
      {
        name: "incoming",
        everySeconds: 60,
        user: "root",
        // What is left there is half a deposit, or a second name of a finished one.
        command: remove("incoming", "-mmin", "+10"),
      },
      {
        name: "foreign",
        everySeconds: 60,
        user: "root",
        // An account owns its mail folder, so it can make empty files there: they would use up the disk's inodes.
        command: remove("mail", "!", "-user", "deposit"),
      },
    ],
  }),
};
