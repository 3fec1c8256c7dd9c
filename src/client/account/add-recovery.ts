/** `shoal account add-recovery` and `shoal account remove-recovery` */

import type { Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { parseAccountAddress } from "../new-profile.ts";
import { CHANGE_OPTIONS, CHANGE_OPTIONS_HELP, changeAccount } from "./change.ts";
import { recoveryFiles } from "./genesis-keys.ts";
import { describeKey, findKey } from "./keys-in-words.ts";
import { updateProfile } from "./new-owner-key.ts";
import { loadOwnerKey } from "./owner-key.ts";
import { recoverySince } from "./signer.ts";

export const addRecoveryVerb: Verb = {
  help: `usage: shoal account add-recovery [FILE] [OPTION]...

Adds a recovery key: it takes the account back when the master key is lost or
stolen. Up to five may exist.

  FILE             where it goes, a file or a folder, such as /media/usb; an
                   existing key is used. Without it, it is asked for.
${CHANGE_OPTIONS_HELP}

Example:
  shoal account add-recovery /media/usb
`,
  options: CHANGE_OPTIONS,
  async run(operands, options) {
    if (operands[1] !== undefined) throw new PolicyError("USAGE", `"${operands[1]}" is too much, expected one file`);
    return await changeAccount(options, async (ground) => {
      const { state } = ground.standing;
      const [path] = await recoveryFiles(operands, false, parseAccountAddress(ground.address));
      if (path === undefined) return null;
      const key = await loadOwnerKey(path, ground.places);
      if (state.recovery.includes(key.line)) {
        say("shoal", "that recovery key is in the account already");
        return null;
      }
      return {
        next: { ...state, recovery: [...state.recovery, key.line] },
        alsoSign: [key],
        beforeHandIn: () => updateProfile(ground, ({ recoveries = [] }) => ({ recoveries: [...recoveries, path] })),
        async whenAccepted() {
          say("shoal", `next: take the recovery key "${path}" away from this computer`);
        },
      };
    });
  },
};

export const removeRecoveryVerb: Verb = {
  help: `usage: shoal account remove-recovery NUMBER|FINGERPRINT|KEY [OPTION]...

Removes a recovery key. Signed by a recovery key that is at least as old, it
counts at once. Signed by the master key alone, or by a younger recovery key,
the removed key keeps its say for 72 hours: so nobody who steals a master key
can shut you out before you notice.

  NUMBER           as "shoal account show" shows it
  FINGERPRINT      SHA256:..., or the start of it
${CHANGE_OPTIONS_HELP}

Example:
  shoal account remove-recovery 2 --recovery /media/usb/recovery_ed25519
`,
  options: CHANGE_OPTIONS,
  async run(operands, options) {
    const [wanted, more] = operands;
    if (wanted === undefined || more !== undefined) {
      throw new PolicyError("USAGE", "expected the number or fingerprint of one recovery key", {
        hint: '"shoal account show" shows them',
      });
    }
    return await changeAccount(options, async ({ standing, signer, now }) => {
      const { state } = standing;
      const sinceOf = recoverySince(standing, now);
      const gone = findKey(state.recovery, wanted, "recovery key");
      const isAtOnce = (sinceOf.get(signer.line) ?? Number.POSITIVE_INFINITY) <= (sinceOf.get(gone) ?? 0);
      const others = state.recovery.filter((key) => key !== gone);
      return {
        next: { ...state, recovery: others },
        notes: [
          isAtOnce
            ? "a recovery key that is as old signs it: the removed one has no say from then on"
            : `${describeKey(gone)} keeps its say for 72 hours; --recovery FILE with one that is as old ends it at once`,
          ...(others.length === 0 ? ["then there is no recovery key: nothing helps if the master key is lost"] : []),
        ],
      };
    });
  },
};
