/** Keys that bring-up makes on the admin workstation: host keys, one key for each link, certificates. Made once, then kept. */

import { randomBytes } from "node:crypto";
import { chmod, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { exists, makeFolder, syncFolder } from "#host/files.ts";
import { networkFolder } from "./cell/places.ts";
import type { Fleet } from "./definition/definition.ts";
import { readDkimState } from "./dkim-state.ts";
import { fleetSecrets } from "./plan.ts";
import type { FleetKeys, SecretSpec } from "./roles/role.ts";

function secretsFolder(fleet: string): string {
  return join(networkFolder(fleet), "secrets");
}

function secretPath(fleet: string, name: string): string {
  return join(secretsFolder(fleet), name.replaceAll("/", "_"));
}

/** Makes the keys that are missing and gives their public halves. One process at a time may call this. */
export async function ensureFleetKeys(fleet: Fleet): Promise<FleetKeys> {
  const { current } = await readDkimState(fleet.name);
  return { publicKeys: await ensureKeys(fleet, fleetSecrets(fleet, current)), dkimGeneration: current };
}

/** The same for the keys named here: secret name -> public half. */
export async function ensureKeys(fleet: Fleet, specs: readonly SecretSpec[]): Promise<Map<string, string>> {
  await makeFolder(networkFolder(fleet.name), 0o711);
  await makeFolder(secretsFolder(fleet.name), 0o700);
  const publicKeys = new Map<string, string>();
  for (const spec of specs) {
    const path = secretPath(fleet.name, spec.name);
    // The public half is renamed into place last: where it is, the secret is whole.
    if (!(await exists(`${path}.pub`))) await makeSecret(spec, path);
    publicKeys.set(spec.name, publicHalf(spec, await readFile(`${path}.pub`, "utf8")));
  }
  return publicKeys;
}

/** The private half, for the machine that it was made for. */
export async function readSecret(fleet: string, name: string): Promise<Buffer> {
  return await readFile(secretPath(fleet, name));
}

/** Removes a private half for ever; the public one stays. */
export async function forgetKey(fleet: Fleet, name: string): Promise<void> {
  const path = secretPath(fleet.name, name);
  await rm(path, { force: true });
  await syncFolder(join(path, ".."));
}

async function makeSecret(spec: SecretSpec, path: string): Promise<void> {
  const temporary = `${path}.making`;
  await rm(temporary, { force: true });
  await rm(`${temporary}.pub`, { force: true });
  if (spec.kind === "ssh-ed25519" || spec.kind === "ssh-rsa") {
    const type = spec.kind === "ssh-rsa" ? ["rsa", "-b", "2048"] : ["ed25519"];
    await exec("ssh-keygen", ["-q", "-t", ...type, "-N", "", "-C", spec.name, "-f", temporary]);
  } else if (spec.kind === "tls") {
    await exec("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"],
      ...["-subj", `/CN=${spec.hostname}`, "-addext", `subjectAltName=DNS:${spec.hostname}`],
      ...["-keyout", temporary, "-out", `${temporary}.pub`],
    ]);
  } else {
    const random = spec.kind === "random-bytes" ? randomBytes(32) : `${randomBytes(24).toString("base64url")}\n`;
    await writeFile(temporary, random, { mode: 0o600 });
    await writeFile(`${temporary}.pub`, "");
  }
  await chmod(temporary, 0o600);
  await rename(temporary, path);
  await rename(`${temporary}.pub`, `${path}.pub`);
  await syncFolder(join(path, ".."));
}

function publicHalf(spec: SecretSpec, text: string): string {
  // Of a certificate it is all of it, of random bytes nothing.
  if (spec.kind !== "ssh-ed25519" && spec.kind !== "ssh-rsa") return text;
  const [type, key] = text.trim().split(" ");
  if (type === undefined || key === undefined) throw new FormatError("KEY", `"${spec.name}" has no public key line`);
  return `${type} ${key}`;
}
