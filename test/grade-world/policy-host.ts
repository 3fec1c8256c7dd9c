/** A web server with an MTA-STS policy, or with something else. */

import { createServer, type Server } from "node:https";
import type { Identity } from "./authority.ts";

export interface PolicyHostOptions {
  readonly identity: Identity;
  readonly body?: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Never answer; or send the head and never the body. */
  readonly stall?: "head" | "body";
}

export class PolicyHost {
  readonly #server: Server;
  /** Host names and paths that were asked for. */
  readonly asked: string[] = [];

  constructor({ identity, body = "", status = 200, headers = {}, stall }: PolicyHostOptions) {
    this.#server = createServer({ cert: identity.chain, key: identity.key }, (request, response) => {
      this.asked.push(`${request.headers.host ?? ""}${request.url ?? ""}`);
      if (stall === "head") return;
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
