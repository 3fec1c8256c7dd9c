/** `shoal account trust` */

import type { Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { isChainId } from "#core/account/chain-id.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { AccountMemory } from "./memory.ts";

export const trustVerb: Verb = {
  help: `usage: shoal account trust ID [--profile NAME]

Pins the account: from now on this computer believes no machine that shows
another one under its name. ID is what "shoal account add-device" printed on
the computer with the master key, 22 characters; "shoal account show" shows it
there, too.

  --profile NAME  profile to use, default "default"

Example:
  shoal account trust kyipC7tJm5Pp3swJNuolZw
`,
  options: { profile: { type: "string" } },
  async run(operands, options) {
    const [id, more] = operands;
    if (id === undefined || more !== undefined || !isChainId(id)) {
      throw new PolicyError("USAGE", "expected one account id, 22 characters", {
        hint: '"shoal account show" shows it on a computer that has it',
      });
    }
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const isNew = await new AccountMemory(places, profile.domain ?? null).trust(id);
    say("shoal", `the account ${id} is ${isNew ? "pinned" : "known and pinned already"}`);
    return EXIT.ok;
  },
};
