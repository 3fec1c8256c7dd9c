/** shoal-submit: takes mail from accounts, checks it and hands it to smtpd. See submit.8.md. */

import { calmLog } from "#cli/calm-log.ts";
import { type Program, runProgram } from "#cli/command.ts";
import { complain, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readSubmitConfig } from "./config.ts";
import { serve } from "./serve.ts";

const name = "shoal-submit";

const program: Program = {
  name,
  version: "1",
  help: `Usage: ${name} serve CONFIG   take mail from accounts and hand it to smtpd

CONFIG is /etc/shoal/submit.json unless named.
`,
  verbs: {
    serve: {
      help: "takes mail from accounts and hands it to smtpd\n",
      run: async (operands) => {
        if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
        const config = await readSubmitConfig(operands[0] ?? "/etc/shoal/submit.json");
        giveUpPowers();
        await serve(
          config,
          calmLog((text) => say(name, text)),
          die,
        );
        return EXIT.ok;
      },
    },
  },
};

/** Crash only: the supervisor starts it again, and who was not answered gets 75 from the script. */
function die(error: unknown): void {
  complain(name, error);
  process.exit(exitStatusOf(error));
}

await runProgram(program, process.argv.slice(2));
