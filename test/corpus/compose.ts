/** Puts the mails of the corpus together. */

import { dotStuffed } from "#test/corpus/dot-stuffing.ts";

export interface CorpusMail {
  /** Unique; letters, digits, hyphens. */
  name: string;
  /** As on the wire: CRLF line ends, before dot-stuffing. The sender of DATA adds a final CRLF where it is missing. */
  bytes: Buffer;
  /** Accepted and delivered as `expectedAfterDelivery` says, or refused for good (5xx) at the end of DATA. */
  expect: "exact" | "refused";
  /** What is special about it. */
  why: string;
  /** A hostile sender's bytes: they go out without dot-stuffing. */
  raw?: true;
}

/** What goes over the wire between the answer to DATA and the answer to the mail, final dot included. */
export function dataBytes({ bytes, raw }: CorpusMail): Buffer {
  return raw === true ? Buffer.concat([bytes, Buffer.from(".\r\n")]) : dotStuffed(bytes);
}

/** A mail that is refused for good, sent without dot-stuffing. */
export function hostile(name: string, why: string, text: string): CorpusMail {
  return { ...refused(name, why, text), raw: true };
}

/** Text of a mail's lines: joined and ended by CRLF. */
export function crlf(...lines: readonly string[]): string {
  return joined(lines);
}

/** Like {@link crlf}, for more lines than a call takes arguments. */
function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

/** Header fields that every ordinary mail has, with a subject. */
export function ordinaryHeader(subject: string): string[] {
  return [
    "Date: Sun, 22 Nov 2026 02:00:00 +0000",
    "From: Ada Example <ada@post.example>",
    "To: Alice <alice@shoal.example>",
    `Message-ID: <${idOf(subject)}@post.example>`,
    `Subject: ${subject}`,
  ];
}

function idOf(subject: string): string {
  return subject.toLowerCase().replaceAll(/[^a-z0-9]+/g, ".");
}

/** A mail that is delivered as it is. Text is taken byte by byte (Latin-1); `utf8` makes such text of any other. */
export function exact(name: string, why: string, text: string | Buffer): CorpusMail {
  return { name, why, expect: "exact", bytes: Buffer.isBuffer(text) ? text : Buffer.from(text, "latin1") };
}

/** A mail that is refused for good. */
export function refused(name: string, why: string, text: string | Buffer): CorpusMail {
  return { ...exact(name, why, text), expect: "refused" };
}

/** UTF-8 bytes of a text, one character a byte. */
export function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** An ordinary mail with further header fields and a body of lines. */
export function mail(subject: string, fields: readonly string[], body: readonly string[]): string {
  return joined([...ordinaryHeader(subject), ...fields, ""]) + joined(body);
}

/** Base64 in lines of 76 characters (RFC 2045, section 6.8). */
export function base64Lines(bytes: Uint8Array): string[] {
  return (
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,76}/g) ?? []
  );
}

export interface Part {
  type: string;
  fields?: readonly string[];
  body: readonly string[];
}

/** Body lines of a multipart (RFC 2046, section 5.1). */
export function multipart(boundary: string, parts: readonly Part[]): string[] {
  return [
    ...parts.flatMap(({ type, fields, body }) => [
      `--${boundary}`,
      `Content-Type: ${type}`,
      ...(fields ?? []),
      "",
      ...body,
    ]),
    `--${boundary}--`,
  ];
}
