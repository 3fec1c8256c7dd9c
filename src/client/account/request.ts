/** `shoal account request` */

import { resolve } from "node:path";
import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { parseProposal } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";
import { exists, writeDurably } from "#host/files.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { AccountMemory } from "./memory.ts";

export const requestVerb: Verb = {
  help: `usage: shoal account request [--output FILE] [--profile NAME]

Prints the signed state of the account that waits to be accepted: the first
one, which the operator adds to the server, or a change that the server does
not take. The operator can carry it in, and can't change it. Nothing in it is
secret.

  --output FILE   write it there instead; an existing file is not overwritten
  --profile NAME  profile to use, default "default"

Example:
  shoal account request > alice.account
`,
  options: { output: { type: "string" }, profile: { type: "string" } },
  async run(operands, options) {
    if (operands[0] !== undefined) {
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`, {
        hint: "--output FILE names the file to write",
      });
    }
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const signed = await new AccountMemory(places, profile.domain ?? null).pending();
    if (signed === null) {
      throw new PolicyError("USAGE", "nothing waits: the server has accepted all changes that were made here", {
        hint: '"shoal account show" shows the account',
      });
    }
    const { output } = options;
    if (output === undefined) await writeOut(signed);
    else await writeNew(resolve(String(output)), signed);
    const { version } = parseProposal(signed).state;
    const how = version === 1 ? "shoalctl account add" : "shoalctl account submit";
    say(
      "shoal",
      `version ${version} of ${profile.account}@${profile.domain ?? ""}: the operator takes it with "${how}"`,
    );
    return EXIT.ok;
  },
};

async function writeNew(path: string, content: Buffer): Promise<void> {
  if (await exists(path)) throw new PolicyError("USAGE", `there is a file "${path}" already`);
  await writeDurably(path, content, 0o644);
}
