/** The key of this computer that signs for it as a device of the account. */

import type { Standing } from "#core/account/step.ts";
import { parsePrivateKey } from "#core/ssh/private-key.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { loadOwnerKey, signWith } from "../account/owner-key.ts";
import type { KeyFile } from "../identities.ts";
import type { Places } from "../places.ts";
import { readPublicHalf } from "../public-half.ts";

export interface DeviceSigner {
  /** `TYPE BASE64` */
  readonly key: string;
  /**
   * What `ssh-keygen -Y sign` prints. A token asks for a touch each time.
   * @throws HostError EXEC, PolicyError PASSPHRASE
   */
  sign(namespace: string, message: Uint8Array): Promise<string>;
}

/**
 * One of the keys that are `auth` devices of the account; one that asks nobody, if there is one.
 * @returns null if this computer is no device of the account
 */
export async function deviceSigner(
  keys: readonly KeyFile[],
  standing: Standing,
  places: Places,
): Promise<DeviceSigner | null> {
  const devices = new Set(standing.state.devices.filter(({ auth }) => auth).map(({ key }) => key));
  for (const { use, text, passphrase } of keys) {
    if (use !== "both") continue;
    const key = parsePrivateKey(text, passphrase);
    const { line } = key.publicKey;
    if (devices.has(line)) return { key: line, sign: (...what) => Promise.resolve(signMessage(key, ...what)) };
  }
  for (const { use, path } of keys) {
    if (use !== "login") continue;
    const { key: line } = await readPublicHalf(path);
    if (!devices.has(line)) continue;
    return { key: line, sign: async (...what) => await signWith(await loadOwnerKey(path, places), ...what) };
  }
  return null;
}
