/** An SMTP server (RFC 5321) for smtpd on loopback alone: one mail without a sender, for one recipient, at a time. */

import type { Socket } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";
import type { MemoryShare } from "../memory-budget.ts";
import { RelayInput } from "../relay-input.ts";
import { readDotMessage } from "./dot-message.ts";

export interface IntakeOptions {
  readonly hostname: string;
  /** Whose addresses are taken. */
  readonly domain: string;
  readonly maxMessageBytes: number;
  readonly openShare: () => MemoryShare;
  /** Takes the mail over for good (CRLF line ends), or not: the reply that says so. Never throws. */
  readonly take: (to: string, message: Buffer) => Promise<string>;
}

const MAX_LINE_BYTES = 2048;
const IDLE_MILLISECONDS = 300_000;

/** Serves one connection until it ends. Never throws: what was not answered with 250 is smtpd's to try again. */
export async function serveIntake(socket: Socket, options: IntakeOptions): Promise<void> {
  const input = new RelayInput(socket);
  try {
    await converse(socket, input, options);
  } catch (error) {
    // A broken connection, or a silent one.
    if (!(error instanceof HostError || error instanceof FormatError)) throw error;
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, input: RelayInput, options: IntakeOptions): Promise<void> {
  const say = (text: string): void => void socket.write(`${text}\r\n`, "latin1");
  let hasSender = false;
  let to: string | null = null;
  say(`220 ${options.hostname} notices`);
  for (;;) {
    const line = (await input.line(MAX_LINE_BYTES, Date.now() + IDLE_MILLISECONDS))
      .toString("latin1")
      .replace(/\r$/, "");
    const [verb = ""] = line.toUpperCase().split(" ");
    switch (verb) {
      case "QUIT":
        socket.end("221 2.0.0 bye\r\n");
        return;
      case "EHLO":
        say(`250-${options.hostname}\r\n250 8BITMIME`);
        [hasSender, to] = [false, null];
        break;
      case "HELO":
      case "RSET":
      case "NOOP":
        say("250 2.0.0 ok");
        if (verb !== "NOOP") [hasSender, to] = [false, null];
        break;
      case "MAIL":
        // Notices have no sender: nobody gets a notice for a notice, and nothing else has any business here.
        hasSender = /^MAIL FROM:\s*<>( |$)/i.test(line);
        to = null;
        say(hasSender ? "250 2.1.0 ok" : "550 5.7.1 only notices are taken here");
        break;
      case "RCPT": {
        const address = /^RCPT TO:\s*<([^<>\s]{3,320})>( |$)/i.exec(line)?.[1];
        if (!hasSender || address === undefined) say("503 5.5.1 expected MAIL, or an address");
        else if (!isOurs(address, options.domain)) say("550 5.7.1 only for our own domain");
        else if (to !== null) say("452 4.5.3 one at a time");
        else {
          to = address;
          say("250 2.1.5 ok");
        }
        break;
      }
      case "DATA": {
        if (to === null) {
          say("503 5.5.1 expected RCPT");
          break;
        }
        say("354 go on");
        say(await takeMessage(input, to, options));
        [hasSender, to] = [false, null];
        break;
      }
      default:
        say("502 5.5.1 no such command");
    }
  }
}

async function takeMessage(input: RelayInput, to: string, options: IntakeOptions): Promise<string> {
  const share = options.openShare();
  try {
    const bounds = { maxBytes: options.maxMessageBytes, pauseMilliseconds: IDLE_MILLISECONDS, share };
    const message = await readDotMessage(input, bounds);
    return message === null ? "451 4.3.1 no room for it now" : await options.take(to, message);
  } finally {
    share.release();
  }
}

function isOurs(address: string, domain: string): boolean {
  return address.toLowerCase().endsWith(`@${domain}`);
}
