/** What `keys` has of an account: a file to hand in states with, opened by its masters and recovery keys. */

import { chmodSync, chownSync, lstatSync, readdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nextGraceEnd, ownerKeys } from "#core/account/derive.ts";
import { PolicyError } from "#core/errors.ts";
import type { KeysConfig } from "./config.ts";
import { makeFolder, type Place, readUserFiles } from "./logins.ts";
import { uidOf } from "./unix-users.ts";

/**
 * `NAME/` is root's, and all that its owner can write is the one file `proposal`, which is there already and is never
 * replaced. `answer/` is shoal-keys' own, to answer in.
 * @throws PolicyError USAGE when the user of shoal-keys is missing
 */
export function keysPlace({ folder, user }: KeysConfig, etc: string, log: (text: string) => void): Place {
  const judge = uidOf(readUserFiles(etc), user);
  if (judge === undefined) throw new PolicyError("USAGE", `there is no user "${user}"`);
  const root = { uid: 0, gid: 0, mode: 0o755 };
  return {
    has: () => true,
    // Who is suspended can still take the account back from a thief.
    keys: (_entry, standing, now) => ({ lines: ownerKeys(standing, now), until: nextGraceEnd(standing, now) }),
    makeFolders: (name, uid) => {
      const home = join(folder, name);
      makeFolder(home, root);
      makeProposal(join(home, "proposal"), judge, uid);
      makeFolder(join(home, "answer"), { mode: 0o755, uid: judge, gid: judge });
      makeFolder(join(home, "account"), root);
    },
    chainFile: (name) => join(folder, name, "account/chain"),
    remove: (name) => removeHome(join(folder, name), log),
  };
}

function makeProposal(path: string, owner: number, group: number): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) writeFileSync(path, "", { flag: "wx", mode: 0o600 });
  else if (!there.isFile()) throw new PolicyError("USAGE", `"${path}" is no regular file`);
  else if ((there.mode & 0o7777) === 0o620 && there.uid === owner && there.gid === group) return;
  chownSync(path, owner, group);
  chmodSync(path, 0o620);
}

/** By name and one by one: `answer/` belongs to a user whom root must not follow anywhere. */
function removeHome(home: string, log: (text: string) => void): void {
  if (lstatSync(home, { throwIfNoEntry: false }) === undefined) return;
  try {
    for (const folder of ["answer", "account", "."]) {
      const path = join(home, folder);
      for (const file of lstatSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path)) {
        unlinkSync(join(path, file));
      }
      if (folder !== "." && lstatSync(path, { throwIfNoEntry: false }) !== undefined) rmdirSync(path);
    }
    rmdirSync(home);
  } catch (error) {
    log(`can't remove "${home}": ${error instanceof Error ? error.message : String(error)}`);
  }
}
