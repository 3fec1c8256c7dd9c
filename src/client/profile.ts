/** A profile: one account on one server, and where its mail goes. A JSON file that a person may edit. */

import { isAbsolute } from "node:path";
import * as v from "valibot";
import { FormatError, PolicyError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { readBounded } from "#host/files.ts";
import type { SshOptions } from "#host/ssh.ts";
import { type Places, placesOf } from "./places.ts";

const MAX_BYTES = 65_536;

const absolutePath = v.pipe(v.string(), v.check(isAbsolute, "expected an absolute path"));

const hostName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_][A-Za-z0-9._:-]*$/, "expected a host name"));
const portNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const serverFolder = v.pipe(v.string(), v.startsWith("/", "expected an absolute path"));

const profileSchema = v.strictObject({
  /** Login name on the server. */
  account: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._+-]{0,63}$/, "expected a login name")),
  /** What stands behind the "@" of the account; without it "shoal account" can't be used. */
  domain: v.optional(v.pipe(v.string(), v.check(isDomain, "expected a domain in lower case"))),
  host: hostName,
  port: v.optional(portNumber),
  /** Folder on the server. */
  folder: serverFolder,
  /** Where changes of the account are handed in; default `keys.mail.DOMAIN`. */
  keysHost: v.optional(hostName),
  keysPort: v.optional(portNumber),
  /** The account's folder there, default "/". */
  keysFolder: v.optional(serverFolder),
  /** Where mail is handed in; default `out.mail.DOMAIN`. */
  outHost: v.optional(hostName),
  outPort: v.optional(portNumber),
  /** The name beside the account's address in mail that is made here. */
  displayName: v.optional(
    v.pipe(v.string(), v.regex(/^[^\p{Cc}]{1,100}$/u, "expected a name of at most 100 characters")),
  ),
  /** Keys that change the account, as `ssh-keygen -f` takes them; where there are several, the first that may. */
  masters: v.optional(v.array(absolutePath)),
  /** Where the recovery keys were when they were made; they need not be there now. */
  recoveries: v.optional(v.array(absolutePath)),
  /** Private key files that log in and open mail. */
  identities: v.pipe(v.array(absolutePath), v.minLength(1, "expected at least one file")),
  /** Without it the user's own known hosts files count. */
  knownHosts: v.optional(absolutePath),
  maildir: absolutePath,
  /** Further `ssh -o` options. */
  sshOptions: v.optional(v.array(v.pipe(v.string(), v.regex(/^[A-Za-z]+=\S/, "expected Option=value")))),
});

export type Profile = v.InferOutput<typeof profileSchema>;

export function printProfile(profile: Profile): string {
  return `${JSON.stringify(profile, undefined, 2)}\n`;
}

/**
 * Every mistake is reported at once.
 * @param where names the file in messages
 * @throws FormatError CONFIG
 */
export function parseProfile(text: string, where: string): Profile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("CONFIG", `"${where}" is not JSON: ${(cause as Error).message}`, { cause });
  }
  const result = v.safeParse(profileSchema, value);
  if (result.success) return result.output;
  const mistakes = result.issues.map((issue) => {
    const key = v.getDotPath(issue) ?? "the whole file";
    return `"${where}": ${key}: ${mistakeOf(issue)}`;
  });
  throw new FormatError("CONFIG", mistakes.join("\n"), { hint: '"shoal init --help" shows what a profile is made of' });
}

/** Our own rules have their words; the library's are for programmers. */
function mistakeOf({ kind, type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (kind === "validation") return message;
  if (type === "strict_object" && expected === "never") return "there is no such setting";
  if (received === "undefined") return "is missing";
  return expected === null ? message : `expected ${expected.toLowerCase()}`;
}

/** @throws PolicyError USAGE when there is none; FormatError CONFIG */
export async function loadProfile(name: string): Promise<{ profile: Profile; places: Places }> {
  const places = placesOf(name);
  let bytes: Buffer;
  try {
    bytes = await readBounded(places.profile, MAX_BYTES);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new PolicyError("USAGE", `there is no profile "${name}"`, {
      cause,
      hint: "make one: shoal account create NAME@DOMAIN, on a further computer shoal init NAME@DOMAIN",
    });
  }
  return { profile: parseProfile(bytes.toString("utf8"), places.profile), places };
}

/** How to log in, by default to where mail is; the keys are added by the caller. */
export function sshOptionsOf(profile: Profile, machine: Machine = "fetch"): SshOptions {
  const { host, port } = addressOf(profile, machine);
  const target: SshOptions = { host, user: profile.account };
  if (port !== undefined) target.port = port;
  if (profile.knownHosts !== undefined) target.knownHostsFile = profile.knownHosts;
  if (profile.sshOptions !== undefined) target.options = profile.sshOptions;
  return target;
}

export type Machine = "fetch" | "keys" | "out";

function addressOf(profile: Profile, machine: Machine): { host: string; port: number | undefined } {
  const { domain = "" } = profile;
  if (machine === "keys") return { host: profile.keysHost ?? `keys.mail.${domain}`, port: profile.keysPort };
  if (machine === "out") return { host: profile.outHost ?? `out.mail.${domain}`, port: profile.outPort };
  return { host: profile.host, port: profile.port };
}
