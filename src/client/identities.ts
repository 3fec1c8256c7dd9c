/** The user's private keys: each file may open mail, log in, or both. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseIdentities } from "#core/age/age.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { makeFolder, readBounded } from "#host/files.ts";
import { passphraseFor } from "./passphrase.ts";

const MAX_BYTES = 65_536;

export interface KeyFile {
  path: string;
  text: string;
  /** `both` for OpenSSH keys of a kind that age knows, `login` for other SSH keys, `mail` for age's own. */
  use: "both" | "login" | "mail";
  passphrase: string | undefined;
}

export function opensMail({ use }: KeyFile): boolean {
  return use !== "login";
}

export function logsIn({ use }: KeyFile): boolean {
  return use !== "mail";
}

/**
 * Reads every file; a passphrase is asked for where one is needed.
 * @throws PolicyError NO-IDENTITY when none can open mail, PASSPHRASE; FormatError KEY; HostError FILE
 */
export async function loadKeys(paths: readonly string[]): Promise<KeyFile[]> {
  const { files, unusable } = await readKeys(paths);
  if (files.some(opensMail)) return files;
  const why = unusable === undefined ? "" : `: ${unusable.message}`;
  throw new PolicyError("NO-IDENTITY", `none of the identity files can open mail${why}`, {
    hint: "name an ssh-ed25519, ssh-rsa or age private key in the profile",
  });
}

/** The same for what opens no mail. @throws PolicyError PASSPHRASE; FormatError KEY; HostError FILE */
export async function loadLoginKeys(paths: readonly string[]): Promise<KeyFile[]> {
  return (await readKeys(paths)).files;
}

/** `unusable` says why the last key that only logs in does only that. */
async function readKeys(paths: readonly string[]): Promise<{ files: KeyFile[]; unusable: FormatError | undefined }> {
  const files: KeyFile[] = [];
  let unusable: FormatError | undefined;
  for (const path of paths) {
    const text = await readKeyFile(path);
    try {
      files.push(await judge(path, text));
    } catch (error) {
      // A key that age does not know may still log in: that is for ssh to judge.
      if (!(error instanceof FormatError) || !/PRIVATE KEY-----/.test(text)) throw error;
      unusable = error;
      files.push({ path, text, use: "login", passphrase: undefined });
    }
  }
  return { files, unusable };
}

async function judge(path: string, text: string): Promise<KeyFile> {
  // The public half of a key that an agent or a token holds.
  if (/^(ssh|sk-ssh|ecdsa|sk-ecdsa)-[^ ]+ AAAA/.test(text)) return { path, text, use: "login", passphrase: undefined };
  const use = /^AGE-SECRET-KEY-/m.test(text) ? "mail" : "both";
  try {
    parseIdentities(text);
    return { path, text, use, passphrase: undefined };
  } catch (error) {
    if (!(error instanceof PolicyError && error.code === "PASSPHRASE")) throw error;
    return { path, text, use, passphrase: await passphraseFor(path) };
  }
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return (await readBounded(path, MAX_BYTES)).toString("latin1");
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new HostError("FILE", `can't read the key "${path}": ${(cause as Error).message}`, {
      cause,
      hint: "correct its name in the profile, or bring the key back from your backup",
    });
  }
}

/**
 * A program that answers ssh's question for a passphrase with the environment variable `SHOAL_SSH_PASSPHRASE`, so that
 * the user is asked once for both uses of the key.
 */
export async function makeAskpass(stateFolder: string): Promise<string> {
  await makeFolder(stateFolder, 0o700);
  const path = join(stateFolder, "askpass");
  await writeFile(path, `#!/bin/sh\nprintf '%s\\n' "$SHOAL_SSH_PASSPHRASE"\n`, { mode: 0o700 });
  return path;
}
