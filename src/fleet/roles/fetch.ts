import type { FileSpec, UserSpec } from "#fleet/machine.ts";
import { acceptParts } from "./accept.ts";
import { callers } from "./link.ts";
import { commonFiles, machinesOf, type Role, type RoleView, text } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** Requests of sftp-server(8) that reading and deleting one's own mail, and saying so, takes; all others are refused. */
const readerRequests =
  "open,read,write,fsync,close,lstat,stat,fstat,opendir,readdir,remove,realpath,limits,expand-path";
/** Adding a file that never replaces another: no read, remove, rename or change of attributes. */
const depositRequests = "open,write,fsync,close,hardlink,lstat,limits";
const usageRequests = "open,read,close,lstat,fstat,limits";
/** Writing ledgers: appending to a file that is there, and replacing it by another. */
const mailboxesRequests = "open,read,write,fsync,close,posix-rename,remove,opendir,readdir,lstat,limits";

const mailFolder = "/srv/mail";
const usageFolder = "/srv/usage";

/** Accounts, their folders and their keys are made by shoal-accept, while the machine runs. */
function accept(view: RoleView) {
  const serves = { role: "fetch", number: view.machine.number, mailFolder } as const;
  return acceptParts(view, { serves, owner: "root", ledgerUid: 902, folders: ["/etc", mailFolder] });
}

const systemUsers: UserSpec[] = [
  { name: "deposit", uid: 900, group: "deposit", home: "/", shell: "/usr/sbin/nologin" },
  { name: "usage", uid: 901, group: "usage", home: "/", shell: "/usr/sbin/nologin" },
  { name: "mailboxes", uid: 903, group: "mailboxes", home: "/", shell: "/usr/sbin/nologin" },
];

/**
 * Minutes that a file may lie there before its entry is made, from which the time that it is kept is counted: when the ledger
 * goes away between the two, and for how long.
 */
const mostPendingMinutes = 4 * 24 * 60;
/** An entry's file may go one hour after its end (docs/formats/mailbox-ledger.md, "Pruning"). */
const pruningMinutes = 60;

/** Removes the files in all accounts' folders of that name for which the tests of find(1) hold. */
function remove(folder: "mail" | "incoming", ...tests: string[]): string[] {
  const depth = ["-mindepth", "3", "-maxdepth", "3"];
  return ["find", mailFolder, ...depth, "-type", "f", "-path", `${mailFolder}/*/${folder}/*`, ...tests, "-delete"];
}

/** Bytes of a deletion record with its signature, with room, and how many files of them an account may have. */
const maxRecordBytes = 1_100_000;
const maxRecords = 2000;

/**
 * An account owns its mail folder, so it can make files there, and it may write what it likes into `del/`: neither may use up
 * the disk. Whoever does what no client does is put out as well, since a file that is open takes its room after it was removed.
 */
const foreignScript = `#!/bin/sh
set -eu
cd ${mailFolder}
find . -mindepth 3 -maxdepth 3 -type f '(' -path '*/mail/*' ! -user deposit -o -path '*/del/*' -size +${maxRecordBytes}c ')' \\
  -printf '%U\\n' -delete | sort -u | while read -r id; do
  # Ids of accounts, and nobody else's.
  test "$id" -ge 20000 && test "$id" -lt 60000 || continue
  # It fails where nobody is.
  chpst -u ":$id:$id" sh -c 'kill -KILL -1' 2> /dev/null || true
done
find . -mindepth 3 -maxdepth 3 -type f -path '*/del/*' -printf '%h\\n' | uniq -c | while read -r count folder; do
  test "$count" -le ${maxRecords} && continue
  # The oldest stay: they are those that count.
  find "$folder" -type f -printf '%T@ %p\\0' | sort -zn | tail -zn +${maxRecords + 1} | cut -zd ' ' -f 2- | xargs -0 rm -f --
done
`;

