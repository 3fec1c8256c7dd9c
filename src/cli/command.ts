/** A program is a table of verbs. Help is written by hand; options are parsed strictly by `node:util`. */

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { complain, print } from "./terminal.ts";

export type OptionValues = Record<string, string | boolean | (string | boolean)[] | undefined>;

export interface Verb {
  /** The whole help page of the verb: synopsis, what it does, options, an example. */
  help: string;
  options?: ParseArgsOptionsConfig;
  /** Gives the exit status; errors are printed and mapped by {@link runProgram}. */
  run(operands: string[], options: OptionValues): Promise<number>;
}

export interface Program {
  name: string;
  version: string;
  help: string;
  verbs: Record<string, Verb>;
}

/** Runs `argv` (without node and script) and sets the exit status of the process. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<void> {
  try {
    process.exitCode = await dispatch(program, argv);
  } catch (error) {
    complain(program.name, error);
    process.exitCode = exitStatusOf(error);
  }
}

async function dispatch(program: Program, argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const verb = name === "help" && rest[0] !== undefined ? program.verbs[rest[0]] : undefined;
    print(verb?.help ?? program.help);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === "--version") {
    print(`${program.name} ${program.version}\n`);
    return EXIT.ok;
  }
  const verb = Object.hasOwn(program.verbs, name) ? program.verbs[name] : undefined;
  if (verb === undefined) {
    throw new PolicyError(
      "USAGE",
      `there is no command "${name}", expected one of ${Object.keys(program.verbs).join(", ")}`,
      {
        hint: `"${program.name} --help" shows them`,
      },
    );
  }
  let parsed: { values: OptionValues; positionals: string[] };
  try {
    parsed = parseArgs({
      args: rest,
      options: { help: { type: "boolean", short: "h" }, ...verb.options },
      allowPositionals: true,
      strict: true,
    });
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause);
    throw new PolicyError("USAGE", message, { cause, hint: `"${program.name} ${name} --help" shows what it takes` });
  }
  if (parsed.values["help"] === true) {
    print(verb.help);
    return EXIT.ok;
  }
  return await verb.run(parsed.positionals, parsed.values);
}
