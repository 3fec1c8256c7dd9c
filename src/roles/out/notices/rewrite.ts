/** smtpd's notice becomes ours (docs/formats/notice.md). */

import { createHash } from "node:crypto";
import { accountOf } from "#core/mail/address.ts";
import { printNotice } from "#core/mail/notice.ts";
import type { Grader } from "../grade/grader.ts";
import { diagnose } from "./diagnose.ts";
import { noticeSubject, noticeText } from "./notice-text.ts";
import { parseSmtpdNotice } from "./smtpd-notice.ts";

export interface RewriteOptions {
  readonly domain: string;
  readonly hostname: string;
  readonly queueHours: number;
  /** Of what `in` takes. */
  readonly maxMessageBytes: number;
  readonly grader: Pick<Grader, "grade">;
}

export interface Rewritten {
  /** CRLF line ends. */
  readonly whole: Buffer;
  /** The same without the text of the mail that it is about, for a machine that does not take it. */
  readonly short: Buffer;
}

/**
 * @param to the recipient of the notice
 * @param message CRLF line ends
 * @returns null for what smtpd has not written as a notice
 */
export async function rewriteNotice(message: Buffer, to: string, options: RewriteOptions): Promise<Rewritten | null> {
  const notice = parseSmtpdNotice(message);
  if (notice === null) return null;
  const { domain, hostname, queueHours, maxMessageBytes, grader } = options;
  const diagnoses = await diagnose(notice.recipients, grader);
  // The same notice of smtpd's always makes the same one of ours, so that one that comes twice is known for that.
  const id = createHash("sha256").update("shoal notice/v1\0").update(to).update("\0").update(message).digest("hex");
  const account = accountOf(to, domain) ?? to;
  const print = (isWhole: boolean): Buffer =>
    printNotice({
      hostname,
      to,
      date: notice.date,
      id: id.slice(0, 32),
      subject: noticeSubject({ notice, diagnoses }),
      text: noticeText({ notice, diagnoses, account, hostname, queueHours, isWhole }),
      recipients: diagnoses.map(({ address, status, name, said }) => ({
        address,
        action: notice.kind,
        status: notice.kind === "delayed" ? status.replace(/^5/, "4") : status.replace(/^4/, "5"),
        cause: name,
        said,
      })),
      original: isWhole ? notice.original : headerOf(notice.original),
      isWhole,
    });
  const short = print(false);
  const whole = notice.isWhole ? print(true) : short;
  return { whole: whole.length > maxMessageBytes ? short : whole, short };
}

function headerOf(original: Buffer): Buffer {
  const end = original.indexOf("\r\n\r\n");
  return end < 0 ? original : original.subarray(0, end + 2);
}
