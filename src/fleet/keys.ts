/** Keys that bring-up makes on the admin workstation: host keys, one key for each link, certificates. Made once, then kept. */

import { chmod, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { exists, makeFolder, syncFolder, writeDurably } from "#host/files.ts";
import { networkFolder } from "./cell/places.ts";
import type { Fleet } from "./definition/definition.ts";
import { fleetSecrets } from "./plan.ts";
import type { FleetKeys, SecretSpec } from "./roles/role.ts";

/** First user id of mail accounts; below are the machines' own users. */
const firstUserId = 20_000;

function secretsFolder(fleet: string): string {
  return join(networkFolder(fleet), "secrets");
}

function secretPath(fleet: string, name: string): string {
  return join(secretsFolder(fleet), name.replaceAll("/", "_"));
}

/** Makes the keys and user ids that are missing and gives their public halves. One process at a time may call this. */
export async function ensureFleetKeys(fleet: Fleet): Promise<FleetKeys> {
  await makeFolder(networkFolder(fleet.name), 0o711);
  await makeFolder(secretsFolder(fleet.name), 0o700);
  const publicKeys = new Map<string, string>();
  for (const spec of fleetSecrets(fleet)) {
    const path = secretPath(fleet.name, spec.name);
    // The public half is renamed into place last: where it is, the secret is whole.
    if (!(await exists(`${path}.pub`))) await makeSecret(spec, path);
    publicKeys.set(spec.name, publicHalf(spec, await readFile(`${path}.pub`, "utf8")));
  }
  return { publicKeys, userIds: await ensureUserIds(fleet) };
}

/** The private half, for the machine that it was made for. */
export async function readSecret(fleet: string, name: string): Promise<Buffer> {
  return await readFile(secretPath(fleet, name));
}

async function makeSecret(spec: SecretSpec, path: string): Promise<void> {
  const temporary = `${path}.making`;
  await rm(temporary, { force: true });
  await rm(`${temporary}.pub`, { force: true });
  if (spec.kind === "ssh-ed25519") {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", spec.name, "-f", temporary]);
  } else {
    await exec("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"],
      ...["-subj", `/CN=${spec.hostname}`, "-addext", `subjectAltName=DNS:${spec.hostname}`],
      ...["-keyout", temporary, "-out", `${temporary}.pub`],
    ]);
  }
  await chmod(temporary, 0o600);
  await rename(temporary, path);
  await rename(`${temporary}.pub`, `${path}.pub`);
  await syncFolder(join(path, ".."));
}

function publicHalf(spec: SecretSpec, text: string): string {
  if (spec.kind === "tls") return text;
  const [type, key] = text.trim().split(" ");
  if (type === undefined || key === undefined) throw new FormatError("KEY", `"${spec.name}" has no public key line`);
  return `${type} ${key}`;
}

/** An account keeps its id for ever: its mail on disk is owned by it. Lines `ACCOUNT ID`, in the order of their first use. */
async function ensureUserIds(fleet: Fleet): Promise<Map<string, number>> {
  const path = join(networkFolder(fleet.name), "user-ids");
  const ids = new Map<string, number>();
  const text = (await exists(path)) ? await readFile(path, "utf8") : "";
  for (const line of text.split("\n").slice(0, -1)) {
    const [name, id] = line.split(" ");
    if (name === undefined || !/^\d+$/.test(id ?? "")) {
      throw new FormatError("CONFIG", `"${path}" has the line "${line}", expected an account and its number`);
    }
    ids.set(name, Number(id));
  }
  const known = ids.size;
  let next = Math.max(firstUserId - 1, ...ids.values()) + 1;
  for (const { name } of fleet.accounts) if (!ids.has(name)) ids.set(name, next++);
  if (next > 60_000) throw new FormatError("CONFIG", `"${path}" has used up the user ids below 60000`);
  if (ids.size > known) await writeDurably(path, [...ids].map(([name, id]) => `${name} ${id}\n`).join(""), 0o600);
  return ids;
}
