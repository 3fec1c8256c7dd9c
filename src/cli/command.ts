/** A program is a table of verbs. Help is written by hand; options are parsed strictly by `node:util`. */

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { isChainId } from "#core/account/chain-id.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { complain, mindOutput, print, systemErrorInWords } from "./terminal.ts";

export type OptionValues = Record<string, string | boolean | (string | boolean)[] | undefined>;

export interface Verb {
  /** The whole help page of the verb: synopsis, what it does, options, an example. */
  help: string;
  options?: ParseArgsOptionsConfig;
  /** All words but a first `--help` reach {@link run} as operands: for the manners of another program. */
  takesAll?: true;
  /** Gives the exit status; errors are printed and mapped by {@link runProgram}. */
  run(operands: string[], options: OptionValues): Promise<number>;
}

/** A word that verbs stand behind, as `account` in `shoal account create`. */
export interface VerbGroup {
  /** Says what the verbs are. */
  help: string;
  verbs: Record<string, Verb>;
}

export interface Program {
  name: string;
  version: string;
  help: string;
  verbs: Record<string, Verb | VerbGroup>;
}

/** Runs `argv` (without node and script) and sets the exit status of the process. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<void> {
  mindOutput(program.name);
  try {
    process.exitCode = await dispatch(program, argv);
  } catch (cause) {
    const error = systemErrorInWords(cause);
    complain(program.name, error);
    process.exitCode = exitStatusOf(error);
  }
}

async function dispatch(program: Program, argv: readonly string[]): Promise<number> {
  if (argv[0] === "--version") {
    print(`${program.name} ${program.version}\n`);
    return EXIT.ok;
  }
  const asksHelp = argv[0] === "help";
  const { page, words, rest } = lookUp(program, asksHelp ? argv.slice(1) : argv);
  const [next] = rest;
  if (
    "verbs" in page &&
    ((asksHelp && next === undefined) || next === undefined || next === "--help" || next === "-h")
  ) {
    print(page.help);
    return asksHelp || next !== undefined ? EXIT.ok : EXIT.usage;
  }
  const command = words.join(" ");
  if ("verbs" in page) {
    const all = Object.keys(page.verbs);
    // More would not fit on a terminal's line.
    const expected = all.length > MAX_NAMED_VERBS ? "" : `, expected one of ${all.join(", ")}`;
    throw new PolicyError("USAGE", `there is no command "${[...words.slice(1), next].join(" ")}"${expected}`, {
      hint: `"${command} --help" shows them`,
    });
  }
  if (asksHelp) {
    print(page.help);
    return EXIT.ok;
  }
  if (page.takesAll === true && next !== "--help") return await page.run(rest, {});
  let parsed: { values: OptionValues; positionals: string[] };
  const options: ParseArgsOptionsConfig = { help: { type: "boolean", short: "h" }, ...page.options };
  try {
    parsed = parseArgs({
      args: withDashedIds(rest, options),
      options,
      allowPositionals: true,
      strict: true,
    });
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split(/\.\s/)[0] ?? "") : String(cause);
    throw new PolicyError("USAGE", message, { cause, hint: `"${command} --help" shows what it takes` });
  }
  if (parsed.values["help"] === true) {
    print(page.help);
    return EXIT.ok;
  }
  return await page.run(parsed.positionals, parsed.values);
}

/** One account in 64 has an id that begins with a dash: it is no option, wherever it stands. */
function withDashedIds(words: readonly string[], options: ParseArgsOptionsConfig): string[] {
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  const kept: string[] = [];
  const ids: string[] = [];
  for (const word of words.slice(0, end)) {
    const before = kept.at(-1) ?? "";
    if (!word.startsWith("-") || !isChainId(word) || Object.hasOwn(options, word.slice(2))) kept.push(word);
    else if (before.startsWith("--") && options[before.slice(2)]?.type === "string") kept.push(`${kept.pop()}=${word}`);
    else ids.push(word);
  }
  if (ids.length === 0) return [...kept, ...words.slice(end)];
  return [...kept, "--", ...ids, ...words.slice(end + 1)];
}

const MAX_NAMED_VERBS = 12;

/** Follows words as far as they name verbs. */
function lookUp(
  program: Program,
  argv: readonly string[],
): { page: Program | VerbGroup | Verb; words: string[]; rest: string[] } {
  let page: Program | VerbGroup | Verb = program;
  const words = [program.name];
  const rest = [...argv];
  while ("verbs" in page) {
    const [word = ""] = rest;
    const found: VerbGroup | Verb | undefined = Object.hasOwn(page.verbs, word) ? page.verbs[word] : undefined;
    if (found === undefined) break;
    page = found;
    words.push(word);
    rest.shift();
  }
  return { page, words, rest };
}
