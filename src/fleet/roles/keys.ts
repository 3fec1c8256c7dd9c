import type { UserSpec } from "#fleet/machine.ts";
import type { KeysConfigInput } from "#roles/keys/config.ts";
import { acceptParts, forcedSocket } from "./accept.ts";
import { callers } from "./link.ts";
import { json, mayWrite, node, program } from "./node-program.ts";
import { commonFiles, machinesOf, type Role, type RoleView } from "./role.ts";
import { authorizedKeys, sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** Requests of sftp-server(8) that writing into an existing file, reading and listing take; all others are refused. */
const ownerRequests = "open,read,write,close,lstat,stat,fstat,opendir,readdir,realpath,limits,expand-path";
/** Largest file that a session can write, with room for the largest signed state. */
const maxFileBytes = 262_144;

const folder = "/srv/keys";
const runFolder = "/run/keys";
const socket = `${runFolder}/socket`;

const users: UserSpec[] = [
  { name: "shoal-keys", uid: 900, group: "shoal-keys", home: "/nonexistent", shell: "/usr/sbin/nologin" },
  { name: "proposals", uid: 902, group: "proposals", home: "/", shell: "/bin/sh" },
];

function accept(view: RoleView) {
  const serves = { role: "keys", folder } as const;
  return acceptParts(view, { serves, owner: "root", ledgerUid: 901, folders: ["/etc", folder] });
}

function files(view: RoleView) {
  const ledgers = machinesOf(view, "ledger");
  const { login, files: acceptFiles } = accept(view);
  const config = sshdConfig(
    [
      login,
      { user: "proposals", lines: [forcedSocket(socket)] },
      { user: "*", lines: [`ChrootDirectory ${folder}/%u`, `ForceCommand internal-sftp -p ${ownerRequests}`] },
    ],
    ledgers.map(({ address }) => address),
  );
  const value: KeysConfigInput = { folder, socket };
  return [
    ...commonFiles(view),
    ...sshdFiles(config, view.machine.name),
    authorizedKeys("proposals", callers(view, ledgers)),
    ...acceptFiles,
    json("/etc/shoal/keys.json", value),
    program("shoal-keys"),
  ];
}

/**
 * Takes account states from their owners, who log in with master and recovery keys only, and hands them to the ledger
 * when it comes for them. Who may do what follows from ownership: an owner's folder is root's, and the one file in it
 * that the owner can write exists already.
 */
export const keysRole: Role = {
  name: "keys",
  does: "users upload signed account states",
  whenTaken: "refuse or delay key changes; never invent one",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: ({ machine }) => [{ from: "world", to: machine.name, protocol: "tcp", port: 22 }],
  machine: (view) => {
    const { packages, users: acceptUsers, folders, service } = accept(view);
    return {
      packages,
      users: [...users, ...acceptUsers],
      folders: [...folders, { path: folder, mode: 0o755, owner: "root", group: "root", keep: true }],
      files: files(view),
      services: [
        service,
        {
          name: "keys",
          user: "shoal-keys",
          listens: socket,
          before: [["install", "-d", "-o", "shoal-keys", "-g", "proposals", "-m", "710", runFolder]],
          command: node(
            "shoal-keys",
            ["serve", "/etc/shoal/keys.json"],
            [...mayWrite(folder, runFolder), "--allow-net"],
          ),
        },
        { ...sshdService, command: ["/usr/bin/prlimit", `--fsize=${maxFileBytes}`, ...sshdService.command] },
      ],
      schedules: [],
    };
  },
};
