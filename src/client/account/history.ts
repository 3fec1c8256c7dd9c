/** `shoal account history` */

import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import type { AccountState } from "#core/account/state.ts";
import { parseProposal } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { parseSignature } from "#core/ssh/signature.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { localTime } from "../local-time.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { describeChange, describeKey } from "./keys-in-words.ts";
import { lookAtFetch, report } from "./look.ts";
import { AccountMemory, type Knowledge } from "./memory.ts";

export const historyVerb: Verb = {
  help: `usage: shoal account history [--offline] [--json] [--profile NAME]

Shows every version of the account, the first one first: when it was accepted,
what it changed, and which keys signed it. Each has been checked.

  --offline       ask nobody: what this computer knows
  --json          print one JSON array of objects with version, accepted, time,
                  hash, changes and signers
  --profile NAME  profile to use, default "default"

Exit status as that of "shoal account show".

Example:
  shoal account history
`,
  options: { offline: { type: "boolean" }, json: { type: "boolean" }, profile: { type: "string" } },
  async run(operands, options) {
    if (operands[0] !== undefined)
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`);
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const memory = new AccountMemory(places, profile.domain ?? null);
    const looks = options["offline"] === true ? [] : [await lookAtFetch(profile, places, memory)];
    const entries = entriesOf(await memory.load());
    if (options["json"] === true) await writeOut(`${visibleJson(entries)}\n`);
    else await writeOut(entries.map(printEntry).join("\n"));
    const status = report(looks);
    if (entries.length === 0 && status === EXIT.ok) say("shoal", "no version has been accepted yet");
    return status;
  },
};

interface Entry {
  readonly version: number;
  /** Unix seconds. */
  readonly accepted: number;
  readonly time: number;
  readonly changes: readonly string[];
  /** `TYPE BASE64` */
  readonly signers: readonly string[];
}

function entriesOf({ versions }: Knowledge): Entry[] {
  let before: AccountState | null = null;
  return versions.map(({ accepted, signed }) => {
    const { state, signed: text } = parseProposal(signed);
    const changes = describeChange(before, state);
    before = state;
    const signers = text.signatures.map((armored) => parseSignature(armored).publicKey.line);
    return { version: state.version, accepted, time: state.time, changes, signers };
  });
}

function printEntry({ version, accepted, changes, signers }: Entry): string {
  const lines = [
    `version ${version}, accepted ${localTime(accepted)}`,
    ...(changes.length === 0 ? ["  no change of keys"] : changes.map((change) => `  ${change}`)),
    ...signers.map((key) => `  signed by ${describeKey(key)}`),
  ];
  return `${lines.join("\n")}\n`;
}
