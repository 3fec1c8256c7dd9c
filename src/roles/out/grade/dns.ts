/**
 * Asks a local, validating resolver over UDP, and over TCP where the answer is too long. Node's own resolver does not tell
 * whether an answer was validated. The AD bit is to be believed only from a resolver that is on this machine or as near.
 */

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { FormatError, HostError } from "#core/errors.ts";
import { parseReply, printQuery, type Question, type RecordData, type RecordType, type Reply } from "./dns-message.ts";

/** Packets on one socket that answer something else; more than these is an attack, and the query is given up. */
const maxStrayPackets = 64;

export interface ResolverOptions {
  readonly address: string;
  readonly port: number;
  /** How long one try waits. A resolver that tries several servers itself needs seconds. */
  readonly tryMilliseconds: number;
  readonly tries: number;
}

/** A name without records of the type has none in `records`. */
export type Lookup<Type extends RecordType> =
  | {
      readonly outcome: "found" | "no-data" | "no-name";
      /** Validated, the absence too. */
      readonly secure: boolean;
      readonly canonicalName: string;
      readonly records: readonly RecordData[Type][];
      /** 0 when there are no records. */
      readonly ttlSeconds: number;
    }
  /** `bogus`: there is an answer, and it fails validation. `failed`: there is none, or none that can be read. */
  | { readonly outcome: "bogus" | "failed"; readonly detail: string };

export class Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Never rejects for what the network does: that is an outcome. `name` is in lower case, without a final dot. */
  async lookup<Type extends RecordType>(name: string, type: Type, signal: AbortSignal): Promise<Lookup<Type>> {
    try {
      const reply = await this.#ask(name, type, false, signal);
      if (reply.code === 0 || reply.code === 3) {
        const { secure, canonicalName, records, ttlSeconds } = reply;
        const outcome = records.length > 0 ? "found" : reply.code === 3 ? "no-name" : "no-data";
        return { outcome, secure, canonicalName, records, ttlSeconds };
      }
      const detail = `the resolver answers "${codeName(reply.code)}" for ${type} of "${name}"`;
      if (reply.code !== 2) return { outcome: "failed", detail };
      // With checking disabled an answer that is there comes, valid or not.
      const unchecked = await this.#ask(name, type, true, signal);
      if (unchecked.code !== 0 && unchecked.code !== 3) return { outcome: "failed", detail };
      return { outcome: "bogus", detail: `the answer for ${type} of "${name}" fails DNSSEC validation` };
    } catch (error) {
      if (!(error instanceof HostError || error instanceof FormatError)) throw error;
      return { outcome: "failed", detail: `${type} of "${name}": ${error.message}` };
    }
  }

  async #ask<Type extends RecordType>(name: string, type: Type, unchecked: boolean, signal: AbortSignal) {
    let failure: unknown;
    for (let tries = 0; tries < this.#options.tries; tries += 1) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#options.tryMilliseconds)]);
      const question = { id: randomInt(0x1_0000), name, type };
      try {
        const packet = printQuery(question, unchecked);
        const reply = await this.#overUdp(packet, question, limit);
        return reply.truncated ? await this.#overTcp(packet, question, limit) : reply;
      } catch (error) {
        if (!(error instanceof HostError) || signal.aborted) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  #overUdp<Type extends RecordType>(packet: Buffer, question: Question<Type>, signal: AbortSignal) {
    const { address, port } = this.#options;
    return new Promise<Reply<Type>>((resolve, reject) => {
      const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
      let strays = 0;
      const finish = (settle: () => void): void => {
        signal.removeEventListener("abort", onAbort);
        socket.removeAllListeners("message");
        socket.close();
        settle();
      };
      const onAbort = (): void => finish(() => reject(new HostError("TIMEOUT", "the resolver did not answer in time")));
      const onError = (cause: Error): void =>
        finish(() => reject(new HostError("NETWORK", "the resolver can't be reached", { cause })));
      socket.once("error", onError);
      socket.on("message", (message) => {
        try {
          const reply = parseReply(message, question);
          if (reply !== null) return finish(() => resolve(reply));
        } catch (error) {
          return finish(() => reject(error));
        }
        strays += 1;
        if (strays > maxStrayPackets)
          finish(() => reject(new FormatError("DNS", "forged answers came instead of one")));
      });
      // Connected, so that the kernel drops what comes from anywhere else.
      socket.connect(port, address, () => {
        if (signal.aborted) return onAbort();
        signal.addEventListener("abort", onAbort, { once: true });
        socket.send(packet);
      });
    });
  }

  #overTcp<Type extends RecordType>(packet: Buffer, question: Question<Type>, signal: AbortSignal) {
    const { address, port } = this.#options;
    return new Promise<Reply<Type>>((resolve, reject) => {
      const socket = connect({ host: address, port, signal });
      const parts: Buffer[] = [];
      let bytes = 0;
      socket.once("error", (cause) => {
        reject(new HostError(signal.aborted ? "TIMEOUT" : "NETWORK", "the resolver fails over TCP", { cause }));
      });
      socket.once("close", () => reject(new HostError("NETWORK", "the resolver closed the connection")));
      socket.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes < 2) return;
        const all = Buffer.concat(parts);
        if (bytes < 2 + all.readUInt16BE(0)) return;
        try {
          const reply = parseReply(all.subarray(2, 2 + all.readUInt16BE(0)), question);
          if (reply === null || reply.truncated) throw new FormatError("DNS", "expected the whole answer over TCP");
          resolve(reply);
        } catch (error) {
          reject(error);
        }
        socket.destroy();
      });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    });
  }
}

function codeName(code: number): string {
  return { 1: "format error", 2: "server failure", 4: "not implemented", 5: "refused" }[code] ?? `code ${code}`;
}
