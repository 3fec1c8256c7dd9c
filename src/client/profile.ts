/** A profile: one account on one server, and where its mail goes. A JSON file that a person may edit. */

import { isAbsolute } from "node:path";
import * as v from "valibot";
import { FormatError, PolicyError } from "#core/errors.ts";
import { readBounded } from "#host/files.ts";
import type { SshOptions } from "#host/ssh.ts";
import { type Places, placesOf } from "./places.ts";

const MAX_BYTES = 65_536;

const absolutePath = v.pipe(v.string(), v.check(isAbsolute, "expected an absolute path"));

const profileSchema = v.strictObject({
  /** Login name on the server. */
  account: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._+-]{0,63}$/, "expected a login name")),
  host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_][A-Za-z0-9._:-]*$/, "expected a host name")),
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
  /** Folder on the server. */
  folder: v.pipe(v.string(), v.startsWith("/", "expected an absolute path")),
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
    return `"${where}": ${key}: ${issue.message}`;
  });
  throw new FormatError("CONFIG", mistakes.join("\n"), { hint: "shoal init --help shows what a profile is made of" });
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
      hint: "make one with shoal init --account NAME --host HOST",
    });
  }
  return { profile: parseProfile(bytes.toString("utf8"), places.profile), places };
}

/** How to log in; the keys are added by the caller. */
export function sshOptionsOf(profile: Profile): SshOptions {
  const target: SshOptions = { host: profile.host, user: profile.account };
  if (profile.port !== undefined) target.port = profile.port;
  if (profile.knownHosts !== undefined) target.knownHostsFile = profile.knownHosts;
  if (profile.sshOptions !== undefined) target.options = profile.sshOptions;
  return target;
}
