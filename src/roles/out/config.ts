/** The JSON configuration of shoal-submit; unknown fields are refused. */

import * as v from "valibot";
import { isDomain } from "#core/mail/address.ts";
import { MAX_RECIPIENTS } from "#core/mail/submission/command.ts";
import { DEFAULT_LIMITS } from "#core/mail/submission/prepare.ts";
import { readConfig } from "#host/config.ts";

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const seconds = v.pipe(v.number(), v.minValue(0.1), v.maxValue(86_400));
const path = v.pipe(v.string(), v.startsWith("/"));
const hostName = v.pipe(v.string(), v.check(isDomain, "expected a domain in lower case"));

export const submitSchema = v.strictObject({
  /** Whose accounts send here. */
  domain: hostName,
  /** The name of this machine to mail servers that are probed. */
  hostname: hostName,
  /** Where the relay script connects. */
  socket: path,
  /** SQLite, made when missing: what accounts have sent. */
  store: path,
  /** 32 random bytes (docs/formats/submission.md, "Threads"); the hashes in the store hang on it, too. */
  threadKey: path,
  /** Validates DNSSEC. */
  resolver: v.strictObject({ address: v.pipe(v.string(), v.ip()), port }),
  /** PEM file with the authorities that smtpd trusts; default: the system's. */
  caFile: v.optional(path),
  /** For a test network: mail servers with private addresses are probed, too. */
  allowPrivate: v.optional(v.boolean(), false),
  /** CIDR blocks of the provider that strangers' DNS must not lead us to. */
  ownNetworks: v.optional(v.array(v.string()), []),
  /** Folder of smtpd's queue: nothing is handed over while its disk is short of room. */
  queue: path,
  /** smtpd's ports on 127.0.0.1. */
  smtpd: v.strictObject({ strict: port, anyway: port, dane: port }),
  /** How mail is signed; without it, it leaves unsigned. */
  dkim: v.optional(
    v.strictObject({
      /** Of the agent that has the keys. */
      agent: path,
      keys: v.pipe(
        v.array(
          v.strictObject({
            selector: v.pipe(v.string(), v.regex(/^[a-z0-9]{1,63}$/)),
            algorithm: v.picklist(["rsa", "ed25519"]),
            /** The wire encoding that SSH has for the public key. */
            publicKey: v.pipe(v.string(), v.base64()),
          }),
        ),
        v.minLength(1),
      ),
    }),
  ),
  /** rspamd, which is asked before anything leaves; without it, nobody is. */
  judge: v.optional(
    v.strictObject({
      /** On 127.0.0.1. */
      port,
      seconds: v.optional(seconds, 30),
    }),
  ),
  /** Days are the 24 hours before. */
  limits: v.strictObject({
    messagesPerDay: count,
    /** Outside of `domain`, and not written to in 90 days. */
    newRecipientsPerDay: count,
    recipients: v.pipe(count, v.maxValue(MAX_RECIPIENTS)),
    messageBytes: v.pipe(count, v.maxValue(DEFAULT_LIMITS.bytes)),
    /** Domains whose servers are looked at for one account. */
    domainsPerHour: v.optional(count, 1000),
  }),
  /** smtpd's notices to senders, which come back rewritten (docs/formats/notice.md); without it smtpd's own go out. */
  notices: v.optional(
    v.strictObject({
      /** On 127.0.0.1: where smtpd brings them. */
      port,
      /** Where they go, in this order. */
      in: v.pipe(v.array(v.strictObject({ address: v.pipe(v.string(), v.ip()), port })), v.minLength(1)),
      /** Largest message that these take. */
      maxMessageBytes: count,
      /** How long mail is tried, as smtpd is told. */
      queueHours: count,
    }),
  ),
  /** Memory for all messages that are being handed in. */
  maxMemoryBytes: v.optional(count, 512 * 1024 * 1024),
  /** From the start of a message to its end. */
  messageSeconds: v.optional(seconds, 3600),
  /** Without a byte of it. */
  pauseSeconds: v.optional(seconds, 180),
  /** For each signature. */
  signSeconds: v.optional(seconds, 20),
  /** For each of smtpd's replies. */
  replySeconds: v.optional(seconds, 120),
});

export type SubmitConfig = v.InferOutput<typeof submitSchema>;
/** What the renderer writes: fields with a default may be left out. */
export type SubmitConfigInput = v.InferInput<typeof submitSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readSubmitConfig(file: string): Promise<SubmitConfig> {
  return await readConfig(submitSchema, file);
}
