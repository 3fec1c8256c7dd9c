/** shoal-courier: takes sealed envelopes from smtpd, adds them to the mailboxes on `fetch`, and has them listed. See courier.8.md. */

import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { complain, say } from "#cli/terminal.ts";
import { parseRecipients } from "#core/recipients.ts";
import { exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readCourierConfig } from "../config.ts";
import { KnownFile } from "../known-file.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { Deliverer } from "./deliver.ts";
import { FetchMachine } from "./fetch-machine.ts";
import { Ledger } from "./ledger.ts";
import { serveSession } from "./session.ts";
import { UsageKeeper } from "./usage-keeper.ts";

const name = "shoal-courier";
/** Pause after a machine did not tell its sizes. */
const retrySeconds = 1;
const writeSeconds = 1;
const log = (text: string): void => say(name, text);

/** What is deposited counts against the quota within a second. */
async function keepWriting(usage: UsageKeeper): Promise<void> {
  for (;;) {
    await usage.write().catch((error: unknown) => {
      log(`can't write mailbox sizes: ${error instanceof Error ? error.message : String(error)}`);
    });
    await sleep(writeSeconds * 1000);
  }
}

try {
  giveUpPowers();
  const config = await readCourierConfig(process.argv[2] ?? "/etc/shoal/courier.json");
  // smtpd comes with ten messages at a time: one machine that is away must not take all of these from the others.
  const maxWaiting = config.fetch.length === 1 ? Number.POSITIVE_INFINITY : 3;
  const machines = config.fetch.map((machine) => new FetchMachine(machine, maxWaiting));
  const usage = new UsageKeeper(
    config.usageFile,
    machines.map((machine) => machine.name),
  );
  const ledger = config.ledger === undefined ? null : new Ledger(config.ledger, log);
  const deliverer = new Deliverer({
    accounts: new KnownFile(config.recipientsFile, parseRecipients, log),
    machines,
    usage,
    ledger,
    patienceSeconds: config.patienceSeconds,
  });
  const { maxMessageBytes } = config;
  const budget = new MemoryBudget(config.maxMemoryBytes);
  const server = createServer({ noDelay: true }, (socket) => {
    void serveSession(socket, { maxMessageBytes, budget, deliverer, log });
  });
  server.on("error", (error) => {
    complain(name, error);
    process.exit(exitStatusOf(error));
  });
  server.listen({ host: config.listen.address, port: config.listen.port, backlog: 256 }, () => log("ready"));

  void keepWriting(usage);
  void ledger?.keep();
  for (;;) {
    let pause = config.usageSeconds;
    for (const machine of machines) {
      try {
        usage.counted(machine.name, await machine.usage());
      } catch (error) {
        // Seal refuses new mail with 451 when the file gets too old.
        pause = Math.min(pause, retrySeconds);
        log(`no mailbox sizes from ${machine.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    await sleep(pause * 1000);
  }
} catch (error) {
  complain(name, error);
  process.exit(exitStatusOf(error));
}
