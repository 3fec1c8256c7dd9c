/** Reads the replies of an SMTP server one at a time, strictly (RFC 5321 section 4.2), from a server that may be hostile. */

import type { Socket } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";

/** RFC 5321 section 4.5.3.1.5 says 512, and servers in use write longer ones. */
const maxLineBytes = 1024;
const maxLines = 100;

export interface SmtpReply {
  readonly code: number;
  /** The text of each line, behind code and separator. */
  readonly lines: readonly string[];
}

export class SmtpReplies {
  readonly #socket: Socket;
  #buffered = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake: () => void = () => {};
  readonly #onData = (bytes: Buffer): void => {
    this.#buffered = Buffer.concat([this.#buffered, bytes]);
    // Nobody needs more than one reply at a time; the rest may wait in the kernel, where it is bounded.
    this.#socket.pause();
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (error: Error): void => {
      this.#ended ??= error;
      this.#wake();
    };
    socket.on("error", (cause) => end(new HostError("NETWORK", "the connection broke", { cause })));
    socket.on("close", () => end(new HostError("NETWORK", "the server closed the connection")));
    socket.on("end", () => end(new HostError("NETWORK", "the server closed the connection")));
    socket.on("data", this.#onData);
  }

  /**
   * The next reply. We never send a command before the reply to the last one has come, so nothing may follow a reply:
   * what does was put there by somebody who wants it read after STARTTLS (CVE-2011-0411, and many since).
   * @throws HostError NETWORK, TIMEOUT; FormatError SMTP for what is no reply or more than one
   */
  async next(signal: AbortSignal): Promise<SmtpReply> {
    const lines: string[] = [];
    let code = "";
    for (;;) {
      const line = await this.#line(signal);
      const match = /^([2-5][0-5][0-9])(?:([ -])([\x20-\x7e\t\x80-\xff]*))?$/.exec(line);
      if (match === null) throw new FormatError("SMTP", "the server's reply is not SMTP");
      const [, lineCode = "", separator = " ", text = ""] = match;
      if (code !== "" && code !== lineCode)
        throw new FormatError("SMTP", "the lines of one reply have different codes");
      code = lineCode;
      lines.push(text);
      if (lines.length > maxLines) throw new FormatError("SMTP", `the reply has more than ${maxLines} lines`);
      if (separator === "-") continue;
      this.assertNothingFollows();
      return { code: Number(code), lines };
    }
  }

  /** @throws FormatError SMTP if bytes stand behind the last reply */
  assertNothingFollows(): void {
    if (this.#buffered.length > 0 || this.#socket.readableLength > 0)
      throw new FormatError("SMTP", "the server sent more than the reply it owed");
  }

  /** Gives the socket to somebody else. */
  release(): void {
    this.assertNothingFollows();
    this.#socket.off("data", this.#onData);
  }

  async #line(signal: AbortSignal): Promise<string> {
    for (;;) {
      const end = this.#buffered.indexOf(0x0a);
      if (end > maxLineBytes || (end === -1 && this.#buffered.length > maxLineBytes)) {
        throw new FormatError("SMTP", `a line of the reply is longer than ${maxLineBytes} bytes`);
      }
      if (end !== -1) {
        const line = this.#buffered.toString("latin1", 0, end);
        this.#buffered = this.#buffered.subarray(end + 1);
        if (!line.endsWith("\r")) throw new FormatError("SMTP", "a line of the reply does not end in CR LF");
        return line.slice(0, -1);
      }
      if (signal.aborted) throw new HostError("TIMEOUT", "the server did not reply in time");
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
        this.#socket.resume();
      });
    }
  }
}
