/** A message of the domain through smtpd and its filters, and what comes out there. */

import { randomBytes } from "node:crypto";
import { FormatError, HostError } from "#core/errors.ts";
import type { Signer } from "../signer.ts";
import { expectCode, SmtpSession } from "../smtp-session.ts";
import type { MessageResult, MessageTask } from "./exchange.ts";
import type { Sink } from "./sink.ts";

/** smtpd hands on at once, unless the machine is very busy. */
const HAND_ON_SECONDS = 60;
const REPLY_SECONDS = 30;

/**
 * Nobody's mail, signed as an account's is: from the domain's postmaster to a name that only the sink has. The envelope has no sender, so nothing comes back
 * to anybody if it does not arrive.
 * @throws HostError; FormatError SMTP
 */
export async function tryMessage(task: MessageTask, sink: Sink, signer: Signer | null): Promise<MessageResult> {
  const token = randomBytes(16).toString("hex");
  const recipient = `${token}@${task.sink.domain}`;
  const plain = Buffer.from(trialMessage(task.domain, recipient, token, new Date()), "latin1");
  const signed = signer === null ? plain : await signer.sign(plain);
  sink.expect(recipient);
  const session = await SmtpSession.open({ port: task.port, hostname: task.heloName, replySeconds: REPLY_SECONDS });
  try {
    for (const [command, code] of [
      ["MAIL FROM:<>", 250],
      [`RCPT TO:<${recipient}>`, 250],
      ["DATA", 354],
      [`${signed.toString("latin1")}.`, 250],
    ] as const) {
      await session.write(`${command}\r\n`, 1);
      expectCode(await session.reply(), code);
    }
  } finally {
    session.quit();
  }
  const message = await sink.messageFor(recipient, HAND_ON_SECONDS);
  return { kind: "message", message: message.toString("base64") };
}

/** With the fields that DKIM signs, and nothing that a spam filter frowns at. CRLF line ends, the last line too. */
export function trialMessage(domain: string, recipient: string, token: string, now: Date): string {
  const date = now.toUTCString().replace("GMT", "+0000");
  const lines = [
    `From: Postmaster <postmaster@${domain}>`,
    `To: <${recipient}>`,
    `Subject: Trial of mail from ${domain}`,
    `Date: ${date}`,
    `Message-ID: <${token}@${domain}>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "",
    "The machine that sends mail for this domain has sent this one to itself, to see",
    "whether it is signed as the domain's DNS records say.",
    "",
  ];
  return lines.join("\r\n");
}

/** In words, for what a task can meet; anything else is a defect and null. */
export function whyNot(error: unknown): string | null {
  return error instanceof HostError || error instanceof FormatError ? error.message : null;
}
