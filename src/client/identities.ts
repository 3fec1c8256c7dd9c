/** The user's private keys: each file may open mail, log in, or both. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Identity, parseIdentities } from "#core/age/age.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { makeFolder, readBounded } from "#host/files.ts";
import { passphraseFor } from "./passphrase.ts";

const MAX_BYTES = 65_536;

export interface Keys {
  /** What opens mail, one or more. */
  identities: Identity[];
  /** Files for `ssh -i`. */
  loginFiles: string[];
  /** The passphrase of the first protected login key; undefined when none is. */
  passphrase: string | undefined;
}

/**
 * Reads every file; a passphrase is asked for where one is needed.
 * @throws PolicyError NO-IDENTITY when none can open mail, PASSPHRASE; VerifyError PASSPHRASE; HostError FILE
 */
export async function loadKeys(files: readonly string[]): Promise<Keys> {
  const keys: Keys = { identities: [], loginFiles: [], passphrase: undefined };
  let unusable: FormatError | undefined;
  for (const file of files) {
    const text = await readKeyFile(file);
    // A native age key can't log in, everything else is for ssh to judge: hardware keys, public halves of agent keys.
    const native = /^AGE-SECRET-KEY-/m.test(text);
    if (!native) keys.loginFiles.push(file);
    if (isPublicKey(text)) continue;
    try {
      const { identities, passphrase } = await unlock(file, text);
      keys.identities.push(...identities);
      if (!native) keys.passphrase ??= passphrase;
    } catch (error) {
      if (!(error instanceof FormatError) || native) throw error;
      unusable = error;
    }
  }
  if (keys.identities.length > 0) return keys;
  const why = unusable === undefined ? "" : `: ${unusable.message}`;
  throw new PolicyError("NO-IDENTITY", `none of the identity files can open mail${why}`, {
    hint: "name an ssh-ed25519, ssh-rsa or age private key in the profile",
  });
}

function isPublicKey(text: string): boolean {
  return /^(ssh|sk-ssh|ecdsa|sk-ecdsa)-[^ ]+ AAAA/.test(text);
}

async function unlock(file: string, text: string): Promise<{ identities: Identity[]; passphrase: string | undefined }> {
  try {
    return { identities: parseIdentities(text), passphrase: undefined };
  } catch (error) {
    if (!(error instanceof PolicyError && error.code === "PASSPHRASE")) throw error;
  }
  const passphrase = await passphraseFor(file);
  return { identities: parseIdentities(text, passphrase), passphrase };
}

async function readKeyFile(file: string): Promise<string> {
  try {
    return (await readBounded(file, MAX_BYTES)).toString("latin1");
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new HostError("FILE", `can't read the key "${file}": ${(cause as Error).message}`, {
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
