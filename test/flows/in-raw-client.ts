/** An SMTP client that sends exactly the bytes it is told, when it is told. */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export class RawClient {
  #socket: Socket;
  #received = "";
  #closed = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async connect(port: number, host = "127.0.0.1"): Promise<RawClient> {
    const socket = connect({ port, host, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  /** Everything the server has said. */
  get received(): string {
    return this.#received;
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(text: string | Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** Sends a command and gives the whole reply; what the server says until then, when it closes instead. */
  async command(text: string): Promise<string> {
    this.send(`${text}\r\n`);
    return await this.reply();
  }

  #read = 0;

  /** The next reply, all its lines. */
  async reply(): Promise<string> {
    for (;;) {
      const text = this.#received.slice(this.#read);
      const match = /^(?:\d{3}-[^\r]*\r\n)*\d{3}(?: [^\r]*)?\r\n/.exec(text);
      if (match !== null) {
        this.#read += match[0].length;
        return match[0];
      }
      if (this.#closed) return text;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async ended(): Promise<void> {
    while (!this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Switches to TLS after a 220; the certificate is not checked. */
  async secure(): Promise<void> {
    this.#socket.removeAllListeners();
    this.#socket.on("error", () => this.#end());
    const secure = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", () => resolve());
      secure.once("error", reject);
    });
    this.#socket = secure;
    this.#listen();
  }

  endOutput(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      this.#wake?.();
    });
    this.#socket.on("end", () => this.#end());
    this.#socket.on("close", () => this.#end());
    this.#socket.on("error", () => this.#end());
  }

  #end(): void {
    this.#closed = true;
    this.#wake?.();
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
