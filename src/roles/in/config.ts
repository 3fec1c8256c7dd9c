/** The JSON configuration of the three programs of machine `in`; unknown fields are refused. */

import * as v from "valibot";
import { readConfig } from "#host/config.ts";

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const seconds = v.pipe(v.number(), v.minValue(0.1));
const path = v.pipe(v.string(), v.startsWith("/"));
const ipAddress = v.pipe(v.string(), v.ip());
const endpoint = v.strictObject({ address: ipAddress, port });

const frontSchema = v.strictObject({
  /** Whose `<postmaster>` is meant where a client names no domain. */
  domain: v.pipe(v.string(), v.regex(/^[a-z0-9.-]{1,253}$/)),
  /** Where the world connects. */
  listen: v.pipe(v.array(endpoint), v.minLength(1)),
  /** smtpd's `proxy-v2` listener. */
  smtpd: endpoint,
  /** PEM files: the certificate with its chain, and its key. */
  tls: v.strictObject({ certificate: path, key: path }),
  /** The same number as smtpd's `max-message-size`. */
  maxMessageBytes: v.optional(count, 36_700_160),
  maxConnections: v.optional(count, 400),
  maxConnectionsPerClient: v.optional(count, 50),
  commandSeconds: v.optional(seconds, 300),
  pauseSeconds: v.optional(seconds, 180),
  messageSeconds: v.optional(seconds, 3600),
  replySeconds: v.optional(seconds, 300),
  lingerSeconds: v.optional(seconds, 10),
});

const sealSchema = v.strictObject({
  /** The name of this machine in the trace of each mail. */
  hostname: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.-]{1,253}$/)),
  /** `docs/formats/recipients.md` */
  recipientsFile: path,
  /** `docs/formats/usage.md` */
  usageFile: path,
  /** The same number as smtpd's `max-message-size`. */
  maxMessageBytes: v.optional(count, 36_700_160),
  /** Largest container, the envelopes of all recipients together. */
  maxContainerBytes: v.optional(count, 256 * 1024 * 1024),
  /** Memory for the messages of all sessions together. */
  maxMemoryBytes: v.optional(count, 256 * 1024 * 1024),
});

const fetchSchema = v.strictObject({
  /** Its name in the accounts file. */
  machine: v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,63}$/)),
  host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,253}$/)),
  port,
  depositUser: v.pipe(v.string(), v.regex(/^[a-z0-9_-]{1,32}$/)),
  usageUser: v.pipe(v.string(), v.regex(/^[a-z0-9_-]{1,32}$/)),
  identity: path,
  knownHosts: path,
});

const ledgerSchema = v.strictObject({
  host: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.:-]{1,253}$/)),
  port,
  /** Unix user there, whose forced command leads to the socket that takes deliveries. */
  user: v.pipe(v.string(), v.regex(/^[a-z0-9_-]{1,32}$/)),
  identity: path,
  knownHosts: path,
  /** A program instead of `ssh`: it gets the arguments that `ssh` would get. */
  program: v.optional(path),
});

const courierSchema = v.strictObject({
  /** Where smtpd relays to. */
  listen: endpoint,
  fetch: v.pipe(v.array(fetchSchema), v.minLength(1)),
  /** Where deliveries are listed; without it they are not. */
  ledger: v.optional(ledgerSchema),
  recipientsFile: path,
  usageFile: path,
  /** Largest container that smtpd may relay. */
  maxMessageBytes: v.optional(count, 400 * 1024 * 1024),
  /** Memory for the containers of all sessions together. */
  maxMemoryBytes: v.optional(count, 512 * 1024 * 1024),
  /** How long a deposit is tried again within one transaction. */
  patienceSeconds: v.optional(seconds, 120),
  usageSeconds: v.optional(seconds, 20),
});

export type FrontConfig = v.InferOutput<typeof frontSchema>;
export type SealConfig = v.InferOutput<typeof sealSchema>;
export type CourierConfig = v.InferOutput<typeof courierSchema>;
export type LedgerConfig = v.InferOutput<typeof ledgerSchema>;
export type FetchConfig = v.InferOutput<typeof fetchSchema>;

/** What the renderer writes: fields with a default may be left out. */
export type FrontConfigInput = v.InferInput<typeof frontSchema>;
export type SealConfigInput = v.InferInput<typeof sealSchema>;
export type CourierConfigInput = v.InferInput<typeof courierSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readFrontConfig(file: string): Promise<FrontConfig> {
  return await readConfig(frontSchema, file);
}

/** @throws FormatError CONFIG naming every mistake */
export async function readSealConfig(file: string): Promise<SealConfig> {
  return await readConfig(sealSchema, file);
}

/** @throws FormatError CONFIG naming every mistake */
export async function readCourierConfig(file: string): Promise<CourierConfig> {
  return await readConfig(courierSchema, file);
}
