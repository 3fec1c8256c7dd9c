import type { OptionValues, Verb, VerbGroup } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import type { Directory, DirectoryEntry } from "#core/account/directory.ts";
import { PolicyError } from "#core/errors.ts";
import { fleetFileOf, fleetOption, noMore, readFleet, readFleetToBe } from "#fleet/fleet-option.ts";
import { certify } from "#fleet/ledger/certify.ts";
import { unixTime } from "#host/clock.ts";
import { changeOperators, settle } from "./change.ts";
import { createDirectory } from "./create-directory.ts";
import { operatorIn } from "./operator.ts";
import { OperatorCopy } from "./operator-copy.ts";
import { fingerprintOf, nextOperators } from "./operators.ts";
import { publicLineOf } from "./sign.ts";

const create: Verb = {
  help: `Usage: shoalctl directory create [--fleet FILE] --key FILE [--key FILE ...]

Begins the directory of accounts: which name belongs to which account. Only who has one of these keys can change it;
every machine verifies that. The keys never leave this computer: ssh-keygen signs with them, so files with a
passphrase, keys of an agent (name the .pub file) and security keys all work. Two keys on different media are better than
one: without any, the fleet could take no further account.

Prints the line for the fleet definition. The directory itself lies beside the definition (FLEET.directory); keep a copy.

Example:
  ssh-keygen -t ed25519 -f ~/.ssh/shoal-operator
  shoalctl directory create --key ~/.ssh/shoal-operator
`,
  options: { ...fleetOption, key: { type: "string", multiple: true } },
  async run(operands, options) {
    noMore(operands);
    const keyFiles = Array.isArray(options["key"]) ? options["key"].map(String) : [];
    if (keyFiles.length === 0) {
      throw new PolicyError("USAGE", "no key named", { hint: "shoalctl directory create --key FILE" });
    }
    const { domain } = await readFleetToBe(options);
    const fleetFile = fleetFileOf(options);
    const id = await createDirectory({ fleetFile, domain, keyFiles, now: unixTime() });
    print(`directory: ${id}\n`);
    say("shoalctl", `put that line into "${fleetFile}"; the directory is in "${OperatorCopy.pathFor(fleetFile)}"`);
    return 0;
  },
};

const operators: Verb = {
  help: `Usage: shoalctl directory operators [--fleet FILE] [--add FILE.pub ...] [--remove KEY ...] [--key FILE ...]

Changes whose keys sign the directory. An operator of before signs, and each new key signs as well, so that nobody is made
one by mistake. What a removed key signed until now stays; from then on no machine believes it. The list of the keys that sign
mailboxes is signed anew. Hand out the lines of \`shoalctl known-hosts\` after that.

  --add FILE   public key of a new operator; its private half lies beside it, is in an agent, or is named with --key
  --remove KEY fingerprint (SHA256:…) or public key file of an operator who is one no more
  --key FILE   a key to sign with, private or (for an agent) public; without it, an agent is asked

A directory has 1 to 5 operators. Exit status 75 when some machine has not taken it within 10 s.

Example:
  shoalctl directory operators --add new.pub --remove SHA256:… --key ~/.ssh/shoal-operator
`,
  options: {
    ...fleetOption,
    add: { type: "string", multiple: true },
    remove: { type: "string", multiple: true },
    key: { type: "string", multiple: true },
  },
  async run(operands, options) {
    noMore(operands);
    const [addFiles, removed] = [wordsOf(options["add"]), wordsOf(options["remove"])];
    if (addFiles.length + removed.length === 0) {
      throw new PolicyError("USAGE", "nothing to change", { hint: "--add FILE.pub, --remove FINGERPRINT or both" });
    }
    const add = await linesOf(addFiles);
    const remove = await Promise.all(
      removed.map(async (word) => (word.startsWith("SHA256:") ? word : await publicLineOf(word))),
    );
    const { operator } = await operatorIn(options);
    await settle(operator);
    const before = operator.copy.directory.latest?.record.operators ?? [];
    const named = new Set(await linesOf(operator.keyFiles));
    // The private half of a new key mostly lies beside the public one.
    const beside = addFiles.filter((_, index) => !named.has(add[index] ?? ""));
    const keyFiles = [...operator.keyFiles, ...beside];
    const late = await changeOperators({ ...operator, keyFiles }, nextOperators(before, add, remove));
    // What only a removed key has signed counts no more, and readers may know the new ones alone.
    await certify({ ...operator, keyFiles });
    const count = operator.copy.directory.latest?.record.operators.length;
    const where = late.length === 0 ? "on all machines" : `not yet on ${late.join(", ")}`;
    say("shoalctl", `the directory has ${count} operators now, ${where}; keep a copy of "${operator.copy.path}"`);
    return late.length === 0 ? 0 : 75;
  },
};

function wordsOf(option: OptionValues[string]): string[] {
  return Array.isArray(option) ? option.map(String) : [];
}

async function linesOf(files: readonly string[]): Promise<string[]> {
  return await Promise.all(files.map(publicLineOf));
}

const show: Verb = {
  help: `Usage: shoalctl directory show [--fleet FILE]

Shows the directory as the copy beside the definition has it, verified: its id, its version, the keys of its operators, and
how many accounts there are. Asks no machine; \`shoalctl account verify\` does.
`,
  options: fleetOption,
  async run(operands, options) {
    noMore(operands);
    const { domain, directory: id } = await readFleet(options);
    const { directory } = await OperatorCopy.read(fleetFileOf(options), domain, id);
    print(describeDirectory(directory));
    return 0;
  },
};

/** Lines for people, `NAME VALUE`. */
export function describeDirectory({ id, latest, entries }: Directory): string {
  const count = (wanted: DirectoryEntry["status"]): number =>
    [...entries.values()].filter(({ status }) => status === wanted).length;
  const { version = 0, operators: keys = [] } = latest?.record ?? {};
  const lines = [
    `directory ${id}`,
    `version ${version}`,
    ...keys.map((key) => `operator ${fingerprintOf(key)} ${key}`),
    ...(["active", "suspended", "removed"] as const).map((status) => `${status} ${count(status)}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

export const directoryVerbs: VerbGroup = {
  help: `Usage: shoalctl directory COMMAND [--fleet FILE] [ARGUMENT ...]

The directory of accounts, signed by the operator.

Commands:
  create --key FILE ...  begin it, once for a fleet
  operators              change whose keys sign it
  show                   its id and version, its operators, how many accounts

\`shoalctl directory COMMAND --help\` tells more.
`,
  verbs: { create, operators, show },
};
