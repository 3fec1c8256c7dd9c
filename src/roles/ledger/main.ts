/** shoal-ledger: says which state of each account is the latest. See ledger.8.md. */

import { calmLog } from "#cli/calm-log.ts";
import { type Program, runProgram } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { complain, print, say } from "#cli/terminal.ts";
import { FEED_HELLO, printFrame, type ReplyFrame } from "#core/account/feed.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { adopt, askFor, certify, dump, submit } from "./ask.ts";
import { type LedgerConfig, readLedgerConfig } from "./config.ts";
import { restore } from "./restore.ts";
import { serve } from "./serve.ts";

const name = "shoal-ledger";

const program: Program = {
  name,
  version: "1",
  help: `Usage: ${name} serve CONFIG     keep the accounts of a domain and feed the machines
       ${name} submit CONFIG    hand in records from standard input
       ${name} status CONFIG    one line of JSON: how the machines are
       ${name} signer CONFIG    one line of JSON: the key that signs mailboxes
       ${name} certify CONFIG   take a signed list of such keys from standard input
       ${name} dump CONFIG      print all records of accounts, not the mailboxes
       ${name} restore CONFIG   make an empty store of accounts of a dump on standard input
       ${name} adopt CONFIG     take mailboxes that the store has lost as their machines show them

CONFIG is /etc/shoal/ledger.json unless named.
`,
  verbs: {
    serve: verb("keeps the accounts of a domain and feeds the machines", async (config) => {
      giveUpPowers();
      await serve(
        config,
        calmLog((text) => say(name, text)),
        die,
      );
      return EXIT.ok;
    }),
    submit: verb("hands in frames from standard input, prints an answer for each", async ({ socket }) => {
      print(`${FEED_HELLO}\n`);
      return (await submit(socket, process.stdin, printReply)) ? EXIT.ok : EXIT.failure;
    }),
    status: verb("prints one line of JSON", async ({ socket }) => {
      print(`${await askFor("status", socket)}\n`);
      return EXIT.ok;
    }),
    signer: verb("prints one line of JSON: publicKey, listedUntil, list", async ({ socket }) => {
      print(`${await askFor("signer", socket)}\n`);
      return EXIT.ok;
    }),
    certify: verb("takes a list of the keys that sign mailboxes, signed by the operator", async ({ socket }) => {
      const answer = await certify(socket, process.stdin);
      print(`${answer.code} ${answer.text}\n`);
      return answer.code === "ACCEPTED" ? EXIT.ok : EXIT.failure;
    }),
    adopt: verb(
      "takes mailboxes that the store has lost as the machines show them that keep their mail",
      async (config) => {
        const answer = await adopt(config.socket);
        print(`${answer.code} ${answer.text}\n`);
        return answer.code === "ACCEPTED" ? EXIT.ok : EXIT.failure;
      },
    ),
    dump: verb("prints all records, then `end`", async ({ socket }) => {
      print(`${FEED_HELLO}\n`);
      for await (const frame of dump(socket)) await writeOut(printFrame(frame));
      return EXIT.ok;
    }),
    restore: verb("makes an empty store of a dump on standard input", async (config) => {
      giveUpPowers();
      say(name, `${await restore(config, process.stdin)} records`);
      return EXIT.ok;
    }),
  },
};

function verb(what: string, run: (config: LedgerConfig) => Promise<number>): Program["verbs"][string] {
  return {
    help: `${what}\n`,
    run: async (operands) => {
      if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
      return await run(await readLedgerConfig(operands[0] ?? "/etc/shoal/ledger.json"));
    },
  };
}

function printReply(frame: ReplyFrame): void {
  process.stdout.write(printFrame(frame));
}

/** Crash only: the supervisor starts it again from what is durable. */
function die(error: unknown): void {
  complain(name, error);
  process.exit(exitStatusOf(error));
}

await runProgram(program, process.argv.slice(2));
