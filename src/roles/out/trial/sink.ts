/** A mail server on loopback (RFC 5321) that takes what smtpd hands on, for as long as a trial goes on, and keeps it in memory. */

import { createServer, type Socket } from "node:net";
import { HostError } from "#core/errors.ts";

const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_LINE_BYTES = 4096;
const FAREWELL_MILLISECONDS = 3000;

export interface Sink {
  /** From now on there is this recipient; whoever sends to another is told that there is none. */
  expect(recipient: string): void;
  /** The message for a recipient that is expected, as it came: CRLF line ends. @throws HostError TIMEOUT */
  messageFor(recipient: string, seconds: number): Promise<Buffer>;
  /** Lets sessions under way come to their end, for a moment. */
  close(): Promise<void>;
}

/** @throws HostError NETWORK when the port is taken */
export function openSink(port: number): Promise<Sink> {
  const arrived = new Map<string, Buffer>();
  const waiting = new Map<string, (message: Buffer) => void>();
  const expected = new Set<string>();
  const sockets = new Set<Socket>();
  const take = (recipient: string, message: Buffer): void => {
    arrived.set(recipient, message);
    waiting.get(recipient)?.(message);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    serve(socket, expected, take);
  });
  const messageFor = (recipient: string, seconds: number): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const message = arrived.get(recipient);
      if (message !== undefined) return resolve(message);
      const timer = setTimeout(() => {
        reject(new HostError("TIMEOUT", `smtpd did not hand the message on within ${seconds} seconds`));
      }, seconds * 1000);
      waiting.set(recipient, (late) => {
        clearTimeout(timer);
        resolve(late);
      });
    });
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new HostError("NETWORK", `can't listen on port ${port}`, { cause })));
    server.listen(port, "127.0.0.1", () => {
      resolve({
        expect: (recipient) => expected.add(recipient),
        messageFor,
        async close() {
          const timer = setTimeout(() => {
            for (const socket of sockets) socket.destroy();
          }, FAREWELL_MILLISECONDS);
          await new Promise<void>((closed) => server.close(() => closed()));
          clearTimeout(timer);
        },
      });
    });
  });
}

function serve(
  socket: Socket,
  expected: ReadonlySet<string>,
  take: (recipient: string, message: Buffer) => void,
): void {
  const say = (line: string): boolean => socket.write(`${line}\r\n`);
  let buffered = Buffer.alloc(0);
  let recipients: string[] = [];
  let inMessage = false;
  const command = (line: string): void => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO" || verb === "HELO") say("250 trial");
    else if (verb === "MAIL" || verb === "RSET") {
      recipients = [];
      say("250 ok");
    } else if (verb === "RCPT") {
      const recipient = /<([^>]*)>/.exec(line)?.[1] ?? "";
      if (!expected.has(recipient)) return void say("550 5.1.1 nobody has this name");
      recipients.push(recipient);
      say("250 ok");
    } else if (verb === "DATA") {
      if (recipients.length === 0) return void say("503 5.5.1 nobody to send to");
      inMessage = true;
      say("354 go on");
    } else if (verb === "QUIT") {
      socket.end("221 bye\r\n");
    } else say(verb === "NOOP" ? "250 ok" : "500 no such command");
  };
  socket.on("data", (bytes: Buffer) => {
    buffered = Buffer.concat([buffered, bytes]);
    for (;;) {
      if (inMessage) {
        const end = buffered.indexOf("\r\n.\r\n", 0, "latin1");
        if (end < 0) break;
        const message = buffered.toString("latin1", 0, end + 2).replaceAll(/^\.\./gm, ".");
        buffered = buffered.subarray(end + 5);
        inMessage = false;
        for (const recipient of recipients) take(recipient, Buffer.from(message, "latin1"));
        say("250 ok");
      } else {
        const end = buffered.indexOf("\r\n", 0, "latin1");
        if (end < 0) break;
        const line = buffered.toString("latin1", 0, end);
        buffered = buffered.subarray(end + 2);
        command(line);
      }
    }
    if (buffered.length > (inMessage ? MAX_MESSAGE_BYTES : MAX_LINE_BYTES)) socket.destroy();
  });
  say("220 trial");
}
