/** How many connections there are, in all and per client. */

import { isIPv4 } from "node:net";
import { ipv6Bytes } from "./proxy-header.ts";

export class Visitors {
  readonly #max: number;
  readonly #maxPerClient: number;
  #all = 0;
  readonly #perClient = new Map<string, number>();

  constructor(max: number, maxPerClient: number) {
    this.#max = max;
    this.#maxPerClient = maxPerClient;
  }

  /** Counts one more; false when that would be one too many. Each true wants one {@link leave}. */
  enter(address: string): boolean {
    const client = clientOf(address);
    const already = this.#perClient.get(client) ?? 0;
    if (this.#all >= this.#max || already >= this.#maxPerClient) return false;
    this.#all += 1;
    this.#perClient.set(client, already + 1);
    return true;
  }

  leave(address: string): void {
    const client = clientOf(address);
    const left = (this.#perClient.get(client) ?? 0) - 1;
    this.#all -= 1;
    if (left > 0) this.#perClient.set(client, left);
    else this.#perClient.delete(client);
  }
}

/** Whoever has an IPv6 network has 2^64 addresses of it: they count as one. */
function clientOf(address: string): string {
  return isIPv4(address) ? address : ipv6Bytes(address).toString("hex", 0, 8);
}
