/** `shoalctl dkim`: the keys that sign mail. */

import type { Verb, VerbGroup } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import type { Fleet } from "./definition/definition.ts";
import { dkimRecords, rollDkim } from "./dkim.ts";
import { fleetOption, noMore, readFleet } from "./fleet-option.ts";

const list: Verb = {
  help: `Usage: shoalctl dkim list [--fleet FILE] [--json]

Shows the keys that sign mail, one line each: what it is used for, the name of its DNS record, and the text of that.
"current" signs; "next" must be published already, so that it can sign from one moment to the next; "previous" stays
published for mail that is on its way. A record with an empty p= says that the key is revoked.
`,
  options: { ...fleetOption, json: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const fleet = await readSendingFleet(options);
    const records = await dkimRecords(fleet);
    const named = records.map((record) => ({ name: `${record.selector}._domainkey.${fleet.domain}`, ...record }));
    if (options["json"] === true) print(`${JSON.stringify(named)}\n`);
    else for (const { use, name, txt } of named) print(`${use.padEnd(8)} ${name} ${txt}\n`);
    return 0;
  },
};

const roll: Verb = {
  help: `Usage: shoalctl dkim roll [--fleet FILE] [--revoke]

Makes the next generation of keys the one that signs, from the next \`shoalctl up\` on, and makes another next one. What has
to be published changes: \`shoalctl dns\` shows it. Publish the new records first, then run \`up\`.

Refused within 5 days of the last time, because the records of the keys before go away, and mail that they signed may be
on its way.

  --revoke  somebody else may have the current keys (a machine "out" was broken into): no pause is kept, and their records
            are to be replaced by ones that say so. Mail that they have signed is then not believed, wherever it is.

Example:
  shoalctl dns --check && shoalctl dkim roll && shoalctl dns
`,
  options: { ...fleetOption, revoke: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const fleet = await readSendingFleet(options);
    const revoke = options["revoke"] === true;
    const { current } = await rollDkim(fleet, { now: unixTime(), revoke });
    if (revoke)
      say(
        "shoalctl",
        `generation ${current - 1} is revoked by its new record: mail that it signed and that is on its way then fails`,
      );
    say(
      "shoalctl",
      `generation ${current} signs from the next "shoalctl up" on; publish what "shoalctl dkim list" shows before that`,
    );
    return 0;
  },
};

async function readSendingFleet(options: Parameters<Verb["run"]>[1]): Promise<Fleet> {
  const fleet = await readFleet(options);
  if (fleet.roles.out > 0) return fleet;
  throw new PolicyError("USAGE", "this fleet sends no mail, so nothing is signed", {
    hint: 'name "out: 1" under "roles" in its definition',
  });
}

export const dkimVerbs: VerbGroup = {
  help: `Usage: shoalctl dkim COMMAND [--fleet FILE]

The keys by which receivers know that mail is from this domain (DKIM).

Commands:
  list  the keys, and what is to be published of them
  roll  let the next ones sign

\`shoalctl help dkim COMMAND\` tells more.
`,
  verbs: { list, roll },
};
