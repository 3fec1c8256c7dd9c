/** `shoal init` */

import type { OptionValues, Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder, writeDurably } from "#host/files.ts";
import { devicesOfFiles } from "./account/devices.ts";
import { pairingCode, printPairing } from "./account/pairing.ts";
import { showQrCode } from "./account/qr-code.ts";
import { makeKey } from "./new-key.ts";
import {
  type AccountAddress,
  checkKeysExist,
  deviceKeyOf,
  newProfile,
  PROFILE_OPTIONS,
  parseAccountAddress,
  refuseExistingProfile,
} from "./new-profile.ts";
import { DEFAULT_PROFILE, placesOf } from "./places.ts";
import { type Profile, printProfile } from "./profile.ts";
import { readPublicHalf } from "./public-half.ts";

export const initVerb: Verb = {
  help: `usage: shoal init NAME@DOMAIN [--host HOST] [--keys-host HOST] [--port N]
                  [--identity FILE]... [--known-hosts FILE] [--maildir DIR]
                  [--profile NAME] [--ssh-option OPTION=VALUE]...
       shoal init --account NAME --host HOST [OPTION]...

Makes this computer a further device of an account: a profile, and a key for
this computer (ssh-keygen asks for its passphrase). Prints one line, and on a
terminal the same as a QR code. Give it to "shoal account add-device" on the
computer that has the master key, and compare the code that both show. A new
account is made by "shoal account create" instead.

  NAME@DOMAIN         the account
  --host HOST         where mail is fetched, or an alias of your ssh
                      configuration; default fetch.mail.DOMAIN
  --keys-host HOST    where changes go, default keys.mail.DOMAIN
  --port N            SSH port of both, default 22
  --keys-port N       of the second, where it differs
  --identity FILE     private key that you log in with and that opens your
                      mail, instead of a new one; may be repeated
  --known-hosts FILE  the servers' host keys, as the operator published them;
                      without it ssh looks where it always looks
  --maildir DIR       where mail is stored, default ~/Mail/shoal
  --folder PATH       folder on the server, default /mail
  --keys-folder PATH  folder of the account at the keys host, default /
  --ssh-option O=V    passed on to ssh, such as ProxyJump=gate.example.org
  --profile NAME      name of the profile, default "default"

With --account and --host instead of NAME@DOMAIN it prints the public key
alone, for a server on which the operator lists keys by hand.

The profile is a text file, ~/.config/shoal/NAME/profile.json: change it with
an editor. Nothing that exists is ever overwritten.

Example:
  shoal init alice@example.org
`,
  options: { ...PROFILE_OPTIONS, account: { type: "string" } },
  async run(operands, options) {
    const places = placesOf(String(options["profile"] ?? DEFAULT_PROFILE));
    await refuseExistingProfile(places);
    const address = addressOf(operands, options);
    const account = address ?? { name: needed(options, "account") };
    if (address === null) needed(options, "host");
    const profile = newProfile(places, account, options, "shoal init");
    const given = options["identity"] !== undefined;
    if (given) await checkKeysExist(profile.identities);
    await makeFolder(places.config, 0o700);
    if (!given) {
      const comment = `${profile.account}@${profile.domain ?? profile.host}`;
      await makeKey(deviceKeyOf(places), comment, "key of this computer", "--identity");
    }
    // Whatever is wrong with a key is said before there is a profile.
    const pairing = address === null ? null : { ...address, devices: await devicesOfFiles(profile.identities) };
    const keys = address === null ? await publicLines(profile.identities) : "";
    await writeDurably(places.profile, printProfile(profile));
    say("shoal", `made the profile "${places.profile}"`);
    if (pairing === null) explainKeys(keys, profile);
    else explainPairing(printPairing(pairing), pairingCode(pairing), profile);
    return EXIT.ok;
  },
};

function addressOf(operands: readonly string[], options: OptionValues): AccountAddress | null {
  const [address, more] = operands;
  if (address === undefined) return null;
  if (more !== undefined) throw new PolicyError("USAGE", `"${more}" is too much, expected NAME@DOMAIN`);
  if (options["account"] !== undefined) {
    throw new PolicyError("USAGE", "--account and NAME@DOMAIN exclude each other");
  }
  return parseAccountAddress(address);
}

function needed(options: OptionValues, name: string): string {
  const value = options[name];
  if (value === undefined) {
    throw new PolicyError("USAGE", `NAME@DOMAIN is missing, or --${name}`, {
      hint: '"shoal init --help" shows an example',
    });
  }
  return String(value);
}

async function publicLines(files: readonly string[]): Promise<string> {
  const lines: string[] = [];
  for (const file of files) {
    const { key, comment } = await readPublicHalf(file);
    lines.push(`${key}${comment === "" ? "" : ` ${comment}`}\n`);
  }
  return lines.join("");
}

function explainKeys(keys: string, profile: Profile): void {
  say("shoal", "next: give the operator this public key:");
  print(keys);
  explainRest(profile);
}

function explainPairing(text: string, code: string, profile: Profile): void {
  say("shoal", "next: on the computer that has the master key: shoal account add-device, and this line behind it:");
  print(`${text}\n`);
  showQrCode(text);
  say("shoal", `next: compare: it must show the code ${code}`);
  say("shoal", 'next: type here the "shoal account trust" line that it prints in the end');
  explainRest(profile);
}

function explainRest(profile: Profile): void {
  if (profile.knownHosts === undefined) {
    say("shoal", "next: put the host key that the operator published into ~/.ssh/known_hosts");
  }
  say("shoal", "next: keep a copy of the private key in a safe place: without it your mail can't be opened by anybody");
  say("shoal", "then: shoal sync");
}
