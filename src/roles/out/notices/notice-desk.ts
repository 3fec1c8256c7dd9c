/** Takes smtpd's notices, says in them why, and hands them to `in`, where they are sealed like any mail. Keeps nothing. */

import { createServer, type Server } from "node:net";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import type { SubmitConfig } from "../config.ts";
import type { Grader } from "../grade/grader.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { SmtpdPool } from "../smtpd-pool.ts";
import { Transaction } from "../transaction.ts";
import { type Rewritten, rewriteNotice } from "./rewrite.ts";
import { serveIntake } from "./smtp-intake.ts";

export interface NoticeDeskOptions {
  readonly config: SubmitConfig;
  readonly notices: NonNullable<SubmitConfig["notices"]>;
  readonly grader: Pick<Grader, "grade">;
  /** Gets lines for people, without addresses. */
  readonly log: (text: string) => void;
}

/** smtpd's own words around a mail of the greatest size. */
const AROUND_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 32;
/** All notices share one. */
const SHARE = "notices";

export class NoticeDesk {
  readonly #options: NoticeDeskOptions;
  /** One for each machine `in`. */
  readonly #pools: SmtpdPool[];
  readonly #maxBytes: number;
  /** Apart from that of submissions: a notice about the largest mail is larger still. */
  readonly #budget: MemoryBudget;

  constructor(options: NoticeDeskOptions) {
    this.#options = options;
    const { hostname, replySeconds, limits, maxMemoryBytes } = options.config;
    this.#maxBytes = limits.messageBytes + AROUND_BYTES;
    this.#budget = new MemoryBudget(maxMemoryBytes / 2, this.#maxBytes);
    this.#pools = options.notices.in.map(
      ({ address, port }) => new SmtpdPool({ host: address, port, tls: true, hostname, replySeconds }),
    );
  }

  /** @throws the error of listening */
  async listen(): Promise<Server> {
    const { config, notices, log } = this.#options;
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      const intake = {
        hostname: config.hostname,
        domain: config.domain,
        maxMessageBytes: this.#maxBytes,
        openShare: () => this.#budget.open(SHARE),
        take: async (to: string, message: Buffer) => await this.take(to, message),
      };
      serveIntake(socket, intake).catch((error: unknown) => {
        log(`a notice's connection ended: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        socket.destroy();
      });
    });
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(notices.port, "127.0.0.1", resolve);
    });
    return server;
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }

  /** The reply to smtpd: 250 when `in` has the notice for good. Never throws. */
  async take(to: string, message: Buffer): Promise<string> {
    const { log } = this.#options;
    try {
      const rewritten = await this.#rewrite(to, message);
      await this.#handOver(to, rewritten);
      return "250 2.0.0 in has it";
    } catch (error) {
      log(`a notice was not handed over: ${error instanceof Error ? error.message.replaceAll(to, "its owner") : ""}`);
      // Nobody is told of a notice for which there is nobody: smtpd forgets it. For a full mailbox it comes again.
      const isForNobody =
        error instanceof FormatError && error.code === "RECIPIENT" && error.message.includes(": 550 ");
      return isForNobody ? "550 5.1.1 in does not know the owner" : "451 4.3.0 in does not take it now";
    }
  }

  /** What can't be read goes as it came: an unclear notice is better than none. */
  async #rewrite(to: string, message: Buffer): Promise<Rewritten> {
    const { config, notices, grader, log } = this.#options;
    const { domain, hostname } = config;
    const { queueHours, maxMessageBytes } = notices;
    const rewritten = await rewriteNotice(message, to, { domain, hostname, queueHours, maxMessageBytes, grader });
    if (rewritten !== null) return rewritten;
    log("a notice is not of smtpd's form: it goes as it is");
    return { whole: message, short: message };
  }

  /** @throws as Transaction.begin; HostError when no machine has it for sure */
  async #handOver(to: string, { whole, short }: Rewritten): Promise<void> {
    try {
      await this.#toAny(to, whole);
    } catch (error) {
      // What was refused for its content may be taken without the mail that it is about, and still says why.
      if (!(error instanceof PolicyError && error.code === "REFUSED") || short === whole) throw error;
      await this.#toAny(to, short);
    }
  }

  async #toAny(to: string, message: Buffer): Promise<void> {
    let failure: unknown;
    for (const pool of this.#pools) {
      try {
        await handTo(pool, to, message);
        return;
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

async function handTo(pool: SmtpdPool, to: string, message: Buffer): Promise<void> {
  const transaction = await Transaction.begin(pool, { envelopeFrom: "", recipients: [to], message });
  const outcome = await transaction.commit();
  if (outcome.kind === "unknown") throw new HostError("NETWORK", outcome.error.message, { cause: outcome.error });
  if (outcome.kind === "refused") throw outcome.error;
}
