/** Keys as a person sees and names them. */

import { createHash } from "node:crypto";
import type { Device } from "#core/account/state.ts";
import { PolicyError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { printUses } from "./devices.ts";

const MIN_FINGERPRINT_CHARACTERS = 6;

/** As `ssh-keygen -l` shows it, `SHA256:…`; of an age recipient both ends of the text. */
export function fingerprintOf(key: string): string {
  if (key.startsWith("age1")) return `${key.slice(0, 16)}…${key.slice(-8)}`;
  return `SHA256:${createHash("sha256").update(parsePublicKey(key).blob).digest("base64").replace(/=+$/, "")}`;
}

/** `ssh-ed25519 SHA256:…`, `age1pq1…` */
export function describeKey(key: string): string {
  return key.startsWith("age1") ? fingerprintOf(key) : `${key.split(" ")[0] ?? ""} ${fingerprintOf(key)}`;
}

/** `auth,seal ssh-ed25519 SHA256:…` */
export function describeDevice(device: Device): string {
  return `${printUses(device).padEnd("auth,seal".length)} ${describeKey(device.key)}`;
}

/**
 * The key that a person means: its number in `shoal account show`, its fingerprint or the start of it, or the key itself.
 * @param keys in the order of their numbers
 * @param what what they are, in the singular: "device"
 * @throws PolicyError USAGE when there is none, or more than one
 */
export function findKey(keys: readonly string[], wanted: string, what: string): string {
  const hint = '"shoal account show" shows numbers and fingerprints';
  if (/^[0-9]{1,3}$/.test(wanted)) {
    const key = keys[Number(wanted) - 1];
    if (key !== undefined) return key;
    throw new PolicyError("USAGE", `there is no ${what} number ${wanted}, there are ${keys.length}`, { hint });
  }
  const line = wanted.trim().split(/\s+/).slice(0, 2).join(" ");
  const start = wanted.replace(/^SHA256:/, "");
  const found = keys.filter(
    (key) =>
      key === line ||
      (start.length >= MIN_FINGERPRINT_CHARACTERS &&
        (key.startsWith("age1") ? key.startsWith(wanted) : fingerprintOf(key).startsWith(`SHA256:${start}`))),
  );
  const [first] = found;
  if (first === undefined) throw new PolicyError("USAGE", `there is no ${what} "${wanted}"`, { hint });
  if (found.length > 1) throw new PolicyError("USAGE", `${found.length} keys begin with "${wanted}"`, { hint });
  return first;
}

/** What two versions differ in: lines such as `+ device auth,seal ssh-ed25519 SHA256:…`, removals first. */
export function describeChange(
  before: { master: readonly string[]; recovery: readonly string[]; devices: readonly Device[] } | null,
  after: { master: readonly string[]; recovery: readonly string[]; devices: readonly Device[] },
): string[] {
  const lines = (state: typeof before): string[] =>
    state === null
      ? []
      : [
          ...state.master.map((key) => `master    ${describeKey(key)}`),
          ...state.recovery.map((key) => `recovery  ${describeKey(key)}`),
          ...state.devices.map((device) => `device    ${describeDevice(device)}`),
        ];
  const [old, now] = [lines(before), lines(after)];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}
