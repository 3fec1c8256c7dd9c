/** The master and recovery keys of a new account: given, found, or made. */

import { access, constants, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { exists } from "#host/files.ts";
import { makeKey } from "../new-key.ts";
import type { AccountAddress } from "../new-profile.ts";
import type { Places } from "../places.ts";
import { ask, confirm, hasTerminal } from "./ask.ts";

const RECOVERY_EXPLAINED = `A recovery key brings the account back if this computer is lost, or if somebody steals the master
key. It still works 72 hours after a thief has removed it, and throws the thief out. Nobody else
can do that for you, not the operator either. So its private part belongs to another place than
this computer: a USB stick in a drawer, a safe. Give it a passphrase.`;

/** A name for a key file that nothing has yet: `master_ed25519`, `master_ed25519_2`, and so on. */
export async function freshPath(folder: string, name: string): Promise<string> {
  for (let number = 1; ; number++) {
    const path = join(folder, number === 1 ? name : `${name}_${number}`);
    if (!(await exists(path)) && !(await exists(`${path}.pub`))) return path;
  }
}

/**
 * Whatever is wrong with the options is said before any key is made.
 * @throws PolicyError USAGE
 */
export async function checkKeyOptions(
  masters: readonly string[],
  recoveries: readonly string[],
  isDeclined: boolean,
): Promise<void> {
  for (const file of masters) {
    if (!(await exists(resolve(file)))) {
      throw new PolicyError("USAGE", `there is no master key "${resolve(file)}"`, {
        hint: "without --master a new one is made",
      });
    }
  }
  if (isDeclined && recoveries.length > 0) {
    throw new PolicyError("USAGE", "--recovery and --no-recovery exclude each other");
  }
  if (!isDeclined && recoveries.length === 0) checkCanAsk();
  for (const file of recoveries) {
    const mistake = await mistakeOfPlace(resolve(file));
    if (mistake !== null) throw new PolicyError("USAGE", mistake);
  }
}

/** A key that exists is used, a folder gets one, and so does a folder for the file; each has to be there, and ours to write to. */
async function mistakeOfPlace(place: string): Promise<string | null> {
  const isThere = await exists(place);
  if (isThere && !(await stat(place)).isDirectory()) return null;
  const folder = isThere ? place : dirname(place);
  if (!(await exists(folder))) return `there is no folder "${folder}"`;
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch {
    return `you may not write to "${folder}"`;
  }
}

function checkCanAsk(): void {
  if (hasTerminal()) return;
  throw new PolicyError("USAGE", "there is no terminal to ask on where the recovery key goes", {
    hint: "--recovery FILE makes it there, --no-recovery does without",
  });
}

/** Files of the masters; one is made where none is given. */
export async function masterFiles(given: readonly string[], places: Places, comment: string): Promise<string[]> {
  if (given.length > 0) return given.map((file) => resolve(file));
  return [await useOrMake(join(places.config, "master_ed25519"), `master ${comment}`, "master key", "--master")];
}

/** What a run that was interrupted left is used; whatever else stands at a given place is too. */
export async function useOrMake(path: string, comment: string, what: string, option: string): Promise<string> {
  if (await exists(path)) say("shoal", `using the ${what} that is there already: "${path}"`);
  else await makeKey(path, comment, what, option);
  return path;
}

/**
 * Files of the recovery keys: as given, or where the person at the terminal says.
 * @param isDeclined `--no-recovery`
 * @throws PolicyError USAGE without a terminal to ask on
 */
export async function recoveryFiles(
  given: readonly string[],
  isDeclined: boolean,
  { name, domain }: AccountAddress,
): Promise<string[]> {
  const comment = `recovery ${name}@${domain}`;
  if (isDeclined) return [];
  const files: string[] = [];
  for (const place of given) {
    files.push(await useOrMake(await fileAt(resolve(place), name, domain), comment, "recovery key", "--recovery"));
  }
  if (files.length > 0) return files;
  checkCanAsk();
  process.stderr.write(`\n${RECOVERY_EXPLAINED}\n\n`);
  for (;;) {
    const place = await ask("Where should it go? A folder or file, such as /media/usb; empty for none: ");
    if (place === "") {
      if (
        await confirm("No recovery key: if the master key is lost or stolen, so is the account. Is that what you want?")
      ) {
        return [];
      }
      continue;
    }
    const chosen = resolve(place.replace(/^~(?=\/|$)/, process.env["HOME"] ?? "~"));
    const mistake = await mistakeOfPlace(chosen);
    if (mistake !== null) {
      say("shoal", mistake);
      continue;
    }
    const path = await fileAt(chosen, name, domain);
    return [await useOrMake(path, comment, "recovery key", "--recovery")];
  }
}

async function fileAt(place: string, name: string, domain: string): Promise<string> {
  const isFolder = (await exists(place)) && (await stat(place)).isDirectory();
  return isFolder ? join(place, `${name}@${domain}-recovery_ed25519`) : place;
}
