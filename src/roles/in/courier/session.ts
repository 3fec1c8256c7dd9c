/** An SMTP session (RFC 5321) with our own smtpd on loopback: each message is answered 250 when its envelopes are durable on `fetch` and listed. */

import type { Socket } from "node:net";
import { HostError } from "#core/errors.ts";
import type { ListedAccount } from "#core/recipients.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import { Wire } from "../wire.ts";
import type { Deliverer } from "./deliver.ts";
import { MessageCollector } from "./message-end.ts";

export interface SessionOptions {
  /** Largest container: all envelopes of a message, base64. */
  maxMessageBytes: number;
  /** Memory for the containers of all sessions. */
  budget: MemoryBudget;
  deliverer: Deliverer;
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

/**
 * Each reply is one write. None is permanent, so that no mail is ever given up; and no SIZE is offered, because smtpd
 * gives up a message that it says is too large.
 */
async function converse(wire: Wire, options: SessionOptions): Promise<void> {
  const say = (text: string): Promise<void> => wire.write(`${text}\r\n`, Date.now() + idleMilliseconds);
  let recipients: ListedAccount[] = [];
  await say("220 shoal-courier");
  for (;;) {
    const line = await readLine(wire);
    if (line === null) return;
    const [verb = ""] = line.toUpperCase().split(" ");
    if (verb === "QUIT") return await say("221 2.0.0 bye");
    if (verb === "RCPT") {
      const recipient = recipients.length < maxRecipients ? await accountIn(line, options) : null;
      if (recipient !== null) recipients.push(recipient);
      await say(recipient === null ? "451 4.3.0 not now" : "250 2.1.5 ok");
    } else if (verb === "DATA" && recipients.length > 0) {
      await say("354 go on");
      await say(await takeMessage(wire, recipients, options));
      recipients = [];
    } else if (verb === "MAIL" || verb === "RSET" || verb === "EHLO" || verb === "HELO") {
      recipients = [];
      await say("250 2.0.0 ok");
    } else {
      await say(verb === "NOOP" ? "250 2.0.0 ok" : "451 4.5.1 not now");
    }
  }
}

/** Null when smtpd is to come again with this recipient. */
async function accountIn(line: string, options: SessionOptions): Promise<ListedAccount | null> {
  try {
    return await options.deliverer.account(/^RCPT TO:\s*<([^<>\s]+)>/i.exec(line)?.[1] ?? "");
  } catch (error) {
    options.log(`not taken: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** Anything but a delivery to all is temporary: smtpd keeps the message and comes again. */
async function takeMessage(wire: Wire, recipients: readonly ListedAccount[], options: SessionOptions): Promise<string> {
  const collector = new MessageCollector(options.maxMessageBytes, options.budget);
  try {
    const message = await readMessage(wire, collector);
    if (message === null) return "451 4.3.1 no memory for this message now";
    await options.deliverer.deliver(message, recipients);
    return "250 2.0.0 deposited";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    options.log(`not deposited: ${reason}`);
    return `451 4.3.0 ${reason.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 400)}`;
  } finally {
    collector.forget();
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

async function readMessage(wire: Wire, collector: MessageCollector): Promise<Buffer | null> {
  for (;;) {
    const chunk = await wire.read(Date.now() + idleMilliseconds);
    if (chunk === null) throw new HostError("NETWORK", "the connection ended inside a message");
    const done = collector.push(chunk);
    if (done === undefined) continue;
    if (done.rest.length > 0) wire.unread(done.rest);
    return done.message;
  }
}
