/** `shoal account add-device` */

import { resolve } from "node:path";
import { text as readStream } from "node:stream/consumers";
import type { OptionValues, Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import type { Device } from "#core/account/state.ts";
import { PolicyError } from "#core/errors.ts";
import { exists, readBounded } from "#host/files.ts";
import { valuesOf } from "../new-profile.ts";
import { readPublicHalf } from "../public-half.ts";
import { ask, hasTerminal } from "./ask.ts";
import { CHANGE_OPTIONS, CHANGE_OPTIONS_HELP, changeAccount, type Ground, type Plan } from "./change.ts";
import { devicesOfKeys } from "./devices.ts";
import { describeKey } from "./keys-in-words.ts";
import { trustCommand } from "./learned.ts";
import { type Pairing, pairingCode, parsePairing } from "./pairing.ts";

export const addDeviceVerb: Verb = {
  help: `usage: shoal account add-device TEXT|FILE|- [OPTION]...
       shoal account add-device --key FILE [--uses USES] [OPTION]...

Adds a device: from now on it may log in, and new mail is sealed to its key,
too. Mail that came before stays sealed to the older keys.

  TEXT             the line "shoal-device:..." that "shoal init NAME@DOMAIN"
                   printed on the new device; or a file that holds it; or "-"
                   for standard input. Without it, it is asked for.
  --key FILE       add the key in this file instead, an ssh or age key, public
                   or private; may be repeated
  --uses USES      what these keys do: auth (log in), seal (open mail), or
                   auth,seal; default all that they can
${CHANGE_OPTIONS_HELP}

Compare the code that it shows with the one on the new device. In the end it
prints the line to type there.

Example:
  shoal account add-device shoal-device:alice@example.org:auth,seal:...
  shoal account add-device --key phone.pub --uses auth --yes
`,
  options: { ...CHANGE_OPTIONS, key: { type: "string", multiple: true }, uses: { type: "string" } },
  async run(operands, options) {
    const files = valuesOf(options, "key").map((file) => resolve(file));
    const pairing = files.length > 0 ? null : await pairingOf(operands);
    if (files.length > 0 && operands[0] !== undefined) {
      throw new PolicyError("USAGE", "--key and a pairing text exclude each other");
    }
    if (pairing !== null && options["uses"] !== undefined) {
      throw new PolicyError("USAGE", "--uses goes with --key: a pairing text says itself what its keys do");
    }
    const given = pairing === null ? await devicesOfOptions(files, options) : pairing.devices;
    return await changeAccount(options, async (ground) => planAdding(ground, given, pairing));
  },
};

async function pairingOf([operand, ...more]: readonly string[]): Promise<Pairing> {
  if (operand === "-") return parsePairing(await readStream(process.stdin));
  if (operand === undefined) {
    if (!hasTerminal()) {
      throw new PolicyError("USAGE", "expected the line that the new device printed", {
        hint: '"shoal account add-device --help" shows an example',
      });
    }
    return parsePairing(await ask('The line that "shoal init" printed on the new device: '));
  }
  if (operand.startsWith("shoal-device:")) return parsePairing([operand, ...more].join(""));
  if (more.length > 0) throw new PolicyError("USAGE", "expected one pairing text or file");
  if (!(await exists(operand)))
    throw new PolicyError("USAGE", `there is no file "${operand}", and it is no pairing text`);
  return parsePairing((await readBounded(operand, 65_536)).toString("latin1"));
}

async function devicesOfOptions(files: readonly string[], options: OptionValues): Promise<Device[]> {
  const keys: string[] = [];
  for (const file of files) keys.push((await readPublicHalf(file)).key);
  const { uses } = options;
  if (uses === undefined) return devicesOfKeys(keys);
  if (uses !== "auth" && uses !== "seal" && uses !== "auth,seal") {
    throw new PolicyError("USAGE", `"${String(uses)}": expected auth, seal or auth,seal`);
  }
  return keys.map((key) => ({ auth: uses.startsWith("auth"), seal: uses.endsWith("seal"), key }));
}

function planAdding(ground: Ground, given: readonly Device[], pairing: Pairing | null): Plan | null {
  const { state, id } = ground.standing;
  if (pairing !== null && `${pairing.name}@${pairing.domain}` !== ground.address) {
    throw new PolicyError(
      "USAGE",
      `the text is of a device for ${pairing.name}@${pairing.domain}, this profile is ${ground.address}`,
    );
  }
  const owners = [...state.master, ...state.recovery];
  const taken = given.find(({ key }) => owners.includes(key));
  if (taken !== undefined) {
    throw new PolicyError("KEY-TWICE", `a master or recovery key can't be a device's: ${describeKey(taken.key)}`, {
      hint: "make another key for the device",
    });
  }
  const trust = (): void => {
    say("shoal", pairing === null ? "next: if the new device has shoal, type there:" : "next: on the new device type:");
    print(`${trustCommand(id)}\n`);
  };
  const kept = state.devices.filter(({ key }) => !given.some((device) => device.key === key));
  const isThere = given.every((device) =>
    state.devices.some(({ key, auth, seal }) => key === device.key && auth === device.auth && seal === device.seal),
  );
  if (isThere) {
    say("shoal", "that device is in the account already");
    trust();
    return null;
  }
  return {
    next: { ...state, devices: [...kept, ...given] },
    notes: pairing === null ? [] : [`the new device must show the code ${pairingCode(pairing)}: compare it`],
    whenAccepted: async () => trust(),
  };
}