/** Sizes of all mailboxes for quota checks, in the format of docs/formats/recipients.md. */
const usageScript = `#!/bin/sh
# Adds up each mailbox, deletion records included; written beside and renamed, so a reader never sees half of it.
set -eu
cd ${mailFolder}
{
  echo shoal-usage/v1
  echo "time $(date +%s)"
  find . -mindepth 3 -maxdepth 3 -type f '(' -path '*/mail/*' -o -path '*/del/*' ')' -printf '%h %s\\n' |
    awk '{ split($1, part, "/"); sum[part[2]] += $2 } END { for (name in sum) printf "%s %d\\n", name, sum[name] }' | LC_ALL=C sort
} > ${usageFolder}/.usage
chmod 0644 ${usageFolder}/.usage
mv ${usageFolder}/.usage ${usageFolder}/usage
`;

function files(view: RoleView): FileSpec[] {
  const inMachines = machinesOf(view, "in");
  const { login, files: acceptFiles } = accept(view);
  const config = sshdConfig(
    [
      login,
      {
        user: "deposit",
        lines: [`ChrootDirectory ${mailFolder}`, `ForceCommand internal-sftp -u 0333 -p ${depositRequests}`],
      },
      {
        user: "mailboxes",
        lines: [`ChrootDirectory ${mailFolder}`, `ForceCommand internal-sftp -u 0027 -p ${mailboxesRequests}`],
      },
      { user: "usage", lines: [`ChrootDirectory ${usageFolder}`, `ForceCommand internal-sftp -R -p ${usageRequests}`] },
      {
        user: "*",
        lines: [`ChrootDirectory ${mailFolder}/%u`, `ForceCommand internal-sftp -u 0377 -p ${readerRequests}`],
      },
    ],
    [...inMachines, ...machinesOf(view, "ledger")].map(({ address }) => address),
  );
  return [
    ...commonFiles(view),
    ...sshdFiles(config, view.machine.name),
    text("/usr/lib/shoal/count-usage", usageScript, 0o755),
    text("/usr/lib/shoal/remove-foreign", foreignScript, 0o755),
    authorizedKeys("deposit", callers(view, inMachines)),
    authorizedKeys("usage", callers(view, inMachines)),
    authorizedKeys("mailboxes", callers(view, machinesOf(view, "ledger"))),
    ...acceptFiles,
  ];
}

/** Holds sealed mail and hands it to its owners: OpenSSH, and nothing of ours between it and them. */
export const fetchRole: Role = {
  name: "fetch",
  does: "sealed mail over SFTP",
  whenTaken: "delete, hide or replay stored files, all of which clients name; never read them",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: ({ machine }) => [{ from: "world", to: machine.name, protocol: "tcp", port: 22 }],
  machine: (view) => ({
    packages: accept(view).packages,
    users: [...systemUsers, ...accept(view).users],
    folders: [
      ...accept(view).folders,
      { path: mailFolder, mode: 0o711, owner: "root", group: "root", keep: true },
      { path: usageFolder, mode: 0o755, owner: "root", group: "root", keep: false },
    ],
    files: files(view),
    services: [accept(view).service, sshdService],
    schedules: [
      { name: "usage", everySeconds: 15, user: "root", command: ["/usr/lib/shoal/count-usage"] },
      {
        name: "retention",
        everySeconds: 3600,
        user: "root",
        command: remove(
          "mail",
          "-mmin",
          `+${view.fleet.retentionDays * 24 * 60 + pruningMinutes + mostPendingMinutes}`,
        ),
      },
      {
        name: "incoming",
        everySeconds: 60,
        user: "root",
        // A finished deposit has its name in mail/, and what its owner removes there is not to stay here; of what has no other
        // name nobody knows whether it was removed or is half a deposit, so it stays while it may be written.
        command: remove("incoming", "(", "-links", "+1", "-o", "-mmin", "+3", ")"),
      },
      { name: "foreign", everySeconds: 20, user: "root", command: ["/usr/lib/shoal/remove-foreign"] },
    ],
  }),
};
