/** What a new profile is made of: the options that `shoal init` and `shoal account create` share. */

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { ParseArgsOptionsConfig } from "node:util";
import type { OptionValues } from "#cli/command.ts";
import { accountNameMistake } from "#core/account/names.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { exists } from "#host/files.ts";
import type { Places } from "./places.ts";
import { type Profile, parseProfile } from "./profile.ts";

export const PROFILE_OPTIONS: ParseArgsOptionsConfig = {
  host: { type: "string" },
  port: { type: "string" },
  "keys-host": { type: "string" },
  "keys-port": { type: "string" },
  identity: { type: "string", multiple: true },
  "known-hosts": { type: "string" },
  maildir: { type: "string" },
  folder: { type: "string" },
  "keys-folder": { type: "string" },
  "ssh-option": { type: "string", multiple: true },
  profile: { type: "string" },
};

/** An account as a person writes it: `NAME@DOMAIN`. */
export interface AccountAddress {
  readonly name: string;
  readonly domain: string;
}

/** @throws PolicyError USAGE */
export function parseAccountAddress(text: string): AccountAddress {
  const [name = "", domain = "", more] = text.split("@");
  const mistake =
    more !== undefined || !isDomain(domain) ? "NAME@DOMAIN, such as alice@example.org" : accountNameMistake(name);
  if (mistake !== null) throw new PolicyError("USAGE", `"${text}": expected ${mistake}`);
  return { name, domain };
}

/** The key that a new device gets. */
export function deviceKeyOf(places: Places): string {
  return join(places.config, "id_ed25519");
}

/** Values of an option that may be repeated. */
export function valuesOf(options: OptionValues, name: string): string[] {
  return [options[name] ?? []].flat().map(String);
}

/**
 * The profile that the options describe, with the address's usual hosts where they name none.
 * @param command for hints
 * @throws PolicyError USAGE for whatever can't be a profile
 */
export function newProfile(
  places: Places,
  { name, domain }: { name: string; domain?: string },
  options: OptionValues,
  command: string,
): Profile {
  refuseEmpty(options, command);
  const path = (option: string): string | undefined =>
    options[option] === undefined ? undefined : resolve(String(options[option]));
  const port = portOf(options, "port");
  const keysPort = portOf(options, "keys-port") ?? port;
  const identities = valuesOf(options, "identity").map((file) => resolve(file));
  const host = options["host"] ?? (domain === undefined ? undefined : `fetch.mail.${domain}`);
  const isFull = domain !== undefined;
  const text = JSON.stringify({
    account: name,
    domain,
    host,
    port,
    folder: String(options["folder"] ?? "/mail"),
    keysHost: isFull ? (options["keys-host"] ?? `keys.mail.${domain}`) : options["keys-host"],
    keysPort: isFull ? keysPort : undefined,
    keysFolder: options["keys-folder"],
    identities: identities.length > 0 ? identities : [deviceKeyOf(places)],
    knownHosts: path("known-hosts"),
    maildir: path("maildir") ?? join(homedir(), "Mail", "shoal"),
    sshOptions: options["ssh-option"],
  });
  try {
    return parseProfile(text, "the new profile");
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new PolicyError("USAGE", cause.message, { cause, hint: `"${command} --help" says what it takes` });
  }
}

/** An empty file or folder would be the one that the command was typed in. */
function refuseEmpty(options: OptionValues, command: string): void {
  const empty = Object.keys(options).find((name) => valuesOf(options, name).includes(""));
  if (empty === undefined) return;
  throw new PolicyError("USAGE", `--${empty} is empty`, { hint: `"${command} --help" says what it takes` });
}

function portOf(options: OptionValues, name: string): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const port = /^\d{1,5}$/.test(String(value)) ? Number(value) : 0;
  if (port > 0 && port <= 65_535) return port;
  throw new PolicyError("USAGE", `--${name} is "${String(value)}", expected a number from 1 to 65535`);
}

/** @throws PolicyError USAGE when there is one of that name */
export async function refuseExistingProfile(places: Places): Promise<void> {
  if (!(await exists(places.profile))) return;
  throw new PolicyError("USAGE", `there is a profile "${places.name}" already: "${places.profile}"`, {
    hint: "change it with an editor, or choose another name with --profile",
  });
}

/** @throws PolicyError USAGE when one is missing */
export async function checkKeysExist(files: readonly string[]): Promise<void> {
  for (const file of files) {
    if (!(await exists(file))) throw new PolicyError("USAGE", `there is no key "${file}"`);
  }
}
