/** What of a message is for reading, and what is only named. */

import { decodeCharset } from "./charset.ts";
import { htmlToText } from "./html-text.ts";
import type { MimeMessage, MimePart } from "./mime.ts";
import { decodeTransfer } from "./transfer-encoding.ts";

export interface MailText {
  /** LF line ends; not yet safe for a terminal. "" if there is nothing to read. */
  readonly text: string;
  /** The part that it was taken from, if any. */
  readonly part: MimePart | undefined;
  readonly isFromHtml: boolean;
}

/** The first part of plain text that is no attachment, else HTML without its tags, else any text. */
export function mailTextOf({ parts }: MimeMessage): MailText {
  const inline = parts.filter(({ isAttachment }) => !isAttachment);
  const part =
    inline.find(({ type }) => type === "text/plain") ??
    inline.find(({ type }) => type === "text/html") ??
    inline.find(({ type }) => type.startsWith("text/")) ??
    // Could not be taken apart: better as it is than not at all.
    inline.find(({ type }) => type.startsWith("multipart/"));
  if (part === undefined) return { text: "", part, isFromHtml: false };
  const decoded = decodeCharset(decodeTransfer(part.body, part.encoding), part.charset).replaceAll("\r\n", "\n");
  const isFromHtml = part.type === "text/html";
  return { text: isFromHtml ? htmlToText(decoded) : decoded, part, isFromHtml };
}

/** Bytes of a part when it is decoded. */
export function decodedBytes({ body, encoding }: MimePart): number {
  return decodeTransfer(body, encoding).length;
}
