/** How this computer logs in where mail is handed in. */

import { HostError, PolicyError } from "#core/errors.ts";
import { makeFolder } from "#host/files.ts";
import type { SshOptions } from "#host/ssh.ts";
import { deviceTarget } from "../account/fetch-login.ts";
import type { Places } from "../places.ts";
import type { Profile } from "../profile.ts";

/**
 * @throws PolicyError USAGE when the profile names no such machine; HostError AUTH when no key can be used here
 */
export async function outTarget(profile: Profile, places: Places): Promise<SshOptions> {
  if (profile.domain === undefined && profile.outHost === undefined) {
    throw new PolicyError("USAGE", "the profile does not say where mail is handed in", {
      hint: `add "outHost" (or "domain") to "${places.profile}"`,
    });
  }
  await makeFolder(places.state, 0o700);
  const target = await deviceTarget(profile, places, process.stdin.isTTY === true, "out");
  if (target !== null) return target;
  throw new HostError("AUTH", "the key of this computer needs its passphrase, and there is no terminal to ask on", {
    hint: "load it into ssh-agent with ssh-add, or name a file that holds the passphrase in SHOAL_PASSPHRASE_FILE",
  });
}
