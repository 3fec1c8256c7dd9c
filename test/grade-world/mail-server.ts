/** Strangers' mail servers, good and evil, as far as a probe talks to them. TLS is Node's. */

import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Identity } from "./authority.ts";

export type Step = "greeting" | "ehlo" | "starttls" | "handshake";

export interface MailServerOptions {
  /** Without one STARTTLS is not offered. */
  readonly identity?: Identity;
  /** Say nothing at this step, for ever. */
  readonly stall?: Step;
  /** Close the connection at this step. */
  readonly close?: Step;
  readonly greeting?: string;
  readonly ehlo?: string;
  readonly starttls?: string;
  readonly maxVersion?: "TLSv1.1" | "TLSv1.2";
}

export class MailServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What clients said before TLS, and after it. */
  readonly heard: string[] = [];
  readonly names: string[] = [];
  connections = 0;

  constructor(options: MailServerOptions) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      this.#converse(socket, options);
    });
  }

  async listen(address: string, port = 25): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address, port }, resolve);
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #converse(socket: Socket, options: MailServerOptions): void {
    const say = (step: Step, text: string): boolean => {
      if (options.close === step) socket.destroy();
      else if (options.stall !== step) socket.write(text);
      return options.close !== step && options.stall !== step;
    };
    if (!say("greeting", options.greeting ?? "220 mx.example ESMTP\r\n")) return;
    const onData = (bytes: Buffer): void => {
      const line = bytes.toString("latin1");
      this.heard.push(line);
      const offer = options.identity === undefined ? "250 SIZE 1000\r\n" : "250-SIZE 1000\r\n250 STARTTLS\r\n";
      if (line.startsWith("EHLO ")) say("ehlo", options.ehlo ?? `250-mx.example\r\n${offer}`);
      else if (line.startsWith("QUIT")) socket.end("221 bye\r\n");
      else if (line.startsWith("STARTTLS")) {
        socket.off("data", onData);
        if (say("starttls", options.starttls ?? "220 go ahead\r\n")) this.#secure(socket, options);
      } else socket.end("500 what\r\n");
    };
    socket.on("data", onData);
  }

  #secure(socket: Socket, { identity, close, stall, maxVersion }: MailServerOptions): void {
    if (close === "handshake") return void socket.once("data", () => socket.destroy());
    if (stall === "handshake" || identity === undefined) return void socket.resume();
    const old = maxVersion === "TLSv1.1" ? { minVersion: "TLSv1" as const, ciphers: "DEFAULT:@SECLEVEL=0" } : {};
    const secureContext = createSecureContext({
      cert: identity.chain,
      key: identity.key,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...old,
    });
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      SNICallback: (name, done) => {
        this.names.push(name);
        done(null, secureContext);
      },
    });
    secure.on("error", () => secure.destroy());
    secure.on("data", (bytes: Buffer) => {
      this.heard.push(bytes.toString("latin1"));
      secure.end("221 bye\r\n");
    });
  }
}
