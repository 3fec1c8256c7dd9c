/** A name server that answers as a test tells it to, over UDP and TCP on one port. */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Gets a query, gives the packets that go back. */
export type Answer = (query: Buffer, transport: "udp" | "tcp") => readonly Buffer[];

export class HostileDns {
  readonly #udp: Socket = createSocket("udp4");
  readonly #tcp: Server;
  #answer: Answer = () => [];
  queries = 0;

  private constructor() {
    this.#udp.on("message", (query, from) => {
      this.queries += 1;
      for (const packet of this.#answer(query, "udp")) this.#udp.send(packet, from.port, from.address);
    });
    this.#tcp = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.once("data", (bytes: Buffer) => {
        for (const packet of this.#answer(bytes.subarray(2), "tcp")) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(packet.length);
          socket.write(Buffer.concat([length, packet]));
        }
        socket.end();
      });
    });
  }

  static async start(): Promise<HostileDns> {
    const server = new HostileDns();
    server.#udp.bind(0, "127.0.0.1");
    await once(server.#udp, "listening");
    server.#tcp.listen({ host: "127.0.0.1", port: server.port });
    await once(server.#tcp, "listening");
    return server;
  }

  get port(): number {
    return this.#udp.address().port;
  }

  answer(how: Answer): void {
    this.#answer = how;
  }

  stop(): void {
    this.#udp.close();
    this.#tcp.close();
  }
}

export interface Spoken {
  readonly flags?: number;
  readonly records?: readonly Buffer[];
  /** Number of answers that the header claims. */
  readonly count?: number;
}

/** A reply that repeats id and question of the query: validated and without error, unless told otherwise. */
export function replyTo(query: Buffer, { flags = 0x81a0, records = [], count = records.length }: Spoken): Buffer {
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(count, 6);
  header.writeUInt16BE(0, 10);
  const end = query.indexOf(0, 12) + 5;
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

export interface RecordOptions {
  readonly ttl?: number;
  readonly owner?: Buffer;
  /** Of the data, as the record claims. */
  readonly length?: number;
}

/** A record. `owner` is the question's name unless it is given; names are as on the wire. */
export function record(type: number, data: Buffer, options: RecordOptions = {}): Buffer {
  const { ttl = 300, owner = Buffer.from([0xc0, 12]), length = data.length } = options;
  const middle = Buffer.alloc(10);
  middle.writeUInt16BE(type, 0);
  middle.writeUInt16BE(1, 2);
  middle.writeUInt32BE(ttl, 4);
  middle.writeUInt16BE(length, 8);
  return Buffer.concat([owner, middle, data]);
}

/** A name as on the wire. */
export function wireName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, "latin1")),
    Buffer.alloc(1),
  ]);
}
