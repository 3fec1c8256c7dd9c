/** `shoal account recover` */

import type { OptionValues, Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import type { Device } from "#core/account/state.ts";
import { parseProposal } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { valuesOf } from "../new-profile.ts";
import { confirm } from "./ask.ts";
import { CHANGE_OPTIONS, changeAccount, type Ground, type Plan } from "./change.ts";
import { devicesOfFiles } from "./devices.ts";
import { describeDevice, describeKey, findKey } from "./keys-in-words.ts";
import { newMaster, updateProfile } from "./new-owner-key.ts";
import { recoverySince } from "./signer.ts";

export const recoverVerb: Verb = {
  help: `usage: shoal account recover [--recovery FILE] [--new FILE] [--keep WHAT]...
           [--yes] [--offline] [--profile NAME]

Takes the account back with a recovery key, when the master key is lost or
somebody else has it. A new master key takes the place of all old ones; of the
devices this computer stays, and for each other one it asks whether it is
yours; recovery keys that are younger than the one you use go, too, unless you
keep them. A recovery key that was removed less than 72 hours ago still works.

  --recovery FILE  the recovery key, default where it was made
  --new FILE       use this key as the new master instead of making one
  --keep WHAT      keep this device or recovery key without asking: its
                   fingerprint or the start of it; "all" keeps everything but
                   the masters; may be repeated
  --yes            don't ask: what --keep does not name goes
  --offline        sign by what this computer knows, and keep it for "shoal
                   account request"
  --profile NAME   profile to use, default "default"

On a new computer, "shoal init NAME@DOMAIN" comes first: it makes the key that
this computer will have in the account.

Example:
  shoal account recover --recovery /media/usb/alice@example.org-recovery_ed25519
`,
  options: { ...CHANGE_OPTIONS, new: { type: "string" }, keep: { type: "string", multiple: true } },
  async run(operands, options) {
    if (operands[0] !== undefined)
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`);
    if (options["master"] !== undefined) {
      throw new PolicyError("USAGE", "recovering takes a recovery key, not a master key", {
        hint: "--recovery FILE names it; with a master key: shoal account rotate-master",
      });
    }
    return await changeAccount(options, (ground) => planRecovery(ground, options), true);
  },
};

async function planRecovery(ground: Ground, options: OptionValues): Promise<Plan> {
  const { standing, signer, now, profile } = ground;
  const { state } = standing;
  const sinceOf = recoverySince(standing, now);
  const since = sinceOf.get(signer.line);
  if (since === undefined) {
    throw new PolicyError("UNAUTHORIZED", `"${signer.path}" is no recovery key of the account`, {
      hint: "--recovery FILE names the recovery key; with a master key: shoal account rotate-master",
    });
  }
  const own = await devicesOfFiles(profile.identities);
  const others = state.devices.filter(({ key }) => !own.some((device) => device.key === key));
  const kept = keeper(options, [...others.map(({ key }) => key), ...state.recovery]);

  const devices: Device[] = [...own];
  for (const device of others) {
    if (await kept(device.key, `device ${describeDevice(device)}`, sinceVersion(ground, device.key)))
      devices.push(device);
  }
  const recovery = [signer.line];
  for (const key of state.recovery) {
    if (key === signer.line) continue;
    // Whoever took the master key can't have put in a recovery key that was there before.
    const isOlder = (sinceOf.get(key) ?? state.version) <= since;
    if (isOlder || (await kept(key, `recovery key ${describeKey(key)}`, sinceOf.get(key)))) recovery.push(key);
  }
  const fresh = await newMaster(ground, options["new"] === undefined ? undefined : String(options["new"]));
  return {
    next: { master: [fresh.line], recovery, devices },
    alsoSign: [fresh],
    notes: ["all masters so far lose their say; whoever has one of them can't come back"],
    beforeHandIn: () => updateProfile(ground, ({ masters = [] }) => ({ masters: [fresh.path, ...masters] })),
    async whenAccepted() {
      await updateProfile(ground, () => ({ masters: [fresh.path] }));
      say("shoal", `the account is yours alone again; its master key is "${fresh.path}"`);
      say("shoal", "next: keep a copy of it in a safe place, and take the recovery key away again");
    },
  };
}

/** Whether a key stays: by `--keep`, else by the answer of the person, else not. */
function keeper(
  options: OptionValues,
  keys: readonly string[],
): (key: string, what: string, since: number | undefined) => Promise<boolean> {
  const words = valuesOf(options, "keep");
  const all = words.includes("all");
  const named = new Set(
    words.filter((word) => word !== "all").map((word) => findKey(keys, word, "device or recovery key")),
  );
  return async (key, what, since) => {
    if (all || named.has(key)) return true;
    if (options["yes"] === true) return false;
    return await confirm(
      `${what}${since === undefined ? "" : `, there since version ${since}`}: is it yours, keep it?`,
    );
  };
}

/** The version from which a device has been there without a break. */
function sinceVersion({ known }: Ground, key: string): number | undefined {
  let since: number | undefined;
  for (const { signed } of known.versions) {
    const { state } = parseProposal(signed);
    const isThere = state.devices.some((device) => device.key === key);
    if (!isThere) since = undefined;
    else since ??= state.version;
  }
  return since;
}
