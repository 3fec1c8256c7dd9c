/** `shoalctl ledger …`: the signed mailboxes, as far as they are the operator's business. */

import type { Verb, VerbGroup } from "#cli/command.ts";
import { print } from "#cli/terminal.ts";
import { settle } from "#fleet/accounts/change.ts";
import { ledgerOf, operatorIn } from "#fleet/accounts/operator.ts";
import { fleetOption, noMore, readFleet } from "#fleet/fleet-option.ts";
import { unixTime } from "#host/clock.ts";
import { certify } from "./certify.ts";
import { describeLedger, ledgerWarnings } from "./standing.ts";

const certifyVerb: Verb = {
  help: `Usage: shoalctl ledger certify [--fleet FILE] [--key FILE ...]

Signs, as an operator of the directory, that the ledger's key signs mailboxes, for 60 days from now. Keys of ledgers before it
count for six hours more. Clients believe no mailbox without it. The key is made on the ledger and never leaves it.

  --key FILE   a key of an operator of the directory, private or (for an agent) public; without it, an agent is asked. With
               several, each signs

\`shoalctl account add\` does the same where the key is not certified, or ends within two weeks.

Example:
  shoalctl ledger certify --key ~/.ssh/shoal-operator
`,
  options: { ...fleetOption, key: { type: "string", multiple: true } },
  async run(operands, options) {
    noMore(operands);
    const { operator } = await operatorIn(options);
    await settle(operator);
    await certify(operator);
    return 0;
  },
};

const status: Verb = {
  help: `Usage: shoalctl ledger status [--fleet FILE] [--json]

Shows how many mailboxes have a signed list, until when the key that signs them counts, and what has yet to be written to the
fetch machines. Exit status 1 when users have to wait for something.
`,
  options: { ...fleetOption, json: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const standing = await ledgerOf(await readFleet(options)).mailboxes();
    const now = unixTime();
    const warnings = ledgerWarnings(standing, now);
    if (options["json"] === true) print(`${JSON.stringify({ ...standing, warnings })}\n`);
    else print(describeLedger(standing, now));
    return warnings.length === 0 ? 0 : 1;
  },
};

export const ledgerVerbs: VerbGroup = {
  help: `Usage: shoalctl ledger COMMAND [--fleet FILE] [ARGUMENT ...]

The signed lists of mailboxes.

Commands:
  certify [--key FILE ...]  say that the ledger's key signs them
  status [--json]           how they are

\`shoalctl ledger COMMAND --help\` tells more.
`,
  verbs: { certify: certifyVerb, status },
};
