/** shoal-accept: makes a machine's files of account states that it has verified. See accept.8.md. */

import { calmLog } from "#cli/calm-log.ts";
import { type Program, runProgram } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { complain, print, say } from "#cli/terminal.ts";
import { FEED_HELLO, printFrame } from "#core/account/feed.ts";
import { PolicyError } from "#core/errors.ts";
import { AccountStore } from "#host/account-store.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { giveUpEnvironment, giveUpPowers } from "#host/powers.ts";
import { type AcceptConfig, readAcceptConfig } from "./config.ts";
import { serve } from "./serve.ts";

const name = "shoal-accept";

const program: Program = {
  name,
  version: "1",
  help: `Usage: ${name} serve CONFIG   take records from the ledger and make files of them
       ${name} dump CONFIG    print all records that are stored here

CONFIG is /etc/shoal/accept.json unless named.
`,
  verbs: {
    serve: verb("takes records from the ledger and makes files of them", async (config) => {
      // Users and their folders can be made by root alone; the one file of "in" by anybody.
      if (config.serves.role === "in") giveUpPowers();
      else giveUpEnvironment();
      await serve(
        config,
        calmLog((text) => say(name, text)),
        die,
      );
    }),
    dump: verb("prints all records, then `end`", async ({ store: path }) => {
      const store = AccountStore.open(path, { readOnly: true });
      print(`${FEED_HELLO}\n`);
      for (const { account, accepted, signed } of store.records()) {
        await writeOut(printFrame({ kind: "record", of: account === null ? "directory" : "state", accepted, signed }));
      }
      await writeOut(printFrame({ kind: "end" }));
      store.close();
    }),
  },
};

function verb(what: string, run: (config: AcceptConfig) => Promise<void>): Program["verbs"][string] {
  return {
    help: `${what}\n`,
    run: async (operands) => {
      if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
      await run(await readAcceptConfig(operands[0] ?? "/etc/shoal/accept.json"));
      return EXIT.ok;
    },
  };
}

/** Crash only: the supervisor starts it again, and all files are made anew of what is durable. */
function die(error: unknown): void {
  complain(name, error);
  process.exit(exitStatusOf(error));
}

await runProgram(program, process.argv.slice(2));
