/** What `fetch` has of an account: its mailbox, opened by its devices' keys. */

import { join } from "node:path";
import { authKeys } from "#core/account/derive.ts";
import type { FetchConfig } from "./config.ts";
import { makeFolder, type Place } from "./logins.ts";

/**
 * Who may do what follows from ownership, so that not even a defect in an allow-list opens a mailbox:
 * - `NAME/` is root's (sshd requires it of a chroot) and its group is the account's own;
 * - `mail/` in it belongs to the account, is sticky and hands its group to new files; others (only `deposit` can get
 *   there, everyone else is locked into another root) may add to it and not list it;
 * - `incoming/` is where a file is written before it gets its name in `mail/`, out of the account's sight;
 * - `account/` is root's, and holds the chain of the account's states for its owner to read.
 *
 * Mail of a removed account stays until its retention ends.
 */
export function fetchPlace({ number, mailFolder }: FetchConfig): Place {
  return {
    has: (entry) => entry.fetch === number,
    keys: ({ status }, standing) => ({ lines: status === "suspended" ? [] : authKeys(standing), until: null }),
    makeFolders: (name, uid) => {
      const home = join(mailFolder, name);
      makeFolder(home, { mode: 0o751, uid: 0, gid: uid });
      makeFolder(join(home, "mail"), { mode: 0o3773, uid, gid: uid });
      makeFolder(join(home, "incoming"), { mode: 0o3703, uid: 0, gid: uid });
      makeFolder(join(home, "account"), { mode: 0o755, uid: 0, gid: 0 });
    },
    chainFile: (name) => join(mailFolder, name, "account/chain"),
    remove: () => {},
  };
}
