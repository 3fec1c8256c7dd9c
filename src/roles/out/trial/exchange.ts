/**
 * What shoal-trial is asked on standard input and answers on standard output: a JSON list of tasks, and a list of results in the
 * same order. Each side believes the other nothing: both lists are parsed.
 */

import * as v from "valibot";

const name = v.pipe(v.string(), v.regex(/^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/), v.maxLength(253));
const address = v.pipe(v.string(), v.ipv4());
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const text = v.pipe(v.string(), v.maxLength(100_000));

/** Which records there are, as the machine's own resolver says. */
const lookupTask = v.strictObject({
  kind: v.literal("lookup"),
  name,
  type: v.picklist(["A", "AAAA", "MX", "PTR", "TLSA", "TXT"]),
});

/** The MTA-STS policy that is served for a domain. */
const policyTask = v.strictObject({ kind: v.literal("policy"), domain: name });

/** A session with a mail server from one of the machine's addresses; no message is offered. */
const sessionTask = v.strictObject({
  kind: v.literal("session"),
  from: address,
  server: address,
  /** Its name, for SNI. */
  serverName: name,
  heloName: name,
  /** Asked for as a recipient after STARTTLS. */
  recipient: v.pipe(v.string(), v.regex(/^[a-z0-9.-]+@[a-z0-9.-]+$/)),
});

/** A message of the domain through smtpd and its filters, as an account's goes, back to this program. */
const messageTask = v.strictObject({
  kind: v.literal("message"),
  domain: name,
  heloName: name,
  /** smtpd's port on loopback that it goes in by. */
  port,
  /** smtpd hands on what is for this domain to this port on loopback. */
  sink: v.strictObject({ domain: name, port }),
});

const task = v.variant("kind", [lookupTask, policyTask, sessionTask, messageTask]);
export const tasksSchema = v.pipe(v.array(task), v.maxLength(500));
export type TrialTask = v.InferOutput<typeof task>;
export type LookupTask = v.InferOutput<typeof lookupTask>;
export type PolicyTask = v.InferOutput<typeof policyTask>;
export type SessionTask = v.InferOutput<typeof sessionTask>;
export type MessageTask = v.InferOutput<typeof messageTask>;

/** What a task came to nothing for, in words for people. */
const failed = v.strictObject({ kind: v.literal("failed"), why: text });

const lookupResult = v.strictObject({
  kind: v.literal("lookup"),
  outcome: v.picklist(["found", "no-data", "no-name", "bogus", "failed"]),
  /** Validated, the absence too. */
  secure: v.boolean(),
  /** Where aliases lead. */
  canonicalName: text,
  /** As a zone file has them, names without a final dot; of TXT the text, strings joined, a character a byte. */
  records: v.array(text),
  /** Why there is no answer; "" if there is one. */
  why: text,
});

const policyResult = v.strictObject({
  kind: v.literal("policy"),
  mode: v.picklist(["enforce", "testing", "none"]),
  maxAgeSeconds: v.number(),
  mx: v.array(text),
});

const sessionResult = v.strictObject({
  kind: v.literal("session"),
  /** The address that the server says we come from; null if it does not say. */
  seen: v.nullable(address),
  /** SHA-256 of its certificate's SubjectPublicKeyInfo, hexadecimal. */
  publicKeyDigest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** Why the certificate is not valid for the name; null if it is. */
  certificateTrouble: v.nullable(text),
  /** The answer to the recipient. */
  code: v.number(),
  text,
});

const messageResult = v.strictObject({
  kind: v.literal("message"),
  /** What a receiving server got: CRLF line ends, base64. */
  message: v.pipe(v.string(), v.base64()),
});

const result = v.variant("kind", [failed, lookupResult, policyResult, sessionResult, messageResult]);
export const resultsSchema = v.array(result);
export type TrialResult = v.InferOutput<typeof result>;
export type LookupResult = v.InferOutput<typeof lookupResult>;
export type PolicyResult = v.InferOutput<typeof policyResult>;
export type SessionResult = v.InferOutput<typeof sessionResult>;
export type MessageResult = v.InferOutput<typeof messageResult>;
export type FailedResult = v.InferOutput<typeof failed>;
