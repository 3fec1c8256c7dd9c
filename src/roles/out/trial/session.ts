/** A session with a mail server from one of the machine's addresses, up to a recipient. No message is offered. */

import { createHash } from "node:crypto";
import { connect, isIPv4, type Socket } from "node:net";
import { connect as connectTls, type SecureContext } from "node:tls";
import { HostError } from "#core/errors.ts";
import { certificateParts } from "../grade/certificate-parts.ts";
import { SmtpReplies, type SmtpReply } from "../grade/smtp-replies.ts";
import { shownBy } from "../grade/starttls.ts";
import { webpkiTrouble } from "../grade/webpki.ts";
import type { SessionResult, SessionTask } from "./exchange.ts";

const SMTP_PORT = 25;

/** @throws HostError NETWORK, TIMEOUT; FormatError SMTP */
export async function trySession(
  task: SessionTask,
  context: SecureContext,
  signal: AbortSignal,
): Promise<SessionResult> {
  const socket = connect({ host: task.server, port: SMTP_PORT, localAddress: task.from, noDelay: true });
  try {
    await connected(socket, task, signal);
    const replies = new SmtpReplies(socket);
    expect(await replies.next(signal), 220, "greets");
    const hello = await say(socket, replies, `EHLO ${task.heloName}`, signal);
    expect(hello, 250, "answers EHLO");
    expect(await say(socket, replies, "STARTTLS", signal), 220, "answers STARTTLS");
    replies.release();
    return await inside(socket, seenAddress(hello), task, context, signal);
  } finally {
    socket.destroy();
  }
}

async function inside(
  socket: Socket,
  seen: string | null,
  task: SessionTask,
  context: SecureContext,
  signal: AbortSignal,
): Promise<SessionResult> {
  const secure = connectTls({
    socket,
    secureContext: context,
    servername: task.serverName,
    // What is wrong with the certificate is what we came to see.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  await settled(secure, "secureConnect", "the TLS handshake fails", signal);
  const shown = shownBy(secure);
  if (shown === null) throw new HostError("NETWORK", "the server shows no certificate");
  const replies = new SmtpReplies(secure);
  const hello = await say(secure, replies, `EHLO ${task.heloName}`, signal);
  expect(hello, 250, "answers EHLO inside TLS");
  expect(await say(secure, replies, "MAIL FROM:<>", signal), 250, "answers MAIL");
  const answer = await say(secure, replies, `RCPT TO:<${task.recipient}>`, signal);
  secure.end("QUIT\r\n");
  const { publicKeyInfo } = certificateParts(shown.leaf.raw);
  return {
    kind: "session",
    seen: seenAddress(hello) ?? seen,
    publicKeyDigest: createHash("sha256").update(publicKeyInfo).digest("hex"),
    certificateTrouble: webpkiTrouble(shown, task.serverName)?.detail ?? null,
    code: answer.code,
    text: answer.lines.join(" ").slice(0, 200),
  };
}

/** OpenSMTPD, Postfix's relatives and others greet with the client's address: `mx.example Hello name [192.0.2.1], …`. */
export function seenAddress({ lines }: SmtpReply): string | null {
  const address = /\[([0-9.]+)\]/.exec(lines[0] ?? "")?.[1] ?? "";
  return isIPv4(address) ? address : null;
}

async function say(socket: Socket, replies: SmtpReplies, line: string, signal: AbortSignal): Promise<SmtpReply> {
  socket.write(`${line}\r\n`);
  return await replies.next(signal);
}

function expect({ code, lines }: SmtpReply, expected: number, what: string): void {
  if (code !== expected) {
    throw new HostError("NETWORK", `the server ${what} with "${code} ${(lines[0] ?? "").slice(0, 200)}"`);
  }
}

function connected(socket: Socket, { from, server }: SessionTask, signal: AbortSignal): Promise<void> {
  return settled(socket, "connect", `can't connect from ${from} to ${server} port ${SMTP_PORT}`, signal);
}

function settled(socket: Socket, event: string, otherwise: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(new HostError("NETWORK", `${otherwise} (${why})`));
    };
    const onAbort = (): void => fail("no answer in time");
    socket.on("error", (cause: NodeJS.ErrnoException) => fail(cause.code ?? cause.message));
    socket.once("close", () => fail("closed"));
    socket.once(event, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
