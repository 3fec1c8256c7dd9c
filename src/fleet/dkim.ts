/**
 * The keys by which the fleet's mail is signed (DKIM, RFC 6376 and 8463), made on the admin workstation. They come in
 * generations, an RSA and an Ed25519 key each: `current` signs and is on the machines `out`; `next` is published long before it
 * signs, and is nowhere but here; `previous` stays published while mail that it has signed is on its way.
 */

import { createPublicKey } from "node:crypto";
import { PolicyError } from "#core/errors.ts";
import { WireReader } from "#core/ssh/wire.ts";
import type { Fleet } from "./definition/definition.ts";
import {
  type DkimAlgorithm,
  type DkimState,
  dkimAlgorithms,
  dkimSecret,
  dkimSelector,
  dkimSpecs,
  readDkimState,
  writeDkimState,
} from "./dkim-state.ts";
import { ensureKeys, forgetKey } from "./keys.ts";
import type { SecretSpec } from "./roles/role.ts";

/** What is published at `SELECTOR._domainkey.DOMAIN`. */
export interface DkimRecord {
  /** Names the generation and the algorithm: `g7r`, `g7e`. */
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly use: "current" | "next" | "previous";
  /** Text of the TXT record, up to 420 characters; with an empty `p=` it says that the key is revoked. */
  readonly txt: string;
}

/** A key's mail may be on its way for a day, and be checked again by its reader some days later. */
const ROLL_SECONDS = 5 * 86_400;

/**
 * What has to be published, `previous` and `next` included; nothing for a fleet without machines `out`. Keys that do not exist yet
 * are made.
 * @throws FormatError; HostError EXEC
 */
export async function dkimRecords(fleet: Fleet): Promise<readonly DkimRecord[]> {
  if (fleet.roles.out === 0) return [];
  const state = await readDkimState(fleet.name);
  const specs = dkimSecrets(fleet, state);
  const publicKeys = await ensureKeys(fleet, specs);
  return generationsOf(state).flatMap(({ generation, use }) =>
    dkimAlgorithms.map((algorithm) => {
      const isRevoked = use === "previous" && state.isPreviousRevoked;
      const key = publicKeys.get(dkimSecret(generation, algorithm)) ?? "";
      const p = isRevoked ? "" : publishedKey(key, algorithm).toString("base64");
      return { selector: dkimSelector(generation, algorithm), algorithm, use, txt: `v=DKIM1; k=${algorithm}; p=${p}` };
    }),
  );
}

/** All keys that are current, next or previous. */
function dkimSecrets({ domain }: Fleet, state: DkimState): SecretSpec[] {
  return generationsOf(state).flatMap(({ generation }) => dkimSpecs(domain, generation));
}

export interface RollOptions {
  /** Unix seconds. */
  readonly now: number;
  /** Somebody else may have the current key: it is revoked, whatever mail of it is on its way, and however old it is. */
  readonly revoke: boolean;
}

/**
 * Makes the next generation the one that signs, from the next `up` on.
 * @throws PolicyError PACE while mail of the previous one may still be on its way
 */
export async function rollDkim(fleet: Fleet, { now, revoke }: RollOptions): Promise<DkimState> {
  const state = await readDkimState(fleet.name);
  const days = Math.ceil((state.since + ROLL_SECONDS - now) / 86_400);
  if (!revoke && days > 0) {
    throw new PolicyError("PACE", `the keys were rolled less than ${ROLL_SECONDS / 86_400} days ago`, {
      hint: `mail of the previous ones may still be on its way: wait ${days} days, or revoke the current ones with --revoke`,
    });
  }
  const rolled = { current: state.current + 1, since: now, isPreviousRevoked: revoke };
  await ensureKeys(fleet, dkimSecrets(fleet, rolled));
  await writeDkimState(fleet.name, rolled);
  // What signs no more is worth stealing as long as it is published.
  for (const algorithm of dkimAlgorithms) await forgetKey(fleet, dkimSecret(state.current, algorithm));
  return rolled;
}

function generationsOf({ current }: DkimState): { generation: number; use: DkimRecord["use"] }[] {
  const all = [
    { generation: current, use: "current" as const },
    { generation: current + 1, use: "next" as const },
    { generation: current - 1, use: "previous" as const },
  ];
  return all.filter(({ generation }) => generation >= 1);
}

/** RSA: SubjectPublicKeyInfo (RFC 6376 section 3.6.1); Ed25519: the 32 bytes (RFC 8463 section 4). */
function publishedKey(line: string, algorithm: DkimAlgorithm): Buffer {
  const reader = new WireReader(Buffer.from(line.split(" ")[1] ?? "", "base64"), "KEY", "DKIM key");
  reader.name();
  if (algorithm === "ed25519") return reader.string();
  const e = reader.positive().toString("base64url");
  const n = reader.positive().toString("base64url");
  return createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }).export({ format: "der", type: "spki" });
}
