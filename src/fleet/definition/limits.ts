/** The limits of a definition: what one message, mailbox, transaction and address may take. */

import { parseSize, printSize } from "./size.ts";
import type { Value } from "./value.ts";

export interface Limits {
  /** Largest message accepted, in bytes as sent. */
  messageBytes: number;
  /** Mailbox size of accounts that name none, in bytes. */
  quotaBytes: number;
  /** Recipients in one transaction. */
  recipients: number;
  /** SMTP connections open at a time on one `in` machine. */
  connections: number;
  /** As `connections`, from one address. */
  connectionsPerAddress: number;
  /** Messages that an account may send in any 24 hours. */
  messagesPerDay: number;
  /** People outside that an account may write to for the first time in any 24 hours. */
  newRecipientsPerDay: number;
  /** How long `out` tries to deliver a message. */
  queueHours: number;
  /** After so long without success its sender hears of it. */
  warnHours: number;
}

/** RFC 5321 section 4.5.3.1.7: 64 K octets must be accepted. */
const MIN_MESSAGE_BYTES = 64 * 1024;
const MAX_MESSAGE_BYTES = 1000 ** 3;
const MAX_QUOTA_BYTES = 1000 * 1000 ** 3;
/** RFC 5321 section 4.5.3.1.8: 100 recipients must be accepted. */
const MIN_RECIPIENTS = 100;

/** What a fleet has that does not say otherwise. */
export const OUT_LIMITS = { messagesPerDay: 500, newRecipientsPerDay: 100, queueHours: 24, warnHours: 4 } as const;
/** A week; people have forgotten by then what they wrote. */
const MAX_QUEUE_HOURS = 168;

export function readLimits(limits: Value): Limits {
  const fields = limits.fields(
    ["message", "quota", "recipients", "connections", "connections-per-address"],
    ["messages-per-day", "new-recipients-per-day", "queue-hours", "warn-hours"],
  );
  const messageBytes = readSize(fields.message, MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES);
  const connections = fields.connections.wholeNumber(1, 10_000);
  const queueHours = optionalNumber(fields["queue-hours"], MAX_QUEUE_HOURS, OUT_LIMITS.queueHours, "hours");
  const mostWarnHours = Number.isNaN(queueHours) ? MAX_QUEUE_HOURS : queueHours;
  const mostPerAddress = Number.isNaN(connections) ? 10_000 : connections;
  return {
    messageBytes,
    quotaBytes: readQuota(fields.quota, messageBytes),
    recipients: fields.recipients.wholeNumber(MIN_RECIPIENTS, 1000, "recipients of one message"),
    connections,
    connectionsPerAddress: fields["connections-per-address"].wholeNumber(
      1,
      mostPerAddress,
      "at most limits.connections",
    ),
    messagesPerDay: optionalNumber(fields["messages-per-day"], 100_000, OUT_LIMITS.messagesPerDay, "messages"),
    newRecipientsPerDay: optionalNumber(
      fields["new-recipients-per-day"],
      100_000,
      OUT_LIMITS.newRecipientsPerDay,
      "recipients",
    ),
    queueHours,
    warnHours: optionalNumber(
      fields["warn-hours"],
      mostWarnHours,
      Math.min(OUT_LIMITS.warnHours, mostWarnHours),
      "hours, at most limits.queue-hours",
    ),
  };
}

function optionalNumber(field: Value, most: number, otherwise: number, unit: string): number {
  return field.isAbsent ? otherwise : field.wholeNumber(1, most, unit);
}

/** A mailbox size, which is never smaller than the largest message. */
export function readQuota(quota: Value, messageBytes: number): number {
  return readSize(quota, Number.isNaN(messageBytes) ? MIN_MESSAGE_BYTES : messageBytes, MAX_QUOTA_BYTES);
}

function readSize(size: Value, least: number, most: number): number {
  const expected = `a size from ${printSize(least)} to ${printSize(most)}, as in "35 MB"`;
  const inRange = (text: string): number | null => {
    const bytes = parseSize(text);
    return bytes !== null && bytes >= least && bytes <= most ? bytes : null;
  };
  return size.parsed(inRange, expected) ?? Number.NaN;
}
