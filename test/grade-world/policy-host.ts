/** A web server with an MTA-STS policy, or with something else. */

import { createServer, type Server } from "node:https";
import type { Identity } from "./authority.ts";

export interface PolicyHostOptions {
  readonly identity: Identity;
  readonly body?: string | Uint8Array;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Never answer; or send the head and never the body. */
  readonly stall?: "head" | "body";
  /** Goes over the connection as it is, which stays open then. */
  readonly raw?: string;
}

export class PolicyHost {
  readonly #server: Server;
  /** Host names and paths that were asked for. */
  readonly asked: string[] = [];

  constructor({ identity, body = "", status = 200, headers = {}, stall, raw }: PolicyHostOptions) {
    this.#server = createServer({ cert: identity.chain, key: identity.key }, (request, response) => {
      this.asked.push(`${request.headers.host ?? ""}${request.url ?? ""}`);
      if (raw !== undefined) response.socket?.write(raw);
      if (stall === "head" || raw !== undefined) return;
      response.writeHead(status, { "Content-Type": "text/plain", ...headers });
      if (stall === "body") response.write("version: STSv1\n");
      else response.end(body);
    });
  }

  async listen(address: string, port = 443): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address, port }, resolve);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
