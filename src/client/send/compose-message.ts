/** A message from its parts (RFC 5322, RFC 2045 to 2049): ASCII with CRLF line ends, whatever goes in. */

import { randomBytes } from "node:crypto";
import { printField, printPieces } from "#core/mail/submission/folding.ts";
import { MAX_LINE_BYTES } from "#core/mail/submission/lines.ts";
import { encodeBase64Lines, encodeBody } from "#core/mail/submission/transfer-encode.ts";
import { type Correspondent, printCorrespondent } from "./correspondent.ts";
import { encodeParameter, encodeText } from "./encode-words.ts";
import { mediaTypeOf } from "./media-types.ts";

export interface Attachment {
  /** Without folders. */
  readonly name: string;
  readonly content: Buffer;
}

export interface Draft {
  readonly from: Correspondent;
  readonly to: readonly Correspondent[];
  readonly cc: readonly Correspondent[];
  /** Null: no such field. */
  readonly subject: string | null;
  readonly body: string;
  readonly attachments: readonly Attachment[];
  /** Unix seconds. */
  readonly time: number;
}

/** Blind copies are no part of a message: their addresses go beside it. */
export function composeMessage(draft: Draft): Buffer {
  const { from, to, cc, subject, attachments } = draft;
  const fields = [
    printField("Date", printMailDate(draft.time)),
    printField("From", printCorrespondent(from)),
    listField("To", to),
    listField("Cc", cc),
    subject === null || subject === "" ? "" : printField("Subject", encodeText(subject)),
    printField("Message-ID", newMessageId(from.address)),
    printField("MIME-Version", "1.0"),
  ];
  const text = textPart(draft.body);
  if (attachments.length === 0) return Buffer.concat([Buffer.from(fields.join("")), text]);
  const boundary = randomBytes(16).toString("hex");
  fields.push(printField("Content-Type", `multipart/mixed; boundary="${boundary}"`), "\r\n");
  const parts = [text, ...attachments.map(attachmentPart)];
  return Buffer.concat([
    Buffer.from(fields.join("")),
    ...parts.flatMap((part) => [Buffer.from(`--${boundary}\r\n`), part, Buffer.from("\r\n")]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/** The time zone is nobody's business. @param time Unix seconds */
export function printMailDate(time: number): string {
  return new Date(time * 1000).toUTCString().replace("GMT", "+0000");
}

/** In the form that `out` keeps, so that one's own copies and answers find each other. */
export function newMessageId(address: string): string {
  return `<${randomBytes(16).toString("hex")}@${address.slice(address.lastIndexOf("@") + 1)}>`;
}

function listField(name: string, list: readonly Correspondent[]): string {
  const last = list.length - 1;
  const pieces = list.map((each, index) => printCorrespondent(each) + (index === last ? "" : ", "));
  return list.length === 0 ? "" : printPieces(name, pieces);
}

function textPart(body: string): Buffer {
  const text = body.replace(/\r\n?|\n/g, "\r\n");
  const bytes = Buffer.from(text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`);
  const { encoding, encoded } = encodeTextBody(bytes);
  const isAscii = /^[\t\r\n -~]*$/.test(text);
  const type = printField("Content-Type", `text/plain; charset=${isAscii ? "us-ascii" : "utf-8"}`);
  const how = encoding === "7bit" ? "" : printField("Content-Transfer-Encoding", encoding);
  return Buffer.concat([Buffer.from(`${type}${how}\r\n`), encoded]);
}

function encodeTextBody(bytes: Buffer): { encoding: string; encoded: Buffer } {
  const text = bytes.toString("latin1");
  if (/^[\t\r\n -~]*$/.test(text) && text.split("\r\n").every(({ length }) => length <= MAX_LINE_BYTES)) {
    return { encoding: "7bit", encoded: bytes };
  }
  const { body, encoding } = encodeBody(bytes);
  return { encoding, encoded: encoding === "base64" ? Buffer.concat([body, Buffer.from("\r\n")]) : body };
}

function attachmentPart({ name, content }: Attachment): Buffer {
  const fields = [
    printField("Content-Type", mediaTypeOf(name)),
    printField("Content-Transfer-Encoding", "base64"),
    printPieces("Content-Disposition", ["attachment; ", encodeParameter("filename", name)]),
    "\r\n",
  ];
  return Buffer.concat([Buffer.from(fields.join("")), encodeBase64Lines(content)]);
}
