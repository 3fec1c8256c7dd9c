/** `shoal init` */

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { OptionValues, Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder, writeDurably } from "#host/files.ts";
import { DEFAULT_PROFILE, type Places, placesOf } from "./places.ts";
import { type Profile, parseProfile, printProfile } from "./profile.ts";

export const initVerb: Verb = {
  help: `usage: shoal init --account NAME --host HOST [--port N] [--profile NAME]
                  [--identity FILE]... [--known-hosts FILE] [--maildir DIR]
                  [--folder PATH] [--ssh-option OPTION=VALUE]...

Makes a profile: which account on which server, with which keys, into which
Maildir. Without --identity it makes a new key (ssh-keygen asks for its
passphrase). Prints the public key, to be given to the operator. Nothing that
exists is ever overwritten.

  --account NAME      your account, the login name on the server
  --host HOST         the mail server, or an alias of your ssh configuration
  --port N            its SSH port, default 22
  --identity FILE     private key that you log in with and that opens your
                      mail; may be repeated
  --known-hosts FILE  the server's host keys, as the operator published them;
                      without it ssh looks where it always looks
  --maildir DIR       where mail is stored, default ~/Mail/shoal
  --folder PATH       folder on the server, default /mail
  --ssh-option O=V    passed on to ssh, such as ProxyJump=gate.example.org
  --profile NAME      name of the profile, default "default"

The profile is a text file, ~/.config/shoal/NAME/profile.json: change it with
an editor.

Example:
  shoal init --account alice --host fetch.mail.example.org
`,
  options: {
    account: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    identity: { type: "string", multiple: true },
    "known-hosts": { type: "string" },
    maildir: { type: "string" },
    folder: { type: "string" },
    "ssh-option": { type: "string", multiple: true },
    profile: { type: "string" },
  },
  async run(_operands, options) {
    const places = placesOf(String(options["profile"] ?? DEFAULT_PROFILE));
    if (await exists(places.profile)) {
      throw new PolicyError("USAGE", `there is a profile "${places.name}" already: "${places.profile}"`, {
        hint: "change it with an editor, or choose another name with --profile",
      });
    }
    const text = profileText(places, options);
    const profile = checkOptions(text);
    const given = options["identity"] !== undefined;
    for (const file of given ? profile.identities : []) {
      if (!(await exists(file))) throw new PolicyError("USAGE", `there is no key "${file}"`);
    }
    await makeFolder(places.config, 0o700);
    if (!given) await makeKey(keyOf(places), `${profile.account}@${profile.host}`);
    await writeDurably(places.profile, text);
    await explain(places, profile.identities, profile.knownHosts === undefined);
    return EXIT.ok;
  },
};

function keyOf(places: Places): string {
  return join(places.config, "id_ed25519");
}

function profileText(places: Places, options: OptionValues): string {
  for (const name of ["account", "host"]) {
    if (options[name] === undefined) {
      throw new PolicyError("USAGE", `--${name} is missing`, { hint: '"shoal init --help" shows an example' });
    }
  }
  const path = (name: string): string | undefined =>
    options[name] === undefined ? undefined : resolve(String(options[name]));
  const identities = ([options["identity"] ?? []].flat() as string[]).map((file) => resolve(file));
  return printProfile({
    account: String(options["account"]),
    host: String(options["host"]),
    ...(options["port"] === undefined ? {} : { port: Number(options["port"]) }),
    folder: String(options["folder"] ?? "/mail"),
    identities: identities.length > 0 ? identities : [keyOf(places)],
    ...(path("known-hosts") === undefined ? {} : { knownHosts: path("known-hosts") }),
    maildir: path("maildir") ?? join(homedir(), "Mail", "shoal"),
    ...(options["ssh-option"] === undefined ? {} : { sshOptions: options["ssh-option"] as string[] }),
  });
}

/** What is no profile was typed wrong. */
function checkOptions(text: string): Profile {
  try {
    return parseProfile(text, "the new profile");
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new PolicyError("USAGE", cause.message, { cause, hint: '"shoal init --help" says what it takes' });
  }
}

/** ssh-keygen itself asks for the passphrase; without a terminal the key has none. */
async function makeKey(file: string, comment: string): Promise<void> {
  if (await exists(file)) {
    throw new PolicyError("USAGE", `there is a key "${file}" already`, { hint: `use it with --identity ${file}` });
  }
  const args = ["-q", "-t", "ed25519", "-C", comment, "-f", file];
  if (process.stdin.isTTY !== true) {
    await exec("ssh-keygen", [...args, "-N", ""]);
    say("shoal", `made the key "${file}" without a passphrase; ssh-keygen -p -f FILE adds one`);
    return;
  }
  const child = spawn("ssh-keygen", args, { stdio: "inherit" });
  const status = await new Promise<number | null>((done, reject) => {
    child.once("error", (cause) => reject(new HostError("EXEC", 'can\'t start "ssh-keygen"', { cause })));
    child.once("close", done);
  });
  if (status !== 0) throw new HostError("EXEC", `ssh-keygen failed with exit status ${status}`);
}

async function explain(places: Places, identities: readonly string[], hostKeyNeeded: boolean): Promise<void> {
  say("shoal", `made the profile "${places.profile}"`);
  say("shoal", "next: give the operator this public key:");
  for (const file of identities) print(await publicHalf(file));
  if (hostKeyNeeded) say("shoal", "next: put the host key that the operator published into ~/.ssh/known_hosts");
  say("shoal", "next: keep a copy of the private key in a safe place: without it your mail can't be opened by anybody");
  say("shoal", "then: shoal sync");
}

async function publicHalf(file: string): Promise<string> {
  try {
    return await readFile(`${file}.pub`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const text = await readFile(file, "latin1");
  if (/^(ssh|sk-ssh|ecdsa|sk-ecdsa)-/.test(text)) return text;
  const age = /^# public key: (age1\S+)$/m.exec(text)?.[1];
  if (age !== undefined) return `${age}\n`;
  throw new FormatError("KEY", `there is no public key beside "${file}"`, {
    hint: "ssh-keygen -y -f FILE > FILE.pub makes it",
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
