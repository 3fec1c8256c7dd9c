/** `shoalctl account …`: what the operator says of accounts. What their keys may do, only their owners say. */

import type { OptionValues, Verb, VerbGroup } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import type { DirectoryChange, DirectoryEntry } from "#core/account/directory.ts";
import { PolicyError, VerifyError } from "#core/errors.ts";
import type { Fleet } from "#fleet/definition/definition.ts";
import { parseSize, printSize } from "#fleet/definition/size.ts";
import { fleetOption, noMore } from "#fleet/fleet-option.ts";
import { addAccounts } from "./add-accounts.ts";
import { type Addition, placeIn, readAdditions, readSignedState } from "./additions.ts";
import { verifyDump } from "./audit.ts";
import { changeDirectory, handIn, type Operator, settle, waitUntilTaken } from "./change.ts";
import { operatorIn } from "./operator.ts";
import { verify } from "./verify-verb.ts";

const keyOption = { key: { type: "string" } } as const;
const placeOptions = { quota: { type: "string" }, fetch: { type: "string" } } as const;

const keyHelp = `  --key FILE   a key of an operator of the directory, private or (for an agent) public; without it, an agent is asked`;

const add: Verb = {
  help: `Usage: shoalctl account add [--fleet FILE] [--key FILE] [--quota SIZE] [--fetch N] NAME GENESIS
       shoalctl account add [--fleet FILE] [--key FILE] --from LIST

Gives a name to an account whose owner has signed its first state (GENESIS, what \`shoal account request\` prints). From
then on only the owner changes it. A name is never given to anybody else.

  --quota SIZE mailbox size, as in "200 MB"; default is the definition's
  --fetch N    number of the fetch machine, needed where there are several
  --from LIST  many at once: lines NAME GENESIS-FILE [QUOTA-BYTES [FETCH]], in one record with one signature
${keyHelp}

What was cut short can be repeated. Exit status 75 when some machine has not taken it within 10 s.

Example:
  shoalctl account add alice alice.account --quota "1 GB"
`,
  options: { ...fleetOption, ...keyOption, ...placeOptions, from: { type: "string" } },
  async run(operands, options) {
    const { fleet, operator } = await operatorIn(options);
    const additions = await additionsOf(operands, options, fleet);
    const late = await addAccounts(operator, additions);
    return tell(
      late,
      additions.length === 1 ? `"${additions[0]?.name}" is added` : `${additions.length} accounts are added`,
    );
  },
};

async function additionsOf(operands: readonly string[], options: OptionValues, fleet: Fleet): Promise<Addition[]> {
  if (typeof options["from"] === "string") {
    noMore(operands);
    return await readAdditions(options["from"], fleet);
  }
  const [name, file, ...rest] = operands;
  noMore(rest);
  if (name === undefined || file === undefined) {
    throw new PolicyError("USAGE", "no name or no first state named", { hint: "shoalctl account add NAME GENESIS" });
  }
  const place = placeIn(fleet, quotaIn(options) ?? fleet.limits.quotaBytes, fetchIn(options));
  return [{ name, genesis: await readSignedState(file), ...place }];
}

function quotaIn(options: OptionValues): number | null {
  const text = options["quota"];
  if (typeof text !== "string") return null;
  const bytes = parseSize(text);
  if (bytes === null) throw new PolicyError("USAGE", `--quota is "${text}", expected a size as in "200 MB"`);
  return bytes;
}

function fetchIn(options: OptionValues): number | null {
  const text = options["fetch"];
  if (typeof text !== "string") return null;
  if (!/^[1-9]$/.test(text)) throw new PolicyError("USAGE", `--fetch is "${text}", expected the number of a machine`);
  return Number(text);
}

/** Says what happened and who does not know it yet; gives the exit status. */
function tell(late: readonly string[], what: string): number {
  if (late.length === 0) {
    say("shoalctl", `${what}, on all machines`);
    return 0;
  }
  say("shoalctl", `${what}; not yet on ${late.join(", ")}, who get it from the ledger when they can`);
  return 75;
}

const statusHelp: Readonly<Record<"remove" | "resume" | "suspend", string>> = {
  remove: `Takes accounts away: they log in nowhere and get no mail. Their mail stays until the retention time is over; their names
stay in the directory for ever. This can't be taken back.`,
  suspend: `Lets accounts rest: they log in to no mailbox, and mail for them is put off (450), so senders keep it for some days.
Their owners can still change their keys.`,
  resume: "Ends what `shoalctl account suspend` began.",
};

function statusVerb(kind: "remove" | "resume" | "suspend", done: string): Verb {
  return {
    help: `Usage: shoalctl account ${kind} [--fleet FILE] [--key FILE] NAME ...

${statusHelp[kind]}

${keyHelp}
`,
    options: { ...fleetOption, ...keyOption },
    async run(names, options) {
      if (names.length === 0) throw new PolicyError("USAGE", "no account named");
      const { operator } = await operatorIn(options);
      await settle(operator);
      const late = await changeDirectory(
        operator,
        names.map((name) => ({ kind, name })),
      );
      return tell(late, `${names.map((name) => `"${name}"`).join(", ")} ${done}`);
    },
  };
}

