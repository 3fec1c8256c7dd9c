/** The JSON configuration of shoal-accept; unknown fields are refused. */

import * as v from "valibot";
import { isChainId } from "#core/account/chain-id.ts";
import { isDomain } from "#core/mail/address.ts";
import { readConfig } from "#host/config.ts";

const path = v.pipe(v.string(), v.startsWith("/"));
const fetchNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9));
const user = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/));
const machine = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/));

const inSchema = v.strictObject({
  role: v.literal("in"),
  /** Written: docs/formats/recipients.md. */
  recipientsFile: path,
  /** Number of a `fetch` machine in the directory -> its name in the recipients file. */
  fetch: v.record(v.pipe(v.string(), v.regex(/^[1-9]$/)), machine),
});

const fetchSchema = v.strictObject({
  role: v.literal("fetch"),
  /** Which accounts have their mail here. */
  number: fetchNumber,
  mailFolder: path,
  /** Unix users that mail is added as, and that ledgers of mailboxes are written as. */
  depositUser: v.optional(user, "deposit"),
  mailboxesUser: v.optional(user, "mailboxes"),
});

const keysSchema = v.strictObject({
  role: v.literal("keys"),
  /** Where each account has the folder that its owner is locked into. */
  folder: path,
  /** Unix user that shoal-keys runs as. */
  user: v.optional(user, "shoal-keys"),
});

const outSchema = v.strictObject({
  role: v.literal("out"),
  /** Login shell of accounts, by which sshd runs the forced command. */
  shell: path,
  /** Id of the group that all accounts have as their first: who may speak to shoal-submit. */
  gid: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(999)),
});

export const acceptSchema = v.strictObject({
  domain: v.pipe(v.string(), v.check(isDomain, "expected a domain in lower case")),
  /** Id of the operator's directory. */
  directory: v.pipe(v.string(), v.check(isChainId, "expected 22 characters of directory id")),
  /** SQLite, made when missing. */
  store: path,
  /** Where the ledger's connection comes in. */
  socket: path,
  serves: v.variant("role", [inSchema, fetchSchema, keysSchema, outSchema]),
  /** Holds `passwd`, `group`, `shadow` and `ssh/authorized_keys/`. */
  etc: v.optional(path, "/etc"),
  /** Where the kernel lists processes. */
  proc: v.optional(path, "/proc"),
});

export type AcceptConfig = v.InferOutput<typeof acceptSchema>;
export type InConfig = v.InferOutput<typeof inSchema>;
export type FetchConfig = v.InferOutput<typeof fetchSchema>;
export type KeysConfig = v.InferOutput<typeof keysSchema>;
export type OutConfig = v.InferOutput<typeof outSchema>;
/** What the renderer writes: fields with a default may be left out. */
export type AcceptConfigInput = v.InferInput<typeof acceptSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readAcceptConfig(file: string): Promise<AcceptConfig> {
  return await readConfig(acceptSchema, file);
}
