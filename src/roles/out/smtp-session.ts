/** A client's session with a mail server of our own (RFC 5321, 1870, 2920, 3207, 6152). Strict: what is no reply ends it. */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { FormatError, HostError } from "#core/errors.ts";

export interface SmtpReply {
  readonly code: number;
  /** Behind the codes, joined by blanks; printable ASCII. */
  readonly text: string;
}

export interface SmtpSessionOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  /** Goes on inside TLS, or not at all; whose certificate it is does not matter. */
  readonly tls?: boolean;
  /** For EHLO. */
  readonly hostname: string;
  /** For each reply, and for each megabyte that smtpd takes. */
  readonly replySeconds: number;
}

const MAX_LINE_BYTES = 2048;
const MAX_REPLY_LINES = 100;
const WRITE_BYTES = 1024 * 1024;

export class SmtpSession {
  #socket: Socket;
  readonly #milliseconds: number;
  #buffered: Buffer = Buffer.alloc(0);
  #lines: string[] = [];
  readonly #replies: SmtpReply[] = [];
  /** Replies that are owed to us. */
  #owed = 1;
  #failure: Error | undefined;
  #wake: () => void = () => {};
  #extensions: ReadonlySet<string> = new Set();

  private constructor({ host = "127.0.0.1", port, replySeconds }: SmtpSessionOptions) {
    this.#milliseconds = replySeconds * 1000;
    this.#socket = this.#hear(connect({ host, port, noDelay: true }));
  }

  #hear(socket: Socket): Socket {
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", (cause) => this.#fail(new HostError("NETWORK", "smtpd can't be reached", { cause })));
    socket.on("end", () => this.#fail(new HostError("NETWORK", "smtpd has closed the connection")));
    socket.on("close", () => this.#fail(new HostError("NETWORK", "smtpd has closed the connection")));
    return socket;
  }

  /** Connects and greets. @throws HostError NETWORK, TIMEOUT, BUSY; FormatError SMTP */
  static async open(options: SmtpSessionOptions): Promise<SmtpSession> {
    const session = new SmtpSession(options);
    try {
      expectCode(await session.reply(), 220);
      await session.#greet(options.hostname);
      if (options.tls === true) {
        await session.#secure();
        await session.#greet(options.hostname);
      }
      return session;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  async #greet(hostname: string): Promise<void> {
    await this.write(`EHLO ${hostname}\r\n`, 1);
    const { text } = expectCode(await this.reply(), 250);
    // The first line greets; an extension's name ends at a blank, a line at the mark that #take puts.
    this.#extensions = new Set(text.split("\n").map((line) => (line.split(" ", 1)[0] ?? "").toUpperCase()));
  }

  /** RFC 3207. */
  async #secure(): Promise<void> {
    await this.write("STARTTLS\r\n", 1);
    expectCode(await this.reply(), 220);
    // What came in clear behind the reply would be believed to have come inside.
    if (this.#buffered.length > 0 || !this.isUsable) throw new FormatError("SMTP", "smtpd sent more than a reply");
    this.#socket.removeAllListeners();
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false, minVersion: "TLSv1.2" });
    this.#socket = this.#hear(secured);
    const ready = (): void => this.#wake();
    secured.once("secureConnect", ready);
    // Nothing else wakes it: nobody has asked for a reply.
    await this.#event();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** False when it has ended, or smtpd has said something that nobody asked for. */
  get isUsable(): boolean {
    return this.#failure === undefined && this.#owed === 0;
  }

  offers(extension: string): boolean {
    return this.#extensions.has(extension);
  }

  /** Sends bytes, to which `replies` replies are owed. @throws HostError NETWORK, TIMEOUT; FormatError SMTP */
  async write(bytes: Buffer | string, replies: number): Promise<void> {
    this.#owed += replies;
    const buffer = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    for (let at = 0; at < buffer.length; at += WRITE_BYTES) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#socket.write(buffer.subarray(at, at + WRITE_BYTES));
      while (this.#socket.writableNeedDrain) {
        if (this.#failure !== undefined) throw this.#failure;
        const drained = (): void => this.#wake();
        this.#socket.once("drain", drained);
        try {
          await this.#event();
        } finally {
          this.#socket.off("drain", drained);
        }
      }
    }
  }

  /** The next reply that is owed. @throws HostError NETWORK, TIMEOUT; FormatError SMTP */
  async reply(): Promise<SmtpReply> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#event();
    }
  }

  /** Ends it in peace. */
  quit(): void {
    if (this.isUsable) this.#socket.end("QUIT\r\n");
    this.destroy(1000);
  }

  /** Ends it at once; smtpd forgets a message whose end it has not seen. */
  destroy(milliseconds = 0): void {
    this.#fail(new HostError("NETWORK", "the session has ended"));
    if (milliseconds === 0) this.#socket.destroy();
    else setTimeout(() => this.#socket.destroy(), milliseconds).unref();
  }

  #take(bytes: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? bytes : Buffer.concat([this.#buffered, bytes]);
    while (this.#failure === undefined) {
      const end = this.#buffered.indexOf("\r\n", 0, "latin1");
      if (end > MAX_LINE_BYTES || (end < 0 && this.#buffered.length > MAX_LINE_BYTES))
        return this.#noSmtp("a long line");
      if (end < 0) return;
      const line = this.#buffered.toString("latin1", 0, end);
      this.#buffered = this.#buffered.subarray(end + 2);
      const match = /^([2-5][0-5][0-9])(?:([ -])([\t\x20-\x7e]*))?$/.exec(line);
      const [, code = "", separator = " ", text = ""] = match ?? [];
      if (match === null || (this.#lines[0] !== undefined && !this.#lines[0].startsWith(code))) {
        return this.#noSmtp("a line that is no reply");
      }
      this.#lines.push(`${code}${text.replaceAll("\t", " ")}`);
      if (this.#lines.length > MAX_REPLY_LINES) return this.#noSmtp("too many lines");
      if (separator === "-") continue;
      const reply = { code: Number(code), text: this.#lines.map((part) => part.slice(3)).join("\n") };
      this.#lines = [];
      if (this.#owed === 0) {
        return this.#fail(new HostError("NETWORK", `smtpd ended the session: ${replyText(reply)}`));
      }
      this.#owed -= 1;
      this.#replies.push(reply);
      this.#wake();
    }
  }

  #noSmtp(what: string): void {
    this.#fail(new FormatError("SMTP", `smtpd sent ${what}`));
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #event(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = new HostError("TIMEOUT", `smtpd did not answer within ${this.#milliseconds / 1000} seconds`);
        this.#failure ??= error;
        this.#socket.destroy();
        reject(error);
      }, this.#milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** For people: `550 5.1.1 no such user`, cut. */
export function replyText({ code, text }: SmtpReply): string {
  const line = text.replaceAll("\n", " ");
  return `${code} ${line.length > 200 ? `${line.slice(0, 200)}…` : line}`.trimEnd();
}

/** @throws HostError BUSY for any other code */
export function expectCode(reply: SmtpReply, code: number): SmtpReply {
  if (reply.code === code) return reply;
  throw new HostError("BUSY", `smtpd does not take mail now: ${replyText(reply)}`);
}