const set: Verb = {
  help: `Usage: shoalctl account set [--fleet FILE] [--key FILE] [--quota SIZE] [--fetch N] NAME ...

Changes the mailbox size of accounts, or the fetch machine that keeps their mail. Mail that is on another machine already
stays there until it is fetched or its time is over, and its owner is no user there any more: fetch first, then move.

${keyHelp}
`,
  options: { ...fleetOption, ...keyOption, ...placeOptions },
  async run(names, options) {
    if (names.length === 0) throw new PolicyError("USAGE", "no account named");
    const [quota, fetch] = [quotaIn(options), fetchIn(options)];
    if (quota === null && fetch === null) {
      throw new PolicyError("USAGE", "nothing to set", { hint: "--quota SIZE, --fetch N or both" });
    }
    const { fleet, operator } = await operatorIn(options);
    await settle(operator);
    const changes = names.map((name): DirectoryChange => {
      const entry = operator.copy.directory.entries.get(name);
      if (entry === undefined) throw new PolicyError("NAME-UNKNOWN", `there is no account "${name}"`);
      return { kind: "set", name, ...placeIn(fleet, quota ?? entry.quotaBytes, fetch ?? entry.fetch) };
    });
    const late = await changeDirectory(operator, changes);
    return tell(late, `${names.map((name) => `"${name}"`).join(", ")} set`);
  },
};

const submit: Verb = {
  help: `Usage: shoalctl account submit [--fleet FILE] FILE

Carries a signed state of an account to the ledger, for an owner who can't reach the keys machine. It is judged like any
other: the operator can carry it and not change it.
`,
  options: fleetOption,
  async run([file, ...rest], options) {
    noMore(rest);
    if (file === undefined) throw new PolicyError("USAGE", "no file named", { hint: "shoalctl account submit FILE" });
    const signed = await readSignedState(file);
    const { operator } = await operatorIn(options);
    await settle(operator);
    await handIn(operator.ledger, [{ of: "state", signed }]);
    return tell(await waitUntilTaken(operator.ledger, 10), "the state is taken");
  },
};

const list: Verb = {
  help: `Usage: shoalctl account list [--fleet FILE] [--json]

Shows every account: name, status, fetch machine, mailbox size, version of its state and number of its keys for logging
in, opening mail, changing it (masters) and taking it back (recovery). Everything is verified first.
`,
  options: { ...fleetOption, json: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const rows = await listed((await operatorIn(options)).operator);
    await writeOut(options["json"] === true ? `${JSON.stringify(rows)}\n` : printRows(rows));
    return 0;
  },
};

interface Row extends DirectoryEntry {
  /** 0 before the first state. */
  readonly version: number;
  readonly keys: { readonly auth: number; readonly seal: number; readonly master: number; readonly recovery: number };
}

/** @throws VerifyError SIGNATURE when the ledger shows what does not hold */
async function listed(operator: Operator): Promise<Row[]> {
  const dump = await settle(operator);
  const { directory } = operator.copy;
  const { shown, findings } = verifyDump("ledger", dump, directory, operator.now());
  if (findings.length > 0) {
    throw new VerifyError("SIGNATURE", findings.join("\n"), {
      hint: "`shoalctl account verify` looks at all machines",
    });
  }
  return [...directory.entries.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => {
      const state = shown.accounts.standing(entry.account)?.state;
      const devices = state?.devices ?? [];
      return {
        ...entry,
        version: state?.version ?? 0,
        keys: {
          auth: devices.filter(({ auth }) => auth).length,
          seal: devices.filter(({ seal }) => seal).length,
          master: state?.master.length ?? 0,
          recovery: state?.recovery.length ?? 0,
        },
      };
    });
}

function printRows(rows: readonly Row[]): string {
  return rows
    .map(({ name, status, fetch, quotaBytes, version, keys, account }) => {
      const counts = `${keys.auth} auth, ${keys.seal} seal, ${keys.master} master, ${keys.recovery} recovery`;
      const columns = [
        name.padEnd(24),
        status.padEnd(9),
        `fetch ${fetch}`,
        printSize(quotaBytes).padStart(12),
        account,
      ];
      return `${columns.join(" ")} version ${version}: ${counts}\n`;
    })
    .join("");
}

export const accountVerbs: VerbGroup = {
  help: `Usage: shoalctl account COMMAND [--fleet FILE] [ARGUMENT ...]

Accounts of a running fleet. The operator gives and takes names; the keys of an account are its owner's alone.

Commands:
  add NAME GENESIS      give a name to an account whose owner signed its first state
  add --from LIST       many at once
  list [--json]         every account with its keys
  suspend NAME ...      no login, mail is put off
  resume NAME ...       the end of that
  remove NAME ...       for ever
  set NAME ...          another quota or fetch machine
  submit FILE           carry a signed state to the ledger
  verify                hold ledger, machines and their files against each other

\`shoalctl account COMMAND --help\` tells more.
`,
  verbs: {
    add,
    list,
    suspend: statusVerb("suspend", "suspended"),
    resume: statusVerb("resume", "resumed"),
    remove: statusVerb("remove", "removed"),
    set,
    submit,
    verify,
  },
};
