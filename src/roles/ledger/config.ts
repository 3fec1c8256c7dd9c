/** The JSON configuration of shoal-ledger; unknown fields are refused. */

import * as v from "valibot";
import { isChainId } from "#core/account/chain-id.ts";
import { isDomain } from "#core/mail/address.ts";
import { MAX_HEARTBEAT_SECONDS } from "#core/mailbox/head.ts";
import { readConfig } from "#host/config.ts";

const path = v.pipe(v.string(), v.startsWith("/"));

const user = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/));

function whole(least: number, most: number): v.GenericSchema<number> {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

/** How a machine is reached. */
const target = {
  /** Its name in logs and in the status. */
  machine: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
  host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,253}$/)),
  port: whole(1, 65_535),
  identity: path,
  knownHosts: path,
  /** A program instead of `ssh`: it gets the arguments that `ssh` would get. */
  program: v.optional(path),
};

const machineSchema = v.strictObject({
  ...target,
  /** `keys` is asked for proposals, too. */
  role: v.picklist(["keys", "in", "fetch", "out"]),
  /** Unix users there: whose forced commands lead to shoal-accept and to shoal-keys. */
  feedUser: v.optional(user, "ledger"),
  proposalsUser: v.optional(user, "proposals"),
});

const mailboxMachineSchema = v.strictObject({
  ...target,
  /** As the directory numbers the machines that keep mail. */
  number: whole(1, 9),
  /** Unix user there: its SFTP shows `/NAME/ledger` of every account. */
  user: v.optional(user, "mailboxes"),
});

const mailboxesSchema = v.strictObject({
  /** SQLite, made when missing; not the accounts'. */
  store: path,
  /** The key that signs heads, made when missing. */
  signer: path,
  /** Where deliveries come in. */
  socket: path,
  /** How long a mail is kept from its delivery on. */
  retentionDays: whole(1, 3650),
  /** Between two heads of a mailbox where nothing happens. */
  heartbeatSeconds: v.optional(whole(1, MAX_HEARTBEAT_SECONDS / 2), 300),
  fetch: v.pipe(
    v.array(mailboxMachineSchema),
    v.check(
      (machines) => new Set(machines.map(({ number }) => number)).size === machines.length,
      "expected each number once",
    ),
  ),
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
  /** Without it there are no signed mailboxes. */
  mailboxes: v.optional(mailboxesSchema),
});

export type LedgerConfig = v.InferOutput<typeof ledgerSchema>;
export type MachineConfig = v.InferOutput<typeof machineSchema>;
export type MailboxesConfig = v.InferOutput<typeof mailboxesSchema>;
export type MailboxMachineConfig = v.InferOutput<typeof mailboxMachineSchema>;
/** What the renderer writes: fields with a default may be left out. */
export type LedgerConfigInput = v.InferInput<typeof ledgerSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readLedgerConfig(file: string): Promise<LedgerConfig> {
  return await readConfig(ledgerSchema, file);
}
