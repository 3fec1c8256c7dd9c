/** shoal-seal: smtpd's filter through which no message passes in clear. See seal.8.md. */

import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { complain } from "#cli/terminal.ts";
import { exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readSealConfig } from "../config.ts";
import { SealFilter } from "./filter.ts";
import { LineSplitter } from "./line-splitter.ts";
import { Output } from "./output.ts";

/** smtpd's own lines have at most 65,536 bytes. */
const maxLineBytes = 4 * 1024 * 1024;
const refreshMilliseconds = 250;
let unloggedLines = 0;

/** A log that nobody can write to must not stop the mail. */
function log(text: string): void {
  try {
    writeSync(2, `${unloggedLines > 0 ? `(${unloggedLines} lines lost) ` : ""}${text.replaceAll("\n", " ")}\n`);
    unloggedLines = 0;
  } catch {
    unloggedLines += 1;
  }
}

async function start(): Promise<void> {
  giveUpPowers();
  const config = await readSealConfig(process.argv[2] ?? "/etc/shoal/seal.json");
  const stdout = new Socket({ fd: 1, readable: false, writable: true });
  stdout.on("error", (error) => log(`smtpd does not listen: ${error.message}`));
  const filter = new SealFilter(config, new Output(stdout), log);
  await filter.refresh();
  setInterval(() => void filter.refresh(), refreshMilliseconds);
  const splitter = new LineSplitter(maxLineBytes);
  const stdin = new Socket({ fd: 0, readable: true, writable: false });
  stdin.on("data", (chunk: Buffer) => splitter.push(chunk, (line) => filter.take(line)));
  stdin.on("error", (error) => log(`smtpd does not speak: ${error.message}`));
  // smtpd has gone: the one reason to end.
  stdin.on("close", () => process.exit(0));
}

// smtpd ends when a filter does, and all mail with it: whatever happens, this program goes on.
process.on("uncaughtException", (error) => log(error.stack ?? error.message));
process.on("unhandledRejection", (error) => log(String(error)));

try {
  await start();
} catch (error) {
  complain("shoal-seal", error);
  process.exit(exitStatusOf(error));
}
