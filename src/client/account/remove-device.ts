/** `shoal account remove-device` */

import type { Verb } from "#cli/command.ts";
import { PolicyError } from "#core/errors.ts";
import { valuesOf } from "../new-profile.ts";
import { CHANGE_OPTIONS, CHANGE_OPTIONS_HELP, changeAccount } from "./change.ts";
import { ownKeys } from "./fetch-login.ts";
import { findKey } from "./keys-in-words.ts";
import { resignRecords } from "./resign-records.ts";

export const removeDeviceVerb: Verb = {
  help: `usage: shoal account remove-device NUMBER|FINGERPRINT|KEY... [OPTION]...

Removes devices, such as a phone that was lost: within seconds their keys
can't log in any more, connections of theirs are ended, and new mail is no
longer sealed to them. Mail that they have fetched they keep.
What they noted as removed from the server, this computer signs again first:
their own notes stop to count.

  NUMBER           as "shoal account show" shows it
  FINGERPRINT      SHA256:..., or the start of it
  KEY              the public key itself
${CHANGE_OPTIONS_HELP}

Example:
  shoal account remove-device 2
`,
  options: CHANGE_OPTIONS,
  async run(operands, options) {
    if (operands.length === 0) {
      throw new PolicyError("USAGE", "expected the number or fingerprint of a device", {
        hint: '"shoal account show" shows them',
      });
    }
    const isOffline = options["offline"] === true;
    return await changeAccount(options, async ({ standing: { state }, profile, places }) => {
      const keys = state.devices.map(({ key }) => key);
      const gone = new Set(operands.map((wanted) => findKey(keys, wanted, "device")));
      const own = await ownKeys(profile);
      const left = state.devices.filter(({ key }) => !gone.has(key));
      checkLeft(
        left.some(({ auth }) => auth),
        left.some(({ seal }) => seal),
      );
      const isOwn = [...gone].some((key) => own.has(key));
      const isByMaster = valuesOf(options, "recovery").length === 0;
      return {
        next: { ...state, devices: left },
        notes: [
          ...(isOwn ? ["that is this computer: it won't be able to fetch mail any more"] : []),
          ...(isByMaster && !isOwn
            ? ["if a master key was on that device too, remove it as well: shoal account rotate-master"]
            : []),
          ...(isOffline ? ["offline, so notes of mail that it removed can't be signed again by this computer"] : []),
        ],
        async beforeHandIn() {
          const { domain } = profile;
          const leaving = new Set(state.devices.filter(({ auth, key }) => auth && gone.has(key)).map(({ key }) => key));
          if (!isOffline && domain !== undefined && leaving.size > 0) {
            await resignRecords({ ...profile, domain }, places, leaving);
          }
        },
      };
    });
  },
};

function checkLeft(auth: boolean, seal: boolean): void {
  const hint = "add the other device first: shoal account add-device";
  if (!auth) throw new PolicyError("NO-AUTH-KEY", "then no device could log in", { hint });
  if (!seal) throw new PolicyError("NO-SEAL-KEY", "then no device could open new mail", { hint });
}
