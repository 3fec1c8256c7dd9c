/** What `fetch` has of an account: its mailbox, opened by its devices' keys. */

import { join } from "node:path";
import { authKeys } from "#core/account/derive.ts";
import { PolicyError } from "#core/errors.ts";
import type { FetchConfig } from "./config.ts";
import { makeFolder, type Place, readUserFiles } from "./logins.ts";
import { uidOf } from "./unix-users.ts";

/**
 * Who may do what follows from ownership, so that not even a defect in an allow-list opens a mailbox:
 * - `NAME/` is root's (sshd requires it of a chroot) and its group is the account's own;
 * - `mail/` in it belongs to the account, which may read and remove what is there, and `deposit` may add to it and not list it; it
 *   is sticky, so that `deposit` removes nothing;
 * - `incoming/` is where `deposit` writes a file before it gets its name in `mail/`, out of the account's sight;
 * - `ledger/` is written by `mailboxes` alone, and hands the account's group to new files, so that the account may read them;
 * - `del/` is the account's own, for its deletion records;
 * - `account/` is root's, and holds the chain of the account's states for its owner to read.
 *
 * Mail of a removed account stays until its retention ends.
 * @throws PolicyError USAGE when a user of a link is missing
 */
export function fetchPlace({ number, mailFolder, depositUser, mailboxesUser }: FetchConfig, etc: string): Place {
  const [deposit, mailboxes] = [idOf(depositUser, etc), idOf(mailboxesUser, etc)];
  return {
    has: (entry) => entry.fetch === number,
    keys: ({ status }, standing) => ({ lines: status === "suspended" ? [] : authKeys(standing), until: null }),
    makeFolders: (name, uid) => {
      const home = join(mailFolder, name);
      makeFolder(home, { mode: 0o751, uid: 0, gid: uid });
      makeFolder(join(home, "mail"), { mode: 0o1730, uid, gid: deposit });
      makeFolder(join(home, "incoming"), { mode: 0o1730, uid: 0, gid: deposit });
      makeFolder(join(home, "ledger"), { mode: 0o2750, uid: mailboxes, gid: uid });
      makeFolder(join(home, "del"), { mode: 0o700, uid, gid: uid });
      makeFolder(join(home, "account"), { mode: 0o755, uid: 0, gid: 0 });
    },
    chainFile: (name) => join(mailFolder, name, "account/chain"),
    remove: () => {},
  };
}

/** Id of a user and of its group, which are the same. */
function idOf(user: string, etc: string): number {
  const id = uidOf(readUserFiles(etc), user);
  if (id === undefined) throw new PolicyError("USAGE", `there is no user "${user}"`);
  return id;
}
