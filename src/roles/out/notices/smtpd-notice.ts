/** What OpenSMTPD 7.6 writes when mail could not be delivered, or not yet (its bounce.c), read strictly. */

import { parseAddress } from "#core/mail/address.ts";
import { type Field, fieldOf, readHeader } from "#core/mail/message-fields.ts";
import { type MimePart, parseMime } from "#core/mail/mime.ts";

export interface SmtpdNotice {
  readonly kind: "failed" | "delayed";
  /** Of a delay, in smtpd's words, as in `4 hours`. */
  readonly after: string | null;
  /** As in its header. */
  readonly date: string;
  readonly recipients: readonly SmtpdRecipient[];
  /** The mail as it waited in the queue, or its header alone; CRLF line ends. */
  readonly original: Buffer;
  readonly isWhole: boolean;
}

export interface SmtpdRecipient {
  readonly address: string;
  /** The receiving server's words, or smtpd's own; printable ASCII, cut. */
  readonly said: string;
}

const MAX_SAID_CHARACTERS = 600;
const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_RECIPIENTS = 1000;

/** @returns null for what smtpd does not write */
export function parseSmtpdNotice(message: Buffer): SmtpdNotice | null {
  const { fields, parts } = parseMime(message);
  const kind = /^Delivery status notification: (failed|delayed)$/.exec(fieldOf(fields, "subject") ?? "")?.[1];
  const [text, status, original, ...more] = parts;
  if ((kind !== "failed" && kind !== "delayed") || original === undefined || more.length > 0) return null;
  if (text?.type !== "text/plain" || status?.type !== "message/delivery-status") return null;
  if (!["message/rfc822", "text/rfc822-headers"].includes(original.type)) return null;
  if (text.body.length > MAX_TEXT_BYTES || status.body.length > MAX_TEXT_BYTES) return null;
  const recipients = readRecipients(text, status, kind);
  if (recipients === null) return null;
  const after = /delayed for more than (\d{1,6} [a-z]{1,10}) for/.exec(text.body.toString("latin1"))?.[1];
  return {
    kind,
    after: after ?? null,
    date: printable(fieldOf(fields, "date") ?? "", 60),
    recipients,
    original: original.body,
    isWhole: kind === "failed" && hasBody(original.body),
  };
}

function readRecipients(text: MimePart, status: MimePart, kind: string): SmtpdRecipient[] | null {
  const lines = text.body.toString("latin1").split("\r\n");
  const recipients: SmtpdRecipient[] = [];
  for (const block of status.body.toString("latin1").split("\r\n\r\n")) {
    const { fields } = readHeader(Buffer.from(`${block}\r\n`, "latin1"));
    const address = finalRecipient(fields);
    if (address === null) continue;
    if (fieldOf(fields, "action") !== kind || recipients.length >= MAX_RECIPIENTS) return null;
    const line = lines.find((each) => each.startsWith(`${address}: `)) ?? "";
    recipients.push({ address, said: printable(line.slice(address.length + 2), MAX_SAID_CHARACTERS) });
  }
  return recipients.length === 0 ? null : recipients;
}

function finalRecipient(fields: readonly Field[]): string | null {
  const address = /^rfc822; ([!-~]+)$/.exec(fieldOf(fields, "final-recipient") ?? "")?.[1] ?? "";
  return parseAddress(address) === null ? null : address;
}

/** smtpd calls the part a header also when it gives the whole mail. */
function hasBody(original: Buffer): boolean {
  const end = original.indexOf("\r\n\r\n");
  return end >= 0 && original.length > end + 4;
}

function printable(text: string, maxCharacters: number): string {
  const clean = text.replace(/[^ -~]+/g, "?").trim();
  return clean.length > maxCharacters ? `${clean.slice(0, maxCharacters)}...` : clean;
}
