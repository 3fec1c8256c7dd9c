/** shoal-trial: looks at DNS, mail servers and outgoing mail as this machine sees them, for the operator. See trial.8.md. */

import { text } from "node:stream/consumers";
import * as v from "valibot";
import { type Program, runProgram } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readSubmitConfig } from "../config.ts";
import { authorities } from "../grade/authorities.ts";
import { Resolver } from "../grade/dns.ts";
import { signerOf } from "../signer.ts";
import { tasksSchema } from "./exchange.ts";
import { runTasks } from "./run-tasks.ts";

const TASK_SECONDS = 20;
const LOOKUP_TRY_MILLISECONDS = 4000;

const program: Program = {
  name: "shoal-trial",
  version: "1",
  help: `Usage: shoal-trial run CONFIG < TASKS   do the tasks and print their results, both JSON

CONFIG is that of shoal-submit, /etc/shoal/submit.json unless named.
`,
  verbs: {
    run: {
      help: "does the tasks on standard input and prints their results\n",
      async run(operands) {
        if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
        const config = await readSubmitConfig(operands[0] ?? "/etc/shoal/submit.json");
        giveUpPowers();
        const tools = {
          resolver: new Resolver({ ...config.resolver, tryMilliseconds: LOOKUP_TRY_MILLISECONDS, tries: 2 }),
          context: authorities(config.caFile),
          signer: signerOf(config),
          taskSeconds: TASK_SECONDS,
        };
        const tasks = v.safeParse(tasksSchema, JSON.parse(await text(process.stdin)));
        if (!tasks.success) throw new FormatError("CONFIG", `the tasks: ${tasks.issues[0].message}`);
        await writeOut(`${JSON.stringify(await runTasks(tasks.output, tools))}\n`);
        return EXIT.ok;
      },
    },
  },
};

await runProgram(program, process.argv.slice(2));
