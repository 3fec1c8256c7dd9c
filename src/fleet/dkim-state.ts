/** Which generation of the keys that sign mail is in use, and what the keys are called (docs/operate.md, "Signing mail"). */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { FormatError } from "#core/errors.ts";
import type { DkimAlgorithm } from "#core/mail/dkim.ts";
import { exists, writeDurably } from "#host/files.ts";
import { networkFolder } from "./cell/places.ts";
import type { SecretSpec } from "./roles/role.ts";

export type { DkimAlgorithm };

/** In the order in which a message gets them. */
export const dkimAlgorithms: readonly DkimAlgorithm[] = ["rsa", "ed25519"];

export interface DkimState {
  /** Number of the generation that signs, from 1. */
  readonly current: number;
  /** When it began to sign, Unix seconds; 0 for the first. */
  readonly since: number;
  /** Whether the generation before is not to be believed any more. */
  readonly isPreviousRevoked: boolean;
}

const stateSchema = v.strictObject({
  current: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  since: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  isPreviousRevoked: v.boolean(),
});

/** Names the generation and the algorithm: `g7r`, `g7e`. */
export function dkimSelector(generation: number, algorithm: DkimAlgorithm): string {
  return `g${generation}${algorithm === "rsa" ? "r" : "e"}`;
}

/** The name of a key among what bring-up makes. */
export function dkimSecret(generation: number, algorithm: DkimAlgorithm): string {
  return `dkim/${dkimSelector(generation, algorithm)}`;
}

/** What bring-up makes for one generation. */
export function dkimSpecs(domain: string, generation: number): SecretSpec[] {
  return dkimAlgorithms.map((algorithm) => ({
    name: dkimSecret(generation, algorithm),
    kind: algorithm === "rsa" ? "ssh-rsa" : "ssh-ed25519",
    hostname: domain,
  }));
}

/** A fleet that has never rolled its keys is at the first. @throws FormatError CONFIG */
export async function readDkimState(fleet: string): Promise<DkimState> {
  const path = statePath(fleet);
  if (!(await exists(path))) return { current: 1, since: 0, isPreviousRevoked: false };
  const text = await readFile(path, "utf8");
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), stateSchema), text);
  if (result.success) return result.output;
  throw new FormatError("CONFIG", `"${path}" does not say which keys sign: ${result.issues[0].message}`);
}

export async function writeDkimState(fleet: string, state: DkimState): Promise<void> {
  await writeDurably(statePath(fleet), `${JSON.stringify(state)}\n`);
}

function statePath(fleet: string): string {
  return join(networkFolder(fleet), "dkim.json");
}
