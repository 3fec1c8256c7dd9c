/** A new master or recovery key of an account that exists: made, or one that exists already. */

import { join, resolve } from "node:path";
import { writeDurably } from "#host/files.ts";
import { makeKey } from "../new-key.ts";
import { checkKeysExist } from "../new-profile.ts";
import type { Profile } from "../profile.ts";
import { loadProfile, printProfile } from "../profile.ts";
import type { Ground } from "./change.ts";
import { freshPath } from "./genesis-keys.ts";
import { loadOwnerKey, type OwnerKey } from "./owner-key.ts";

/** @param given an existing key, else one is made beside the profile under a name that is free */
export async function newMaster({ places, address }: Ground, given: string | undefined): Promise<OwnerKey> {
  if (given !== undefined) {
    const path = resolve(given);
    await checkKeysExist([path]);
    return await loadOwnerKey(path, places);
  }
  const path = await freshPath(places.config, "master_ed25519");
  await makeKey(path, `master ${address}`, "new master key", "--new");
  return await loadOwnerKey(path, places);
}

/** Writes the profile again with other key files; whatever else was changed in it meanwhile stays. */
export async function updateProfile(
  { places }: Ground,
  change: (profile: Profile) => Pick<Profile, "masters" | "recoveries">,
): Promise<void> {
  const { profile } = await loadProfile(places.name);
  await writeDurably(join(places.profile), printProfile({ ...profile, ...change(profile) }));
}
