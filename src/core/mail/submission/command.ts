/** What a user may ask for: the text that sshd hands over as SSH_ORIGINAL_COMMAND (docs/formats/submission.md). */

import { PolicyError } from "#core/errors.ts";
import { parseEnvelopeAddress, printAddress } from "./envelope-address.ts";
import { quoted } from "./mistake.ts";

export interface SendCommand {
  /** `send-anyway`: also where the way is not protected. */
  readonly verb: "send" | "send-anyway";
  /** `-f`; null: as in From. */
  readonly envelopeFrom: string | null;
  /** Null: those of the header. */
  readonly recipients: readonly string[] | null;
  readonly json: boolean;
  /** `--bytes`: how many the message has as it is handed in; null: not said. */
  readonly bytes: number | null;
}

export type SubmissionCommand =
  | SendCommand
  | { readonly verb: "check"; readonly addresses: readonly string[]; readonly json: boolean }
  | { readonly verb: "limits"; readonly json: boolean }
  | { readonly verb: "help" };

/** A hundred addresses of the greatest length, and the words around them. */
export const MAX_COMMAND_CHARACTERS = 32_768;
/** Of one message, or of one `check`. */
export const MAX_RECIPIENTS = 100;

const VERBS = "send, send-anyway, check, limits, help";

interface Words {
  operands: string[];
  envelopeFrom: string | null;
  json: boolean;
  bytes: number | null;
}

/**
 * Parses a command; nothing in it is ever handed to a shell.
 * @throws PolicyError USAGE, TOO-MANY; FormatError RECIPIENT for an address
 */
export function parseCommand(text: string): SubmissionCommand {
  const [verb = "send", ...rest] = splitWords(text);
  switch (verb) {
    case "send":
    case "send-anyway": {
      const { operands, envelopeFrom, json, bytes } = readWords(verb, rest);
      const recipients = operands.length === 0 ? null : parseAddresses(operands);
      return { verb, envelopeFrom, recipients, json, bytes };
    }
    case "check": {
      const { operands, envelopeFrom, json, bytes } = readWords(verb, rest);
      if (envelopeFrom !== null || bytes !== null) throw usage('"check" takes no -f and no --bytes');
      if (operands.length === 0) throw usage('expected addresses behind "check"');
      return { verb, addresses: parseAddresses(operands), json };
    }
    case "limits": {
      const { operands, envelopeFrom, json, bytes } = readWords(verb, rest);
      if (operands.length > 0 || envelopeFrom !== null || bytes !== null)
        throw usage('expected nothing but --json behind "limits"');
      return { verb, json };
    }
    case "help":
      if (rest.length > 0) throw usage('expected nothing behind "help"');
      return { verb };
    default: {
      const hint = verb.includes("@") ? "write: send ADDRESS" : undefined;
      throw usage(`expected one of ${VERBS}, found ${quoted(verb)}`, hint);
    }
  }
}

/** Words stand between spaces. No mark has a meaning, and those that look as if they had are refused. */
function splitWords(text: string): string[] {
  if (text.length > MAX_COMMAND_CHARACTERS) {
    throw usage(`expected a command of at most ${MAX_COMMAND_CHARACTERS} characters`);
  }
  if (/[^ -~]/.test(text)) throw usage("expected a command in printable ASCII, without control characters");
  const words = text.split(" ").filter((word) => word !== "");
  for (const word of words) {
    // An apostrophe inside is part of an address: o'brien@example.org.
    if (!/["\\]|^'|'$/.test(word)) continue;
    throw usage(`quotes have no meaning here, found ${quoted(word)}`, "write words without quotes");
  }
  return words;
}

function readWords(verb: string, words: readonly string[]): Words {
  const operands: string[] = [];
  let envelopeFrom: string | null = null;
  let json = false;
  let bytes: number | null = null;
  let options = true;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (options && word === "--") {
      options = false;
    } else if (options && word === "--json") {
      if (json) throw usage("--json stands there twice");
      json = true;
    } else if (options && word === "--bytes") {
      if (bytes !== null) throw usage("--bytes stands there twice");
      at += 1;
      bytes = parseBytes(words[at]);
    } else if (options && word === "-f") {
      if (envelopeFrom !== null) throw usage("-f stands there twice");
      at += 1;
      const address = words[at];
      if (address === undefined) throw usage("expected an address behind -f");
      envelopeFrom = printAddress(parseEnvelopeAddress(address));
    } else if (options && word.startsWith("-")) {
      throw usage(`${quoted(word)} is no option of "${verb}": expected -f ADDRESS, --bytes NUMBER or --json`);
    } else {
      operands.push(word);
    }
  }
  return { operands, envelopeFrom, json, bytes };
}

function parseBytes(word: string | undefined): number {
  if (word !== undefined && /^(?:0|[1-9][0-9]{0,9})$/.test(word)) return Number(word);
  throw usage(`expected a number of bytes behind --bytes${word === undefined ? "" : `, found ${quoted(word)}`}`);
}

function parseAddresses(words: readonly string[]): string[] {
  const addresses = [...new Set(words.map((word) => printAddress(parseEnvelopeAddress(word))))];
  if (addresses.length <= MAX_RECIPIENTS) return addresses;
  throw new PolicyError("TOO-MANY", `${addresses.length} addresses: expected at most ${MAX_RECIPIENTS}`, {
    hint: "send it in parts",
  });
}

function usage(message: string, hint = 'ask with the command "help"'): PolicyError {
  return new PolicyError("USAGE", message, { hint });
}
