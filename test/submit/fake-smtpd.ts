/** A strict SMTP server on loopback that answers as a test wants, and remembers what it took. */

import { createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

export interface TakenMail {
  readonly from: string;
  readonly recipients: readonly string[];
  /** As it was before dots were doubled. */
  readonly message: Buffer;
}

export interface FakeSmtpdOptions {
  /** Default: SIZE, 8BITMIME. */
  readonly extensions?: readonly string[];
  /** PEM: takes mail inside TLS only. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /**
   * Says what to answer to a command (`.` for the end of a message) in place of the usual; null closes the connection,
   * "silence" says nothing.
   */
  readonly answer?: (line: string) => string | null | undefined;
}

export interface FakeSmtpd {
  readonly port: number;
  readonly taken: TakenMail[];
  /** Mistakes of the client. */
  readonly mistakes: string[];
  sessions(): number;
  /** Ends all sessions; the next ones are served. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startFakeSmtpd(options: FakeSmtpdOptions = {}): Promise<FakeSmtpd> {
  const { extensions = ["SIZE 36700160", "8BITMIME"], answer = () => undefined } = options;
  const taken: TakenMail[] = [];
  const mistakes: string[] = [];
  const sockets = new Set<Socket>();
  let sessions = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sessions += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let channel = socket;
    let buffered: Buffer = Buffer.alloc(0);
    let message: Buffer[] | null = null;
    let mail: { from: string; recipients: string[] } | null = null;
    const say = (line: string, usual: string): boolean => {
      const text = answer(line);
      if (text === null) socket.destroy();
      else if (text !== "silence") channel.write(`${text ?? usual}\r\n`);
      return text === undefined;
    };
    const endOfMessage = (): void => {
      const text = `\r\n${Buffer.concat(message ?? []).toString("latin1")}`.slice(0, -3);
      message = null;
      if (text.includes("\r\n.\r\n") || /\r\n\.[^.]/.test(text)) mistakes.push("a dot that is not doubled");
      if (/[^\r]\n|\r(?!\n)/.test(text)) mistakes.push("a bare CR or LF");
      const bytes = Buffer.from(text.replaceAll("\r\n.", "\r\n").slice(2), "latin1");
      const { from, recipients } = mail ?? { from: "", recipients: [] };
      if (say(".", "250 2.0.0 taken")) taken.push({ from, recipients, message: bytes });
      mail = null;
    };
    const command = (line: string): void => {
      const verb = line.split(/[ :]/, 1)[0] ?? "";
      if (verb === "EHLO") {
        const isClear = options.tls !== undefined && channel === socket;
        const lines = ["fake", ...(isClear ? ["STARTTLS"] : extensions)];
        say(line, lines.map((text, at) => `250${at < lines.length - 1 ? "-" : " "}${text}`).join("\r\n"));
      } else if (verb === "STARTTLS" && options.tls !== undefined && channel === socket) {
        if (!say(line, "220 go on")) return;
        socket.off("data", take);
        channel = new TLSSocket(socket, { isServer: true, ...options.tls });
        channel.on("error", () => socket.destroy());
        channel.on("data", take);
      } else if (options.tls !== undefined && channel === socket) {
        mistakes.push(`in clear: ${line}`);
      } else if (verb === "MAIL") {
        if (mail !== null) mistakes.push("MAIL inside a transaction");
        const from = /^MAIL FROM:<([^<> ]*)>( [A-Z0-9]+=[A-Z0-9]+)*$/.exec(line)?.[1];
        if (from === undefined) mistakes.push(line);
        if (say(line, "250 2.0.0 sender")) mail = { from: from ?? "", recipients: [] };
      } else if (verb === "RCPT") {
        const to = /^RCPT TO:<([^<> ]+)>$/.exec(line)?.[1];
        // Who sends commands together does not know yet that MAIL was refused.
        if (to === undefined || (mail === null && !extensions.includes("PIPELINING"))) mistakes.push(line);
        if (say(line, "250 2.1.5 recipient")) mail?.recipients.push(to ?? "");
      } else if (verb === "DATA") {
        if (mail === null || mail.recipients.length === 0) mistakes.push("DATA without recipients");
        if (say(line, "354 go on")) message = [];
      } else if (verb === "QUIT") {
        channel.end("221 bye\r\n");
      } else {
        mistakes.push(line);
        channel.write("500 what?\r\n");
      }
    };
    const take = (chunk: Buffer): void => {
      if (message !== null) {
        // Who speaks to us waits behind the dot.
        message.push(chunk);
        if (Buffer.concat(message.slice(-6)).subarray(-5).toString("latin1") === "\r\n.\r\n") endOfMessage();
        return;
      }
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      for (let end = buffered.indexOf("\n"); end >= 0; end = buffered.indexOf("\n")) {
        const line = buffered.toString("latin1", 0, end + 1);
        buffered = buffered.subarray(end + 1);
        if (!line.endsWith("\r\n")) mistakes.push(`a line without CR: ${line}`);
        command(line.slice(0, -2));
      }
    };
    channel.on("data", take);
    if (answer("connect") === null) socket.destroy();
    else socket.write(`${answer("connect") ?? "220 fake"}\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    taken,
    mistakes,
    sessions: () => sessions,
    cut,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
