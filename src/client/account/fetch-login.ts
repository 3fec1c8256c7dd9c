/** How this computer's own key logs in where it does not also open mail: to look at the account, to hand mail in. */

import { HostError } from "#core/errors.ts";
import type { SshOptions } from "#host/ssh.ts";
import type { Places } from "../places.ts";
import { type Machine, type Profile, sshOptionsOf } from "../profile.ts";
import { readPublicHalf } from "../public-half.ts";
import type { Knowledge } from "./memory.ts";
import { isReady, loadOwnerKey } from "./owner-key.ts";
import { mayAsk } from "./signer.ts";

/**
 * @param mayAskPassphrase false to do without where a passphrase would be asked for
 * @returns null where it would have to ask
 */
export async function deviceTarget(
  profile: Profile,
  places: Places,
  mayAskPassphrase: boolean,
  machine: Machine = "fetch",
): Promise<SshOptions | null> {
  const target = sshOptionsOf(profile, machine);
  const files: string[] = [];
  for (const file of profile.identities) {
    const { key } = await readPublicHalf(file);
    if (key.startsWith("age1")) continue;
    if (!mayAskPassphrase && !(await isReady(file))) continue;
    const { askpass, file: usable } = await loadOwnerKey(file, places);
    if (askpass !== undefined) target.askpass ??= askpass;
    files.push(usable);
  }
  return files.length === 0 ? null : mayAsk({ ...target, identityFiles: files });
}

/** This computer's keys, those that can be read. */
export async function ownKeys(profile: Profile): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const file of profile.identities) {
    try {
      keys.add((await readPublicHalf(file)).key);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  return keys;
}

/**
 * Why a login may have been refused, by what is known of the account; undefined where nothing is.
 */
export async function whyRefused({ standing, origin }: Knowledge, profile: Profile): Promise<string | undefined> {
  if (standing === null && origin === "created") {
    return "the operator has to add the account first: shoal account request prints what the operator needs";
  }
  if (standing === null) {
    return profile.domain === undefined
      ? undefined
      : "this computer is no device of the account yet: shoal account add-device on the computer with the master key makes it one";
  }
  const own = await ownKeys(profile);
  const isThere = standing.state.devices.some(({ auth, key }) => auth && own.has(key));
  return isThere
    ? `this computer is a device of version ${standing.state.version} of the account, the last that it knows; if another device has removed it since, that is why`
    : `this computer was removed from the account: it is no device of version ${standing.state.version}; "shoal account add-device" on another computer brings it back`;
}
