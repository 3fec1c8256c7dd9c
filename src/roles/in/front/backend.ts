/** One connection to smtpd on behalf of one client. */

import { connect, type Socket } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";
import { type Reply, readReply } from "../reply.ts";
import { Wire } from "../wire.ts";
import { type Endpoint, proxyHeader } from "./proxy-header.ts";

/** smtpd is away, died, or does not speak SMTP. */
export class BackendLost extends Error {
  constructor(cause: unknown) {
    super("smtpd is away", { cause });
    this.name = "BackendLost";
  }
}

const minSendBytes = 64 * 1024;

export class Backend {
  readonly #wire: Wire;
  readonly #replySeconds: number;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;

  private constructor(wire: Wire, replySeconds: number) {
    this.#wire = wire;
    this.#replySeconds = replySeconds;
  }

  /**
   * Connects, says whose connection it is, and waits for the banner.
   * @throws BackendLost
   */
  static async open(
    smtpd: Endpoint,
    client: Endpoint,
    server: Endpoint,
    replySeconds: number,
  ): Promise<{ backend: Backend; banner: Reply }> {
    const socket = connect({ host: smtpd.address, port: smtpd.port, noDelay: true });
    const backend = new Backend(new Wire(socket), replySeconds);
    try {
      await connected(socket, replySeconds);
      const banner = await backend.#exchange(proxyHeader(client, server));
      return { backend, banner };
    } catch (error) {
      backend.destroy();
      throw error instanceof BackendLost ? error : new BackendLost(error);
    }
  }

  /** Sends one command, given without its CRLF, and waits for the reply. @throws BackendLost */
  async command(line: string): Promise<Reply> {
    return await this.#exchange(`${line}\r\n`);
  }

  /**
   * Sends a part of a message; resolves when smtpd takes more. Small parts are kept until there is more of them or `isLast`:
   * smtpd and its filters wake up for each write.
   * @throws BackendLost
   */
  async send(bytes: Buffer, isLast: boolean): Promise<void> {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (!isLast && this.#unsentBytes < minSendBytes) return;
    const all = this.#unsent.length === 1 ? bytes : Buffer.concat(this.#unsent, this.#unsentBytes);
    this.#unsent = [];
    this.#unsentBytes = 0;
    try {
      await this.#wire.write(all, this.#deadline());
    } catch (error) {
      throw lost(error);
    }
  }

  /** Waits for the reply to a message. @throws BackendLost */
  async reply(): Promise<Reply> {
    try {
      return await readReply(this.#wire, this.#deadline());
    } catch (error) {
      throw lost(error);
    }
  }

  /** Drops the connection; smtpd forgets an open transaction. */
  destroy(): void {
    this.#wire.destroy();
  }

  async #exchange(bytes: Uint8Array | string): Promise<Reply> {
    try {
      const deadline = this.#deadline();
      await this.#wire.write(bytes, deadline);
      return await readReply(this.#wire, deadline);
    } catch (error) {
      throw lost(error);
    }
  }

  #deadline(): number {
    return Date.now() + this.#replySeconds * 1000;
  }
}

function lost(error: unknown): unknown {
  return error instanceof HostError || error instanceof FormatError ? new BackendLost(error) : error;
}

function connected(socket: Socket, seconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new BackendLost(new HostError("TIMEOUT", "no connection to smtpd"))),
      seconds * 1000,
    );
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once("error", (cause) => {
      clearTimeout(timer);
      reject(new BackendLost(cause));
    });
  });
}
