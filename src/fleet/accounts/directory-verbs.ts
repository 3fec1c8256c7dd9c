import type { Verb, VerbGroup } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { fleetFileOf, fleetOption, noMore, readFleetToBe } from "#fleet/fleet-option.ts";
import { createDirectory } from "./create-directory.ts";
import { unixTime } from "./operator.ts";
import { OperatorCopy } from "./operator-copy.ts";

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

export const directoryVerbs: VerbGroup = {
  help: `Usage: shoalctl directory create [--fleet FILE] --key FILE ...

The directory of accounts, signed by the operator. \`shoalctl directory create --help\` tells more.
`,
  verbs: { create },
};
