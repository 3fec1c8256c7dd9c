/**
 * The command line of `sendmail`, as mail programs, git and cron write it. What means nothing here and does no harm is
 * passed over; what would ask for something that is not done is refused.
 */

import { PolicyError } from "#core/errors.ts";

export interface SendmailCommand {
  readonly action: "send" | "list" | "flush" | "aliases";
  /** `-t`: recipients of the header, too. */
  readonly fromHeader: boolean;
  /** `-i`, `-oi`: a line with a dot alone does not end the message. */
  readonly ignoreDots: boolean;
  /** `-f`, `-r`. */
  readonly sender: string | null;
  /** `-F`: the name beside the address. */
  readonly name: string | null;
  readonly verbose: boolean;
  readonly anyway: boolean;
  readonly profile: string | null;
  readonly recipients: readonly string[];
}

/** Flags whose value is passed over: body type, delivery notices, hops, labels, the protocol of reception. */
const IGNORED_WITH_VALUE = new Set(["B", "N", "R", "V", "h", "L", "p", "A"]);
/** Submission, no aliases, the sender as well, a gateway's mail. */
const IGNORED = new Set(["U", "n", "m", "G"]);
/** Behind `-o`: how errors are told, when it is delivered, the sender as well, old header style, 7 or 8 bits, patience. */
const IGNORED_O = /^(?:e[mpqwe]?|d[bidq]?|m|o|7|8(?:mime|bitmime|pass)?|T[0-9a-z]*)$/;
const HINT = '"shoal sendmail --help" shows what it takes';

/** @throws PolicyError USAGE */
export function parseSendmail(argv: readonly string[]): SendmailCommand {
  const recipients: string[] = [];
  let action: SendmailCommand["action"] = "send";
  let [fromHeader, ignoreDots, verbose, anyway] = [false, false, false, false];
  let sender: string | null = null;
  let name: string | null = null;
  let profile: string | null = null;
  let at = 0;
  const value = (flag: string, attached: string): string => {
    if (attached !== "") return attached;
    const next = argv[++at];
    if (next === undefined) throw new PolicyError("USAGE", `expected a value behind -${flag}`, { hint: HINT });
    return next;
  };
  for (; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") {
      recipients.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      recipients.push(word);
      continue;
    }
    if (word.startsWith("--")) {
      if (word === "--anyway") anyway = true;
      else if (word === "--profile") profile = value("-profile", "");
      else if (word.startsWith("--profile=")) profile = word.slice("--profile=".length);
      // It is never asked here.
      else if (word !== "--strict") throw unknown(word);
      continue;
    }
    let rest = word.slice(1);
    while (rest !== "") {
      const flag = rest.charAt(0);
      const attached = rest.slice(1);
      rest = "";
      if (flag === "t" || flag === "i" || flag === "v") {
        // These alone may stand together: -ti.
        rest = attached;
        if (flag === "t") fromHeader = true;
        else if (flag === "i") ignoreDots = true;
        else verbose = true;
      } else if (flag === "f" || flag === "r") sender = value(flag, attached);
      else if (flag === "F") name = value(flag, attached);
      else if (flag === "b") action = parseMode(attached);
      else if (flag === "o") ignoreDots = parseOld(value(flag, attached)) || ignoreDots;
      else if (flag === "q" && attached === "") action = "flush";
      else if (IGNORED_WITH_VALUE.has(flag)) value(flag, attached);
      else if (IGNORED.has(flag)) rest = attached;
      else throw unknown(word);
    }
  }
  return { action, fromHeader, ignoreDots, sender, name, verbose, anyway, profile, recipients };
}

function parseMode(mode: string): SendmailCommand["action"] {
  if (mode === "m") return "send";
  if (mode === "p") return "list";
  if (mode === "i") return "aliases";
  throw unknown(`-b${mode}`);
}

/** @returns true for `-oi` */
function parseOld(option: string): boolean {
  if (option === "i") return true;
  if (IGNORED_O.test(option)) return false;
  throw unknown(`-o${option}`);
}

function unknown(word: string): PolicyError {
  return new PolicyError("USAGE", `sendmail's ${JSON.stringify(word)} is not done here`, { hint: HINT });
}
