/** The mail that a notice gives back (docs/formats/notice.md), for those whom it did not reach. */

import type { OptionValues } from "#cli/command.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { type Field, fieldOf, lineAt, readHeader } from "#core/mail/message-fields.ts";
import { parseNotice } from "#core/mail/notice.ts";
import { DEFAULT_LIMITS } from "#core/mail/submission/prepare.ts";
import { readBounded } from "#host/files.ts";
import type { Outgoing } from "./read-draft.ts";

export interface Again extends Outgoing {
  /** What it is, for a person to see before it is sent. */
  readonly shown: readonly string[];
}

/** What a notice and the block in front of it add. */
const AROUND_BYTES = 8 * 1024 * 1024;
const ELSE = ["to", "cc", "bcc", "from", "subject", "body", "attach"];
/** What machines have put in front of it on its way. */
const TRACES = new Set(["received", "return-path", "delivered-to", "dkim-signature"]);

/** @throws PolicyError USAGE; FormatError TOO-LARGE, SUBMISSION; HostError FILE */
export async function readAgain(operands: readonly string[], options: OptionValues): Promise<Again> {
  const file = String(options["again"]);
  const more = ELSE.find((name) => options[name] !== undefined);
  if (more !== undefined || operands.length > 0) {
    const found = more === undefined ? `"${operands[0]}"` : `--${more}`;
    throw new PolicyError("USAGE", `--again takes mail and recipients from the notice: found ${found} as well`);
  }
  const notice = parseNotice(await readNotice(file));
  if (notice === null) {
    throw new FormatError("SUBMISSION", `"${file}" is no notice of mail that did not arrive`, {
      hint: "name the file of the notice itself, as it is in your Maildir",
    });
  }
  const recipients = notice.recipients.filter(({ action }) => action === "failed").map(({ address }) => address);
  if (recipients.length === 0) {
    throw new PolicyError("USAGE", "the mail of this notice is still being tried", {
      hint: "wait for the next notice, or send your own copy again",
    });
  }
  if (notice.original === null) {
    throw new PolicyError("USAGE", "this notice does not hold the whole mail", {
      hint: `send your own copy: shoal send --to ${recipients[0]} FILE`,
    });
  }
  const message = withoutTraces(notice.original);
  return { message, envelopeFrom: null, recipients, shown: describeMail(message, recipients) };
}

async function readNotice(file: string): Promise<Buffer> {
  try {
    return await readBounded(file, DEFAULT_LIMITS.bytes + AROUND_BYTES);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof FormatError) throw cause;
    if (code === "ENOENT") throw new PolicyError("USAGE", `there is no file "${file}"`, { cause });
    throw new HostError("FILE", `can't read "${file}": ${message}`, { cause });
  }
}

/** So that nothing has to be said about fields that its sender never wrote. */
function withoutTraces(mail: Buffer): Buffer {
  const kept: Buffer[] = [];
  let isKept = true;
  for (let start = 0; start < mail.length; ) {
    const { end, next } = lineAt(mail, start);
    if (end === start) return Buffer.concat([...kept, mail.subarray(start)]);
    const isContinued = mail[start] === 0x20 || mail[start] === 0x09;
    const name = /^[!-9;-~]+/.exec(mail.toString("latin1", start, Math.min(end, start + 100)))?.[0] ?? "";
    if (!isContinued) isKept = !TRACES.has(name.toLowerCase());
    if (isKept) kept.push(mail.subarray(start, next));
    start = next;
  }
  return Buffer.concat(kept);
}

function describeMail(message: Buffer, recipients: readonly string[]): string[] {
  const { fields } = readHeader(message.subarray(0, 65_536));
  const value = (list: readonly Field[], name: string): string =>
    decodeEncodedWords(fieldOf(list, name) ?? "").slice(0, 200);
  return [
    `to: ${recipients.join(", ")}`,
    `from: ${value(fields, "from")}`,
    `subject: ${value(fields, "subject")}`,
    `date: ${value(fields, "date")}`,
    `${message.length} bytes`,
  ];
}
