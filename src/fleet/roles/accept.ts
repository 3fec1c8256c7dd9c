/**
 * `shoal-accept`, which keys, fetch and in have in common: it takes directory records and account states from the ledger,
 * verifies each by itself and makes the machine's files of them.
 */

import type { FileSpec, FolderSpec, ServiceSpec, UserSpec } from "#fleet/machine.ts";
import type { AcceptConfigInput } from "#roles/accept/config.ts";
import { callers } from "./link.ts";
import { json, mayRead, mayWrite, node, program } from "./node-program.ts";
import { machinesOf, type RoleView } from "./role.ts";
import { authorizedKeys, type SshdAccount } from "./sshd.ts";

/** What the service and the operator's commands on the machine read. */
export const acceptConfig = "/etc/shoal/accept.json";
const store = "/var/lib/shoal/accounts";
const runFolder = "/run/accept";
/** Only the user `ledger` gets to the socket; the folder above it is for everybody. */
const socketFolder = `${runFolder}/feed`;
const socket = `${socketFolder}/socket`;

/** Where `in` finds whom mail can come for. */
export const recipientsFile = `${runFolder}/recipients`;

export interface AcceptOptions {
  serves: AcceptConfigInput["serves"];
  /** Root where it makes users and their folders. */
  owner: "root" | "shoal-accept";
  /** User id of `ledger`, which the ledger logs in as. */
  ledgerUid: number;
  /** Folders that it works in, besides its own. */
  folders: readonly string[];
}

export interface AcceptParts {
  packages: readonly string[];
  users: readonly UserSpec[];
  folders: readonly FolderSpec[];
  files: readonly FileSpec[];
  service: ServiceSpec;
  /** What the user `ledger` may do: talk to the socket. */
  login: SshdAccount;
}

export function acceptParts(view: RoleView, { serves, owner, ledgerUid, folders }: AcceptOptions): AcceptParts {
  const { domain, directory } = view.fleet;
  const value: AcceptConfigInput = { domain, directory, store: `${store}/accounts.db`, socket, serves };
  const readsAccounts = owner === "root" ? mayRead("/proc") : [];
  return {
    packages: ["ssh-server", "netcat", "node"],
    users: [
      // sshd hands the forced command to the user's shell.
      { name: "ledger", uid: ledgerUid, group: "ledger", home: "/", shell: "/bin/sh" },
    ],
    folders: [
      { path: "/var/lib/shoal", mode: 0o755, owner: "root", group: "root", keep: false },
      { path: store, mode: 0o700, owner, group: owner, keep: true },
    ],
    files: [
      json(acceptConfig, value),
      program("shoal-accept"),
      authorizedKeys("ledger", callers(view, machinesOf(view, "ledger"))),
    ],
    service: {
      name: "accept",
      user: owner,
      listens: socket,
      before: [
        ["install", "-d", "-o", owner, "-m", "755", runFolder],
        ["install", "-d", "-o", owner, "-g", "ledger", "-m", "710", socketFolder],
      ],
      command: node(
        "shoal-accept",
        ["serve", acceptConfig],
        [...mayWrite(store, runFolder, ...folders), ...readsAccounts, "--allow-net"],
      ),
    },
    login: { user: "ledger", lines: [forcedSocket(socket)] },
  };
}

/** The session becomes a connection to a socket, and nothing else. */
export function forcedSocket(path: string): string {
  return `ForceCommand /usr/bin/nc -N -U ${path}`;
}
