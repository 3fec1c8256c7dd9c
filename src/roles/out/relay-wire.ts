/** What the relay script sends, read strictly and no more of it than allowed (docs/formats/submit-relay.md). */

import type { Socket } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";
import { isAccountName } from "#core/mail/address.ts";
import { MAX_COMMAND_CHARACTERS } from "#core/mail/submission/command.ts";
import { RelayInput } from "./relay-input.ts";

export interface RelayHead {
  /** As sshd attests it. */
  readonly login: string;
  /** One character a byte. */
  readonly command: string;
}

export interface MessageBounds {
  readonly maxBytes: number;
  /** From now to the end of the message. */
  readonly seconds: number;
  readonly pauseSeconds: number;
  /** Called before bytes are kept; throws when there is no room for them. */
  readonly take: (bytes: number) => void;
}

export interface RelayAnswer {
  readonly status: number;
  /** For standard output. */
  readonly out: readonly string[];
  /** For standard error. */
  readonly err: readonly string[];
}

/** Stands behind a message that came whole. No message has a NUL in it. */
const END = Buffer.from("\0end of submission\n", "latin1");
const MAX_LINE_BYTES = 100;
/** More than any command has, so that what is too long is refused as such. */
const MAX_COMMAND_BYTES = 4 * MAX_COMMAND_CHARACTERS;
const HEAD_SECONDS = 30;
const LINGER_SECONDS = 10;

/** One submission's connection. */
export class RelayConnection {
  readonly #socket: Socket;
  readonly #input: RelayInput;

  constructor(socket: Socket) {
    // The script says that its input has ended by closing its half.
    socket.allowHalfOpen = true;
    this.#socket = socket;
    this.#input = new RelayInput(socket);
  }

  /** @throws FormatError FEED for what no script of ours sends; HostError NETWORK, TIMEOUT */
  async readHead(): Promise<RelayHead> {
    const deadline = Date.now() + HEAD_SECONDS * 1000;
    const line = async (pattern: RegExp): Promise<string> => {
      const found = pattern.exec((await this.#input.line(MAX_LINE_BYTES, deadline)).toString("latin1"))?.[1];
      if (found === undefined) throw new FormatError("FEED", `expected a line that fits ${pattern.source}`);
      return found;
    };
    await line(/^(shoal-submit\/v1)$/);
    const login = await line(/^login (.*)$/);
    if (!isAccountName(login)) throw new FormatError("FEED", "expected the name of an account");
    const bytes = Number(await line(/^command (0|[1-9][0-9]{0,6})$/));
    if (bytes > MAX_COMMAND_BYTES) throw new FormatError("FEED", `expected at most ${MAX_COMMAND_BYTES} bytes`);
    const command = (await this.#input.bytes(bytes, deadline)).toString("latin1");
    return { login, command };
  }

  /**
   * The message as it was handed in.
   * @throws FormatError TOO-LARGE; HostError NETWORK if its end is missing, TIMEOUT; what `take` throws
   */
  async readMessage({ maxBytes, seconds, pauseSeconds, take }: MessageBounds): Promise<Buffer> {
    const deadline = Date.now() + seconds * 1000;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const chunk = await this.#input.chunk(Math.min(deadline, Date.now() + pauseSeconds * 1000));
      if (chunk === null) break;
      bytes += chunk.length;
      if (bytes > maxBytes + END.length) {
        throw new FormatError("TOO-LARGE", `the message has more than ${maxBytes} bytes: expected at most that`);
      }
      take(chunk.length);
      chunks.push(chunk);
    }
    const all = Buffer.concat(chunks, bytes);
    if (bytes < END.length || !all.subarray(-END.length).equals(END)) {
      throw new HostError("NETWORK", "the connection was cut before the end of the message", {
        hint: "nothing was sent: hand it in again",
      });
    }
    return all.subarray(0, -END.length);
  }

  /** One word to the script before the answer, on its way to it when this resolves. @throws HostError NETWORK */
  async say(word: "taken"): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(`${word}\n`, (cause) => {
        if (cause === undefined || cause === null) resolve();
        else reject(new HostError("NETWORK", "the connection broke", { cause }));
      });
    });
  }

  /**
   * Answers and closes. What still comes is read and dropped for a while: closing over unread bytes would take the answer
   * from a script that has not read it.
   */
  async answer(answer: RelayAnswer): Promise<void> {
    try {
      this.#socket.end(Buffer.from(printAnswer(answer), "latin1"));
      await this.#input.drain(Date.now() + LINGER_SECONDS * 1000);
    } catch (error) {
      // Too slow or already gone: there is nobody left to tell.
      if (!(error instanceof HostError)) throw error;
    } finally {
      this.#socket.destroy();
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Lines of printable ASCII, whatever stands in the answer. */
export function printAnswer({ status, out, err }: RelayAnswer): string {
  const clean = (text: string): string => text.replaceAll("…", "...").replace(/[^ -~]/g, "?");
  const lines = [...out.map((text) => `out ${clean(text)}`), ...err.map((text) => `err ${clean(text)}`)];
  return `${[...lines, `exit ${status}`].join("\n")}\n`;
}
