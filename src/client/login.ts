/** How a device logs in where its mail is, with keys that are at hand already. */

import type { SshOptions } from "#host/ssh.ts";
import { type KeyFile, logsIn, makeAskpass } from "./identities.ts";
import type { Places } from "./places.ts";
import { type Profile, sshOptionsOf } from "./profile.ts";

/** A passphrase that was asked for already is given to ssh, too. */
export async function loginOptions(profile: Profile, places: Places, keys: readonly KeyFile[]): Promise<SshOptions> {
  const loginKeys = keys.filter(logsIn);
  const target: SshOptions = { ...sshOptionsOf(profile), identityFiles: loginKeys.map(({ path }) => path) };
  const passphrase = loginKeys.find((key) => key.passphrase !== undefined)?.passphrase;
  if (passphrase !== undefined) {
    target.askpass = { program: await makeAskpass(places.state), env: { SHOAL_SSH_PASSPHRASE: passphrase } };
  }
  return target;
}
