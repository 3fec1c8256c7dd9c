/** What the keys of one computer are in an account state. */

import type { Device } from "#core/account/state.ts";
import { parseRecipient } from "#core/age/recipient.ts";
import { readPublicHalf } from "../public-half.ts";

/**
 * The device lines of the key files of a profile. A key does all that its kind can do; where one of them seals against
 * quantum computers, the others only log in, because mail is sealed either way and not to a mixture.
 * @throws as readPublicHalf
 */
export async function devicesOfFiles(files: readonly string[]): Promise<Device[]> {
  const keys: string[] = [];
  for (const file of files) keys.push((await readPublicHalf(file)).key);
  return devicesOfKeys(keys);
}

/** @param keys `TYPE BASE64` or `age1…` */
export function devicesOfKeys(keys: readonly string[]): Device[] {
  const isPostQuantum = keys.some((key) => key.startsWith("age1") && parseRecipient(key).postQuantum);
  return keys.map((key) => {
    if (key.startsWith("age1")) return { auth: false, seal: true, key };
    const couldSeal = key.startsWith("ssh-ed25519 ") || key.startsWith("ssh-rsa ");
    return { auth: true, seal: couldSeal && !isPostQuantum, key };
  });
}

/** `auth`, `seal` or `auth,seal`, as a state writes it. */
export function printUses({ auth, seal }: Pick<Device, "auth" | "seal">): string {
  return [auth && "auth", seal && "seal"].filter(Boolean).join(",");
}
