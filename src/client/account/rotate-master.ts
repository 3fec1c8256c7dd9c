/** `shoal account rotate-master` */

import type { Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { CHANGE_OPTIONS, CHANGE_OPTIONS_HELP, changeAccount } from "./change.ts";
import { newMaster, updateProfile } from "./new-owner-key.ts";

export const rotateMasterVerb: Verb = {
  help: `usage: shoal account rotate-master [--new FILE] [OPTION]...

Replaces the master key by a new one. The old one signs once more, and the new
one to prove that you have it; then the old one has no say any more.

  --new FILE       use this key instead of making one: a private key, one on a
                   security key, or the .pub file of one in an agent
${CHANGE_OPTIONS_HELP}

If somebody may have the old key, "shoal account recover" with the recovery key
is the stronger way: it throws out what they added.

Example:
  shoal account rotate-master
`,
  options: { ...CHANGE_OPTIONS, new: { type: "string" } },
  async run(operands, options) {
    if (operands[0] !== undefined)
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`);
    return await changeAccount(options, async (ground) => {
      const { state } = ground.standing;
      const { signer } = ground;
      if (!state.master.includes(signer.line)) {
        throw new PolicyError("UNAUTHORIZED", `"${signer.path}" is no master key of the account`, {
          hint: 'with a recovery key "shoal account recover" makes a new master',
        });
      }
      const fresh = await newMaster(ground, options["new"] === undefined ? undefined : String(options["new"]));
      if (state.master.includes(fresh.line)) {
        throw new PolicyError("KEY-TWICE", `"${fresh.path}" is a master key of the account already`);
      }
      return {
        next: { ...state, master: [...state.master.filter((key) => key !== signer.line), fresh.line] },
        alsoSign: [fresh],
        // Until it is accepted either may be the one that counts.
        beforeHandIn: () => updateProfile(ground, ({ masters = [] }) => ({ masters: [fresh.path, ...masters] })),
        async whenAccepted() {
          await updateProfile(ground, ({ masters = [] }) => ({
            masters: masters.filter((path) => path !== signer.path),
          }));
          say(
            "shoal",
            `the master key is "${fresh.path}" now; "${signer.path}" is of no use any more and may be deleted`,
          );
          say("shoal", "next: keep a copy of the new one in a safe place");
        },
      };
    });
  },
};
