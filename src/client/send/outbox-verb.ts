/** `shoal outbox` */

import { fitColumns } from "#cli/columns.ts";
import type { OptionValues, Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { complain, say } from "#cli/terminal.ts";
import { visibleJson, visibleLine } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { localTime } from "../local-time.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile, type Profile } from "../profile.ts";
import { describe, flushOutbox, STATE_WORDS } from "./flush.ts";
import { outTarget } from "./out-login.ts";
import { Outbox } from "./outbox.ts";

export const outboxVerb: Verb = {
  help: `usage: shoal outbox [list] [--json] [--profile NAME]
       shoal outbox flush [NUMBER]... [--anyway|--strict] [--profile NAME]
       shoal outbox show NUMBER [--profile NAME]
       shoal outbox drop NUMBER... [--profile NAME]

Mail that could not be handed over. "shoal sync" sends what waits; so does
"flush". What may have been sent already (the connection was lost before the
server answered) and what was refused is left until you say what to do:
"flush NUMBER" sends it once more, "drop NUMBER" forgets it.

  --anyway        send it also where the way is not protected
  --strict        ask nobody, also on a terminal
  --json          print one JSON object for each message
  --profile NAME  profile to use, default "default"

Exit status: 0 nothing is left that you wanted sent, 75 something is.

Example:
  shoal outbox
  shoal outbox flush 3
`,
  options: {
    anyway: { type: "boolean" },
    strict: { type: "boolean" },
    json: { type: "boolean" },
    profile: { type: "string" },
  },
  async run(operands, options) {
    const [action = "list", ...words] = operands;
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const outbox = new Outbox(places.outbox);
    const numbers = words.map(parseNumber);
    switch (action) {
      case "list":
        if (numbers.length > 0) throw new PolicyError("USAGE", 'expected nothing behind "list"');
        return await list(outbox, options["json"] === true);
      case "flush":
        return await flush(outbox, profile, places, numbers, options);
      case "show":
        if (numbers[0] === undefined || numbers.length > 1) throw new PolicyError("USAGE", "expected one number");
        await writeOut((await outbox.read(numbers[0])).message);
        return EXIT.ok;
      case "drop":
        return await drop(outbox, numbers);
      default:
        throw new PolicyError("USAGE", `expected list, flush, show or drop, found "${action}"`);
    }
  },
};

async function list(outbox: Outbox, json: boolean): Promise<number> {
  const entries = await outbox.list();
  if (entries.length === 0 && !json) say("shoal", "the outbox is empty");
  for (const entry of entries) {
    if (json) {
      await writeOut(`${visibleJson({ ...entry, added: new Date(entry.added * 1000).toISOString() })}\n`);
      continue;
    }
    const { number, added, to, subject, state, said } = entry;
    const columns = [String(number).padStart(3), localTime(added), fitColumns(visibleLine(to), 24, true)];
    await writeOut(`${[...columns, visibleLine(subject)].join("  ").trimEnd()}\n`);
    await writeOut(`     ${STATE_WORDS[state]}: ${visibleLine(said)}\n`);
  }
  return EXIT.ok;
}

async function flush(
  outbox: Outbox,
  profile: Profile,
  places: Places,
  numbers: readonly number[],
  options: OptionValues,
): Promise<number> {
  const unprotected = options["anyway"] === true ? "anyway" : options["strict"] === true ? "never" : "ask";
  const { error, left } = await flushOutbox({
    outbox,
    places,
    login: () => outTarget(profile, places),
    numbers: numbers.length === 0 ? null : numbers,
    unprotected,
  });
  if (left > 0) say("shoal", `${left} in the outbox: shoal outbox`);
  if (error !== undefined) {
    complain("shoal", error);
    return exitStatusOf(error);
  }
  const wanted = (await outbox.list()).filter(({ number }) => numbers.length === 0 || numbers.includes(number));
  return wanted.length > 0 ? EXIT.temporary : EXIT.ok;
}

async function drop(outbox: Outbox, numbers: readonly number[]): Promise<number> {
  if (numbers.length === 0) throw new PolicyError("USAGE", "expected the numbers of messages to forget");
  const lock = await outbox.lock();
  try {
    const entries = [];
    for (const number of numbers) entries.push((await outbox.read(number)).entry);
    for (const entry of entries) {
      await outbox.remove(entry.number);
      say("shoal", `forgot ${describe(entry)}`);
    }
    return EXIT.ok;
  } finally {
    lock.release();
  }
}

function parseNumber(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new PolicyError("USAGE", `expected the number of a message, found "${text}"`);
}
