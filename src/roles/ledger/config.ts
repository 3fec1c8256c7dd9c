/** The JSON configuration of shoal-ledger; unknown fields are refused. */

import * as v from "valibot";
import { isChainId } from "#core/account/signed-text.ts";
import { isDomain } from "#core/mail/address.ts";
import { readConfig } from "#host/config.ts";

const path = v.pipe(v.string(), v.startsWith("/"));

const machineSchema = v.strictObject({
  /** Its name in logs and in the status. */
  machine: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
  /** `keys` is asked for proposals, too. */
  role: v.picklist(["keys", "in", "fetch", "out"]),
  host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,253}$/)),
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  identity: path,
  knownHosts: path,
  /** Unix users there: whose forced commands lead to shoal-accept and to shoal-keys. */
  feedUser: v.optional(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/)), "ledger"),
  proposalsUser: v.optional(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/)), "proposals"),
  /** A program instead of `ssh`: it gets the arguments that `ssh` would get. */
  program: v.optional(path),
});

export const ledgerSchema = v.strictObject({
  domain: v.pipe(v.string(), v.check(isDomain, "expected a domain in lower case")),
  /** Id of the operator's directory. */
  directory: v.pipe(v.string(), v.check(isChainId, "expected 22 characters of directory id")),
  /** SQLite, made when missing. */
  store: path,
  /** Where `submit`, `status` and `dump` come in. */
  socket: path,
  machines: v.pipe(
    v.array(machineSchema),
    v.check(
      (machines) => new Set(machines.map(({ machine }) => machine)).size === machines.length,
      "expected each machine once",
    ),
  ),
});

export type LedgerConfig = v.InferOutput<typeof ledgerSchema>;
export type MachineConfig = v.InferOutput<typeof machineSchema>;
/** What the renderer writes: fields with a default may be left out. */
export type LedgerConfigInput = v.InferInput<typeof ledgerSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readLedgerConfig(file: string): Promise<LedgerConfig> {
  return await readConfig(ledgerSchema, file);
}
