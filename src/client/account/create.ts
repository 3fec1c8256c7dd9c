/** `shoal account create` */

import type { Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { parseProposal } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder, writeDurably } from "#host/files.ts";
import {
  checkKeysExist,
  deviceKeyOf,
  newProfile,
  PROFILE_OPTIONS,
  parseAccountAddress,
  refuseExistingProfile,
  valuesOf,
} from "../new-profile.ts";
import { DEFAULT_PROFILE, type Places, placesOf } from "../places.ts";
import { type Profile, printProfile } from "../profile.ts";
import { devicesOfFiles } from "./devices.ts";
import { checkKeyOptions, masterFiles, recoveryFiles, useOrMake } from "./genesis-keys.ts";
import { AccountMemory } from "./memory.ts";
import { loadOwnerKey, type OwnerKey } from "./owner-key.ts";
import { signState } from "./sign-state.ts";

export const createVerb: Verb = {
  help: `usage: shoal account create NAME@DOMAIN [--master FILE]...
           [--recovery FILE | --no-recovery] [--identity FILE]...
           [--host HOST] [--keys-host HOST] [--port N] [--keys-port N]
           [--known-hosts FILE] [--maildir DIR] [--profile NAME] ...

Makes a new account: this computer's key, which fetches and opens mail; the
master key, which alone changes the account; and a recovery key, which takes
the account back when the others are lost or stolen. ssh-keygen asks for a
passphrase of each. Master and recovery key sign the first state of the
account, which the operator adds to the server; nobody but you can change it
afterwards.

  --master FILE       use this key instead of a new one: a private key, one on
                      a security key (sk-ssh-ed25519), or the .pub file of one
                      in an agent; may be repeated
  --recovery FILE     where the recovery key goes, a file or a folder; an
                      existing key is used; may be repeated
  --no-recovery       make none
  --identity FILE     use this key for this computer instead of a new one; may
                      be repeated: an "age" key that opens mail and an ssh key
                      that logs in
  --host HOST         where mail is fetched, default fetch.mail.DOMAIN
  --keys-host HOST    where changes go, default keys.mail.DOMAIN
  --port N            SSH port of both, default 22
  --keys-port N       of the second, where it differs
  --known-hosts FILE  the servers' host keys, as the operator published them;
                      without it ssh looks where it always looks
  --maildir DIR       where mail is stored, default ~/Mail/shoal
  --folder PATH       folder of the mail there, default /mail
  --keys-folder PATH  folder of the account at the keys host, default /
  --ssh-option O=V    passed on to ssh, such as ProxyJump=gate.example.org
  --profile NAME      name of the profile, default "default"

Nothing that exists is ever overwritten. After an interruption, type the same
again: keys that were made are used.

Example:
  shoal account create alice@example.org
  shoal account request > alice.account
`,
  options: {
    ...PROFILE_OPTIONS,
    master: { type: "string", multiple: true },
    recovery: { type: "string", multiple: true },
    "no-recovery": { type: "boolean" },
  },
  async run(operands, options) {
    const [address, more] = operands;
    if (address === undefined || more !== undefined) {
      throw new PolicyError("USAGE", "expected NAME@DOMAIN, such as alice@example.org", {
        hint: '"shoal account create --help" shows an example',
      });
    }
    const account = parseAccountAddress(address);
    const places = placesOf(String(options["profile"] ?? DEFAULT_PROFILE));
    await refuseExistingProfile(places);
    const profile = newProfile(places, account, options, "shoal account create");
    const memory = new AccountMemory(places, account.domain);
    await refuseKnownAccount(memory, places);
    const isDeclined = options["no-recovery"] === true;
    await checkKeyOptions(valuesOf(options, "master"), valuesOf(options, "recovery"), isDeclined);
    await checkKeysExist(valuesOf(options, "identity"));
    await makeFolder(places.config, 0o700);
    await makeFolder(places.state, 0o700);

    if (options["identity"] === undefined) {
      await useOrMake(deviceKeyOf(places), address, "key of this computer", "--identity");
    }
    const devices = await devicesOfFiles(profile.identities);
    const masters = await masterFiles(valuesOf(options, "master"), places, address);
    const recoveries = await recoveryFiles(valuesOf(options, "recovery"), isDeclined, account);
    say("shoal", "these keys sign the account now");
    const keys: OwnerKey[] = [];
    for (const file of [...masters, ...recoveries]) keys.push(await loadOwnerKey(file, places));
    const lineOf = (file: string): string => keys.find(({ path }) => path === file)?.line ?? "";
    const now = unixTime();
    const { signed, standing } = await signState(
      null,
      {
        domain: account.domain,
        account: null,
        version: 1,
        prev: null,
        time: now,
        master: masters.map(lineOf),
        recovery: recoveries.map(lineOf),
        devices,
      },
      keys,
      now,
    );
    // The profile is last: without it, the same command may be typed again.
    await memory.create(parseProposal(signed), signed);
    await writeDurably(places.profile, printProfile({ ...profile, masters, recoveries }));
    explain(places, { ...profile, masters, recoveries }, memory, standing.id, address);
    return EXIT.ok;
  },
};

/** A state that waits without a profile is of a run that was interrupted, and of no use to anybody. */
async function refuseKnownAccount(memory: AccountMemory, places: Places): Promise<void> {
  const { id, origin, versions } = await memory.load();
  if (id === null) return;
  if (origin === "created" && versions.length === 0) {
    await memory.forgetCreation();
    return;
  }
  throw new PolicyError("USAGE", `this computer knows an account of the profile "${places.name}" already: ${id}`, {
    hint: "choose another name with --profile",
  });
}

function explain(places: Places, profile: Profile, memory: AccountMemory, id: string, address: string): void {
  const recovery = profile.recoveries?.[0];
  say("shoal", `made the account ${id} and the profile "${places.profile}"`);
  say("shoal", `next: give the operator the file "${memory.pendingPath}"`);
  say("shoal", `      (shoal account request > ${address}.account copies it); nothing in it is secret`);
  if (profile.knownHosts === undefined) {
    say("shoal", "next: put the host keys that the operator published into ~/.ssh/known_hosts");
  }
  say(
    "shoal",
    "next: keep copies of the private keys in a safe place: nobody can make them again, and without the key",
  );
  say("shoal", "      of this computer your mail can't be opened by anybody");
  if (recovery !== undefined) say("shoal", `next: take the recovery key "${recovery}" away from this computer`);
  say("shoal", "then: shoal account show, and shoal sync");
}
