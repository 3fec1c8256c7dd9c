/** A program that serves for ever, as `PROGRAM serve CONFIG`: what resident programs of machines have in common. */

import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { calmLog } from "./calm-log.ts";
import { runProgram } from "./command.ts";
import { complain, say } from "./terminal.ts";

export interface Service<Config> {
  name: string;
  /** What it does, one line. */
  does: string;
  /** Unless another file is named. */
  configFile: string;
  read(file: string): Promise<Config>;
  /**
   * Returns when it serves.
   * @param log gets lines for people
   * @param die ends the program: crash only, the supervisor starts it again from what is durable
   */
  serve(config: Config, log: (text: string) => void, die: (error: unknown) => void): Promise<unknown>;
}

/** Runs it with `argv` (without node and script), having given up all power. */
export async function runService<Config>(service: Service<Config>, argv: readonly string[]): Promise<void> {
  const { name, does, configFile } = service;
  const die = (error: unknown): void => {
    complain(name, error);
    process.exit(exitStatusOf(error));
  };
  const help = `${does}\n`;
  const run = async (operands: string[]): Promise<number> => {
    if (operands.length > 1) throw new PolicyError("USAGE", "expected one configuration");
    const config = await service.read(operands[0] ?? configFile);
    giveUpPowers();
    await service.serve(
      config,
      calmLog((text) => say(name, text)),
      die,
    );
    return EXIT.ok;
  };
  await runProgram(
    {
      name,
      version: "1",
      help: `Usage: ${name} serve CONFIG   ${does}\n\nCONFIG is ${configFile} unless named.\n`,
      verbs: { serve: { help, run } },
    },
    argv,
  );
}
