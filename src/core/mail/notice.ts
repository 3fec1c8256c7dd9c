/**
 * Notices of machine `out` about mail that did not arrive (docs/formats/notice.md): a delivery status notification
 * (RFC 3464) whose text says why, with the mail that it is about.
 */

import { fieldOf, readHeader } from "./message-fields.ts";
import { type MimePart, parseMime } from "./mime.ts";

export interface NoticeRecipient {
  readonly address: string;
  readonly action: "failed" | "delayed";
  /** RFC 3463, as in `5.1.1`. */
  readonly status: string;
  /** A word of docs/formats/notice.md, as in `no-such-user`. */
  readonly cause: string;
  /** What the receiving server said, printable ASCII; null if it said nothing. */
  readonly said: string | null;
}

export interface Notice {
  /** The machine that writes it. */
  readonly hostname: string;
  /** Whom it is for: the envelope sender of the mail that it is about. */
  readonly to: string;
  /** As in header fields. */
  readonly date: string;
  /** 32 hexadecimal digits that belong to this notice alone: the same ones make the same bytes. */
  readonly id: string;
  /** Printable ASCII. */
  readonly subject: string;
  /** LF line ends, UTF-8. */
  readonly text: string;
  readonly recipients: readonly NoticeRecipient[];
  /** The mail, or its header alone, CRLF line ends. */
  readonly original: Buffer;
  readonly isWhole: boolean;
}

/** What of a notice decides how its mail is sent again. */
export interface ReadNotice {
  readonly recipients: readonly NoticeRecipient[];
  /** The whole mail, line ends as they came; null if the notice has no more than its header. */
  readonly original: Buffer | null;
}

/** More recipients than any mail of ours has. */
const MAX_RECIPIENTS = 1000;
const MAX_STATUS_BYTES = 1024 * 1024;

/** CRLF line ends. The same notice always gives the same bytes. */
export function printNotice(notice: Notice): Buffer {
  const { hostname, to, date, id, subject, text, recipients, original, isWhole } = notice;
  const boundary = `notice-${id}`;
  const isEightBit = original.some((byte) => byte > 127);
  const header = [
    `From: Mail delivery <MAILER-DAEMON@${hostname}>`,
    `To: ${to}`,
    `Subject: ${subject}`,
    `Date: ${date}`,
    `Message-ID: <${id}@${hostname}>`,
    ...referencesTo(original),
    "Auto-Submitted: auto-replied",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type=delivery-status; boundary="${boundary}"`,
    "",
    `--${boundary}`,
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    ...text.replace(/\n$/, "").split("\n"),
    "",
    `--${boundary}`,
    "Content-Type: message/delivery-status",
    "",
    `Reporting-MTA: dns; ${hostname}`,
    ...recipients.flatMap(printRecipient),
    "",
    `--${boundary}`,
    `Content-Type: ${isWhole ? "message/rfc822" : "text/rfc822-headers"}`,
    ...(isEightBit ? ["Content-Transfer-Encoding: 8bit"] : []),
    "",
    "",
  ];
  return Buffer.concat([Buffer.from(header.join("\r\n")), original, Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

function printRecipient({ address, action, status, cause, said }: NoticeRecipient): string[] {
  const words = said === null ? [] : [`Diagnostic-Code: smtp; ${said}`];
  return [
    "",
    `Final-Recipient: rfc822; ${address}`,
    `Action: ${action}`,
    `Status: ${status}`,
    ...words,
    `X-Shoal-Cause: ${cause}`,
  ];
}

/** So that mail programs show it beside the mail. */
function referencesTo(original: Buffer): string[] {
  const id = fieldOf(readHeader(original.subarray(0, 65_536)).fields, "message-id") ?? "";
  return /^<[!-;=?-~]{1,250}>$/.test(id) ? [`In-Reply-To: ${id}`, `References: ${id}`] : [];
}

/**
 * Reads what {@link printNotice} printed, as it comes out of a mailbox: with fields in front, LF or CRLF line ends.
 * Nothing in it is to be believed: whoever can send mail can write one.
 * @returns null for anything else
 */
export function parseNotice(mail: Buffer): ReadNotice | null {
  const { fields, parts } = parseMime(mail);
  if (!/^multipart\/report\s*;/i.test(fieldOf(fields, "content-type") ?? "")) return null;
  const [, status, original, ...more] = parts;
  if (status?.type !== "message/delivery-status" || original === undefined || more.length > 0) return null;
  const recipients = readRecipients(status);
  if (recipients === null) return null;
  return { recipients, original: original.type === "message/rfc822" ? original.body : null };
}

function readRecipients({ body }: MimePart): NoticeRecipient[] | null {
  if (body.length > MAX_STATUS_BYTES) return null;
  const blocks = body.toString("latin1").split(/\r?\n(?:\r?\n)+/);
  const recipients: NoticeRecipient[] = [];
  for (const block of blocks) {
    const { fields } = readHeader(Buffer.from(`${block}\n`, "latin1"));
    const address = /^rfc822; ?([!-~]+)$/i.exec(fieldOf(fields, "final-recipient") ?? "")?.[1];
    const action = fieldOf(fields, "action")?.toLowerCase();
    if (address === undefined) continue;
    if ((action !== "failed" && action !== "delayed") || recipients.length >= MAX_RECIPIENTS) return null;
    recipients.push({
      address,
      action,
      status: fieldOf(fields, "status") ?? "",
      cause: fieldOf(fields, "x-shoal-cause") ?? "",
      said: /^smtp; ?(.*)$/i.exec(fieldOf(fields, "diagnostic-code") ?? "")?.[1] ?? null,
    });
  }
  return recipients.length === 0 ? null : recipients;
}
