/** `shoal account show` */

import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import { GRACE_SECONDS, gracedAt } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { localTime } from "../local-time.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile, type Profile } from "../profile.ts";
import { waitingVersion } from "./change.ts";
import { printUses } from "./devices.ts";
import { ownKeys } from "./fetch-login.ts";
import { describeDevice, describeKey, fingerprintOf } from "./keys-in-words.ts";
import { type Look, lookAtFetch, lookAtKeys, report } from "./look.ts";
import { AccountMemory, type Knowledge } from "./memory.ts";

export const showAccountVerb: Verb = {
  help: `usage: shoal account show [--keys] [--offline] [--json] [--profile NAME]

Shows the account: its id, the latest version, the master and recovery keys,
and the devices. Asks the machine where mail is, checks every version that it
shows from the first, and compares it with what this computer knows.

  --keys          ask the machine where changes are handed in, too; that takes
                  a master or recovery key
  --offline       ask nobody: what this computer knows
  --json          print one JSON object
  --profile NAME  profile to use, default "default"

Exit status: 0 all is well, 76 a machine shows another history than the one
that this computer knows, or less of it, 75 a machine could not be asked.

Example:
  shoal account show
`,
  options: {
    keys: { type: "boolean" },
    offline: { type: "boolean" },
    json: { type: "boolean" },
    profile: { type: "string" },
  },
  async run(operands, options) {
    if (operands[0] !== undefined)
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`);
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const memory = new AccountMemory(places, profile.domain ?? null);
    const looks: Look[] = [];
    if (options["offline"] !== true) {
      looks.push(await lookAtFetch(profile, places, memory));
      if (options["keys"] === true) looks.push(await lookAtKeys(profile, places, memory));
    }
    const known = await memory.load();
    const waiting = await waitingVersion(memory);
    if (options["json"] === true) await writeOut(`${visibleJson(await jsonOf(profile, known, looks, waiting))}\n`);
    else await writeOut(await printAccount(profile, known, looks));
    if (waiting !== null) {
      say("shoal", `version ${waiting} is signed and waits to be accepted: shoal account request prints it`);
    }
    const status = report(looks);
    if (known.id === null && status === EXIT.ok) {
      say("shoal", "no machine shows an account here: the operator has not added it, or lists keys by hand");
    }
    return status;
  },
};

async function printAccount(
  profile: Profile,
  { id, origin, standing }: Knowledge,
  looks: readonly Look[],
): Promise<string> {
  if (id === null) return "";
  const address = `${profile.account}@${profile.domain ?? standing?.state.domain ?? ""}`;
  const how = { created: "made on this computer", trusted: "pinned", seen: "seen, not pinned" }[origin ?? "seen"];
  const lines = [`account   ${address}`, `id        ${id} (${how})`];
  if (standing === null) lines.push("version   none has been accepted yet");
  else lines.push(...(await linesOfStanding(profile, standing)));
  for (const { machine, version, error } of looks) {
    const what =
      error !== undefined
        ? "see below"
        : version === null || version === 0
          ? "shows no account"
          : `shows version ${version}`;
    lines.push(`machine   ${machine} ${what}`);
  }
  return `${lines.join("\n")}\n`;
}

async function linesOfStanding(profile: Profile, standing: NonNullable<Knowledge["standing"]>): Promise<string[]> {
  const { state, accepted } = standing;
  const own = await ownKeys(profile);
  const until = (removedAt: number): string => localTime(removedAt + GRACE_SECONDS);
  return [
    `version   ${state.version}, accepted ${localTime(accepted)}`,
    ...state.master.map((key, index) => `master    ${index + 1}  ${describeKey(key)}`),
    ...state.recovery.map(
      (key, index) =>
        `recovery  ${index + 1}  ${describeKey(key)}, since version ${standing.recoverySince.get(key) ?? state.version}`,
    ),
    ...gracedAt(standing, unixTime()).map(
      ({ key, removedAt }) => `removed   -  ${describeKey(key)}, a recovery key until ${until(removedAt)}`,
    ),
    ...state.devices.map(
      (device, index) =>
        `device    ${index + 1}  ${describeDevice(device)}${own.has(device.key) ? "  (this computer)" : ""}`,
    ),
  ];
}

async function jsonOf(
  profile: Profile,
  { id, origin, standing }: Knowledge,
  looks: readonly Look[],
  waiting: number | null,
) {
  const own = await ownKeys(profile);
  return {
    address: `${profile.account}@${profile.domain ?? standing?.state.domain ?? ""}`,
    id,
    known: origin,
    version: standing?.state.version ?? 0,
    hash: standing?.hash ?? null,
    accepted: standing === null ? null : new Date(standing.accepted * 1000).toISOString(),
    masters: standing?.state.master ?? [],
    recoveries: standing?.state.recovery ?? [],
    removedRecoveries: standing === null ? [] : gracedAt(standing, unixTime()).map(({ key }) => key),
    devices: (standing?.state.devices ?? []).map((device) => ({
      uses: printUses(device),
      key: device.key,
      fingerprint: fingerprintOf(device.key),
      thisComputer: own.has(device.key),
    })),
    waiting,
    machines: looks.map(({ machine, version, error }) => ({
      machine,
      version,
      code: error === undefined ? null : ((error as { code?: string }).code ?? "ERROR"),
    })),
  };
}
