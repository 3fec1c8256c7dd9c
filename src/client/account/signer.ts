/** Which of the owner's keys signs a change, and logs in to hand it in. */

import { gracedAt, type Standing } from "#core/account/step.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import type { SshOptions } from "#host/ssh.ts";
import type { Places } from "../places.ts";
import { type Profile, sshOptionsOf } from "../profile.ts";
import { readPublicHalf } from "../public-half.ts";
import { loadOwnerKey, type OwnerKey } from "./owner-key.ts";

export interface Candidates {
  /** In the order of preference. */
  readonly files: readonly string[];
  /** True if the person named them: then a file that can't be read is a mistake. */
  readonly isGiven: boolean;
}

/** Keys that may sign the next version. */
export function mayChange(standing: Standing, now: number): Set<string> {
  return new Set([
    ...standing.state.master,
    ...standing.state.recovery,
    ...gracedAt(standing, now).map(({ key }) => key),
  ]);
}

/** Recovery key -> version that made it one, of all that have their say at a time. */
export function recoverySince(standing: Standing, now: number): Map<string, number> {
  return new Map([
    ...standing.recoverySince,
    ...gracedAt(standing, now).map(({ key, since }) => [key, since] as const),
  ]);
}

/**
 * The first of the candidates that may sign.
 * @param standing null while nothing is known: then the first that is there
 * @throws PolicyError UNAUTHORIZED when none may; as loadOwnerKey
 */
export async function chooseSigner(
  { files, isGiven }: Candidates,
  standing: Standing | null,
  now: number,
  places: Places,
): Promise<OwnerKey> {
  const allowed = standing === null ? null : mayChange(standing, now);
  const found: string[] = [];
  for (const path of files) {
    try {
      const { key } = await readPublicHalf(path);
      found.push(path);
      if (allowed === null || allowed.has(key)) return await loadOwnerKey(path, places);
    } catch (error) {
      // A recovery key is elsewhere on purpose.
      if (isGiven || !(error instanceof HostError && error.code === "FILE")) throw error;
    }
  }
  const why =
    found.length === 0
      ? "there is no key here that could sign a change"
      : `no key of the account's: ${found.map((file) => `"${file}"`).join(", ")}`;
  throw new PolicyError("UNAUTHORIZED", why, {
    hint: "name one with --master FILE, or sign with a recovery key: --recovery FILE",
  });
}

/** How the owner logs in where changes are handed in. */
export function ownerTarget(profile: Profile, key: OwnerKey): SshOptions {
  const target: SshOptions = { ...sshOptionsOf(profile, "keys"), identityFiles: [key.file] };
  if (key.askpass !== undefined) target.askpass = key.askpass;
  return mayAsk(target);
}

/** A token's PIN and such are asked for by ssh itself, on the terminal. */
export function mayAsk(target: SshOptions): SshOptions {
  if (process.stdin.isTTY !== true || target.askpass !== undefined) return target;
  const asking = ["BatchMode=no", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no"];
  return { ...target, options: [...(target.options ?? []), ...asking] };
}
