/** `shoal check` */

import type { Verb } from "#cli/command.ts";
import { PolicyError } from "#core/errors.ts";
import { explainRefusedLogin } from "../account/check-at-sync.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { tlsProblemsOf } from "./answer-of-out.ts";
import { handOver, printCheck } from "./hand-over.ts";
import { outTarget } from "./out-login.ts";
import { sayProblems } from "./person.ts";
import { passOn } from "./send.ts";
import { withSenderStatus } from "./sender-status.ts";

export const checkVerb: Verb = withSenderStatus({
  help: `usage: shoal check [--json] [--profile NAME] ADDRESS...

Asks the server how well mail to these addresses is protected on its way; sends
nothing. One line for each domain: "tls bound", "tls valid", or "tls-problem"
and what is wrong, which is explained on standard error.

  --json          print what the server prints for programs
  --profile NAME  profile to use, default "default"

Exit status: that of the server; 75 if it can't be reached.

Example:
  shoal check bob@example.net carol@example.edu
`,
  options: { json: { type: "boolean" }, profile: { type: "string" } },
  async run(operands, options) {
    if (operands.length === 0) throw new PolicyError("USAGE", "expected addresses");
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const json = options["json"] === true;
    const command = printCheck(operands, json);
    const outcome = await handOver(await outTarget(profile, places), command, Buffer.alloc(0));
    if (outcome.kind !== "answered") throw await explainRefusedLogin(outcome.error, profile, places);
    await passOn(outcome, json);
    if (!json) sayProblems(tlsProblemsOf(outcome.stdout));
    return outcome.status;
  },
});
