/** A stand-in for the ledger's side of deliveries: real lists in memory, and whatever goes wrong when a test says so. */

import { createServer, type Server, type Socket } from "node:net";
import {
  APPEND_HELLO,
  type AppendAnswer,
  AppendReader,
  type AppendRequest,
  parseAppendRequest,
  printAppendAnswer,
} from "#core/mailbox/append-frames.ts";

/** A program in place of `ssh`, whose other end is a port. @param node path of Node where it runs */
export function ledgerProgram(node: string, port: number): string {
  return `#!${node}
const socket = require("node:net").connect(${port}, "127.0.0.1");
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("close", () => process.exit());
socket.on("error", () => process.exit(255));
`;
}

export class TestLedger {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** `ACCOUNT DIGEST` in the order in which they were listed. */
  readonly listed: string[] = [];
  readonly requests: AppendRequest[] = [];
  /** What becomes of a request; null to end the connection in the middle of the answer, undefined to say nothing. */
  fault: (request: AppendRequest) => AppendAnswer | "answer" | null | undefined = () => "answer";
  delayMilliseconds = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(port = 0): Promise<TestLedger> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new TypeError("no port");
    return new TestLedger(server, address.port);
  }

  /** Ends all connections; new ones may come. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const reader = new AppendReader(parseAppendRequest);
    socket.write(`${APPEND_HELLO}\n`);
    socket.on("data", (chunk: Buffer) => {
      for (const request of reader.push(chunk)) {
        this.requests.push(request);
        setTimeout(() => this.#answer(socket, request), this.delayMilliseconds);
      }
    });
  }

  #answer(socket: Socket, request: AppendRequest): void {
    const fault = this.fault(request);
    if (fault === undefined || socket.destroyed) return;
    const answer = typeof fault === "object" && fault !== null ? fault : this.#done(request);
    const line = printAppendAnswer(answer);
    if (fault === null) socket.end(line.slice(0, line.length / 2));
    else socket.write(line);
  }

  #done({ kind, tag, account, digest }: AppendRequest): AppendAnswer {
    const key = `${account} ${digest}`;
    if (!this.listed.includes(key)) {
      if (kind === "known") return { kind: "lack", tag };
      this.listed.push(key);
    }
    return { kind: "have", tag, seq: this.listed.indexOf(key) + 1 };
  }
}
