/** `shoal doctor` */

import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { visibleJson, visibleLine } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { checkUp } from "./checkup.ts";
import { DEFAULT_PROFILE } from "./places.ts";
import { loadProfile } from "./profile.ts";

export const doctorVerb: Verb = {
  help: `usage: shoal doctor [--offline] [--json] [--profile NAME]

Tells how things are: whether the operator's key is known, the server lets this
computer in and shows the account and a fresh proof of the mailbox, what this
computer remembers, and which alerts wait; with what to do where something is
wrong. It fetches no mail and changes nothing on the server.

  --offline       ask nobody: what this computer knows
  --json          print one JSON object for each line
  --profile NAME  profile to use, default "default"

Exit status: 0 all is well, 75 the server could not be asked or its proof is
old, 76 something does not fit, 78 the operator's key is not known.

Example:
  shoal doctor
`,
  options: { offline: { type: "boolean" }, json: { type: "boolean" }, profile: { type: "string" } },
  async run(operands, options) {
    if (operands.length > 0) throw new PolicyError("USAGE", `expected no operands, not "${operands.join(" ")}"`);
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const checks = await checkUp(profile, places, options["offline"] === true, unixTime());
    for (const { about, isWell, text, advice } of checks) {
      if (options["json"] === true) await writeOut(`${visibleJson({ about, isWell, text, advice })}\n`);
      else {
        await writeOut(`${visibleLine(`${isWell ? "well" : "ILL "}  ${about.padEnd(8)}  ${text}`)}\n`);
        if (advice !== undefined) await writeOut(`${visibleLine(`                do: ${advice}`)}\n`);
      }
    }
    const wrong = checks.filter(({ isWell }) => !isWell).map(({ status }) => status);
    // What somebody may have done comes before what may pass by itself.
    return wrong.includes(EXIT.protocol) ? EXIT.protocol : (wrong[0] ?? EXIT.ok);
  },
};
