/** An SMTP session (RFC 5321) with our own smtpd on loopback: each message is answered 250 when its envelopes are durable on `fetch`. */

import type { Socket } from "node:net";
import { HostError } from "#core/errors.ts";
import { Wire } from "../wire.ts";
import { MessageCollector } from "./message-end.ts";

export interface SessionOptions {
  hostname: string;
  /** Largest container: all envelopes of a message, base64. */
  maxMessageBytes: number;
  /** Delivers to all recipients; throws when any doubt is left. */
  deliver(message: Buffer, recipients: readonly string[]): Promise<void>;
  log(text: string): void;
}

const maxLineBytes = 4096;
const maxRecipients = 1000;
/** smtpd closes idle sessions by itself; this ends one whose other side has vanished. */
const idleMilliseconds = 10 * 60 * 1000;

/** Serves one connection until it ends. Never throws: a broken connection is smtpd's to try again. */
export async function serveSession(socket: Socket, options: SessionOptions): Promise<void> {
  const wire = new Wire(socket);
  try {
    await converse(wire, options);
  } catch (error) {
    if (!(error instanceof HostError))
      options.log(`session ended: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    wire.destroy();
  }
}

async function converse(wire: Wire, options: SessionOptions): Promise<void> {
  const say = (text: string): Promise<void> => wire.write(`${text}\r\n`, Date.now() + idleMilliseconds);
  let recipients: string[] = [];
  let inTransaction = false;
  await say(`220 ${options.hostname} courier`);
  for (;;) {
    const line = await readLine(wire);
    if (line === null) return;
    const [verb = ""] = line.toUpperCase().split(" ");
    if (verb === "EHLO" || verb === "HELO" || verb === "RSET" || verb === "NOOP") {
      if (verb !== "NOOP") [recipients, inTransaction] = [[], false];
      await say(
        verb === "EHLO"
          ? `250-${options.hostname}\r\n250-8BITMIME\r\n250 SIZE ${options.maxMessageBytes}`
          : "250 2.0.0 ok",
      );
    } else if (verb === "MAIL") {
      [recipients, inTransaction] = [[], true];
      await say("250 2.1.0 ok");
    } else if (verb === "RCPT") {
      const recipient = /^RCPT TO:\s*<([^<>\s]+)>/i.exec(line)?.[1];
      if (!inTransaction) await say("503 5.5.1 MAIL first");
      else if (recipient === undefined) await say("451 4.1.3 no address there");
      else if (recipients.length === maxRecipients) await say("452 4.5.3 too many recipients");
      else {
        recipients.push(recipient);
        await say("250 2.1.5 ok");
      }
    } else if (verb === "DATA") {
      if (recipients.length === 0) {
        await say("503 5.5.1 RCPT first");
        continue;
      }
      await say("354 go on");
      const message = await readMessage(wire, options.maxMessageBytes);
      await say(await answer(message, recipients, options));
      [recipients, inTransaction] = [[], false];
    } else if (verb === "QUIT") {
      await say("221 2.0.0 bye");
      return;
    } else {
      await say("500 5.5.1 unknown command");
    }
  }
}

/** Anything but a delivery to all is temporary: smtpd keeps the message and comes again. */
async function answer(message: Buffer | null, recipients: readonly string[], options: SessionOptions): Promise<string> {
  if (message === null) return "451 4.3.4 the container is larger than it may be";
  try {
    await options.deliver(message, recipients);
    return "250 2.0.0 deposited";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    options.log(`not deposited: ${reason}`);
    return `451 4.3.0 ${reason.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 400)}`;
  }
}

async function readLine(wire: Wire): Promise<string | null> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await wire.read(Date.now() + idleMilliseconds);
    if (chunk === null) return null;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf("\r\n");
    if (end !== -1) {
      if (end + 2 < bytes.length) wire.unread(bytes.subarray(end + 2));
      return bytes.toString("latin1", 0, end);
    }
    if (bytes.length > maxLineBytes) throw new HostError("NETWORK", "a command line does not end");
  }
}

async function readMessage(wire: Wire, maxBytes: number): Promise<Buffer | null> {
  const collector = new MessageCollector(maxBytes);
  for (;;) {
    const chunk = await wire.read(Date.now() + idleMilliseconds);
    if (chunk === null) throw new HostError("NETWORK", "the connection ended inside a message");
    const done = collector.push(chunk);
    if (done === undefined) continue;
    if (done.rest.length > 0) wire.unread(done.rest);
    return done.message;
  }
}
