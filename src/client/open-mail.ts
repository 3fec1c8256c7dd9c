/** From a file as it came from the server to what is stored: nothing is opened or parsed before its digest matched. */

import { createHash } from "node:crypto";
import { type Identity, open } from "#core/age/age.ts";
import { VerifyError } from "#core/errors.ts";
import { parseSealedMail, type SealedMail } from "#core/mail/sealed-mail.ts";

export interface OpenedMail {
  /** Trace block and message: the content of the file in the Maildir. A view. */
  content: Buffer;
  /** Equal for two deliveries of one message, see {@link messageDigestOf}. */
  messageDigest: string | undefined;
  /** Unix seconds at which our machine accepted it. */
  time: number;
}

/**
 * @param digest SHA-256 that the file's name promises, hexadecimal
 * @throws VerifyError DIGEST, AGE-MAC, AGE-PAYLOAD; FormatError AGE-HEADER, SEALED-MAIL; PolicyError NO-IDENTITY
 */
export function openMail(identities: readonly Identity[], digest: string, file: Buffer): OpenedMail {
  if (createHash("sha256").update(file).digest("hex") !== digest) {
    throw new VerifyError("DIGEST", "the file is not the one that its name promises: damaged or exchanged", {
      hint: "it was not opened; if it stays so, tell the operator",
    });
  }
  const opened = open(identities, file);
  const mail = parseSealedMail(opened);
  return {
    content: opened.subarray(0, mail.block.length + mail.message.length),
    messageDigest: messageDigestOf(mail),
    time: mail.trace.time,
  };
}

/**
 * A sender whose connection broke before it heard our answer sends the same bytes again, and they are sealed again, with
 * another digest. Same bytes and envelope sender tell that. The addresses don't count: a sender that named this account
 * twice (`alice`, `alice+shop`) may have to try again for one of them alone. Messages without Message-ID are left alone,
 * because two of them may be meant to be two.
 */
export function messageDigestOf({ trace, message }: SealedMail): string | undefined {
  if (!hasMessageId(message)) return undefined;
  return createHash("sha256")
    .update(`shoal-message/v1\n${trace.sender}\n\n`)
    .update(asSent(trace.host, message))
    .digest("hex");
}

/**
 * The message as the sender had it, without what `host`, our own machine, put in front: smtpd's Received field, which
 * holds another number each time, and above it what the spam filter found, which may also be another each time.
 */
function asSent(host: string, message: Buffer): Buffer {
  const end = message.indexOf("\n\n");
  const header = message.toString("latin1", 0, end < 0 ? message.length : end + 1);
  const first = /^Received:.*\n(?:[ \t].*\n)*/m.exec(header);
  if (first === null) return message;
  // Up to its date and no further: a sender's message may begin with a line that looks like the field's next.
  const ours = /^Received:.*\n(?:\t.*\n)*?\t(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d.*\n/.exec(first[0])?.[0];
  if (ours?.includes(`\tby ${host} (OpenSMTPD) `) !== true) return message;
  return message.subarray(first.index + ours.length);
}

function hasMessageId(message: Buffer): boolean {
  const end = message.indexOf("\n\n");
  const header = message.toString("latin1", 0, end < 0 ? message.length : end + 1);
  return /^message-id[ \t]*:/im.test(header);
}
