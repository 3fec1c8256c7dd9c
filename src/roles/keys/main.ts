/** shoal-keys: what users hand in goes to the ledger, and its answers to them. See keys.8.md. */

import { calmLog } from "#cli/calm-log.ts";
import { type Program, runProgram } from "#cli/command.ts";
import { complain, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readKeysConfig } from "./config.ts";
import { serve } from "./serve.ts";

const name = "shoal-keys";

const program: Program = {
  name,
  version: "1",
  help: `Usage: ${name} serve CONFIG   carry proposals to the ledger and answers back

CONFIG is /etc/shoal/keys.json unless named.
`,
  verbs: {
    serve: {
      help: "carries proposals to the ledger and answers back\n",
      run: async (operands) => {
        if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
        const config = await readKeysConfig(operands[0] ?? "/etc/shoal/keys.json");
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

/** Crash only: the supervisor starts it again, and what was not answered is judged again. */
function die(error: unknown): void {
  complain(name, error);
  process.exit(exitStatusOf(error));
}

await runProgram(program, process.argv.slice(2));
