/** Runs programs of this checkout as other users, also where only root can reach it: below /root, as a rule. */

import { join } from "node:path";
import { root } from "#tools/build.ts";

/** Shows itself the checkout at another place, and then becomes the program. */
const SCRIPT = 'mkdir -p "$0" && mount -o bind,ro "$1" "$0" && cd / && shift && exec "$@"';

/**
 * The command that runs another one so; its process is the one that is started.
 * @param folder one that the user can reach: the checkout is seen in it, by this process and its children alone
 */
export function asUser(uid: number, folder: string, command: readonly string[]): string[] {
  const user = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const words = command.map((word) => seenIn(folder, word));
  return ["unshare", "--mount", "sh", "-c", SCRIPT, seenIn(folder, root), root, ...user, ...words];
}

/** Where such a process finds a file of the checkout; every other word stays. */
export function seenIn(folder: string, word: string): string {
  const isHere = word === root || word.startsWith(`${root}/`);
  return isHere ? join(folder, "checkout", word.slice(root.length)) : word;
}
