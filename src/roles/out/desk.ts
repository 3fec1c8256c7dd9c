/** One submission from the relay's first line to its answer, in the order of docs/flow.md. */

import { randomBytes } from "node:crypto";
import { FormatError, HostError } from "#core/errors.ts";
import { parseAddress } from "#core/mail/address.ts";
import { SUBMISSION_STATUS } from "#core/mail/submission/answer.ts";
import { parseCommand, type SendCommand, type SubmissionCommand } from "#core/mail/submission/command.ts";
import type { Account } from "#core/mail/submission/identity.ts";
import { prepareSubmission } from "#core/mail/submission/prepare.ts";
import {
  checkAnswer,
  type DomainWay,
  helpAnswer,
  limitsAnswer,
  partlyAnswer,
  refusal,
  sentAnswer,
  unprotectedAnswer,
} from "./answers.ts";
import type { SubmitConfig } from "./config.ts";
import type { Grader } from "./grade/grader.ts";
import { handOver, type Way } from "./hand-over.ts";
import type { SpamJudge } from "./judgement.ts";
import type { LimitStore, Reservation } from "./limit-store.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { ProbeLimit } from "./probe-limit.ts";
import type { QueueRoom } from "./queue-room.ts";
import type { RelayAnswer, RelayConnection } from "./relay-wire.ts";
import type { Signer } from "./signer.ts";
import type { SmtpdPool } from "./smtpd-pool.ts";

export interface DeskOptions {
  readonly config: SubmitConfig;
  readonly threadKey: Uint8Array;
  readonly grader: Pick<Grader, "grade">;
  readonly store: LimitStore;
  readonly room: QueueRoom;
  readonly pools: Readonly<Record<Way, SmtpdPool>>;
  readonly budget: MemoryBudget;
  /** Null: nobody is asked. */
  readonly judge: Pick<SpamJudge, "judge"> | null;
  /** Null: mail leaves unsigned. */
  readonly signer: Pick<Signer, "sign"> | null;
  /** Unix seconds. */
  readonly now: () => number;
  /** Gets lines for people, without addresses. */
  readonly log: (text: string) => void;
}

export class Desk {
  readonly #options: DeskOptions;
  readonly #probeLimit: ProbeLimit;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#probeLimit = new ProbeLimit(options.config.limits.domainsPerHour);
  }

  /** Serves one submission and closes its connection. Never throws. */
  async serve(connection: RelayConnection): Promise<void> {
    try {
      await connection.answer(await this.#answer(connection));
    } catch (error) {
      this.#options.log(`a connection ended: ${wordsOf(error)}`);
      connection.destroy();
    }
  }

  async #answer(connection: RelayConnection): Promise<RelayAnswer> {
    let json = false;
    try {
      const { login, command } = await connection.readHead();
      json = command.split(" ").includes("--json");
      return await this.#run(login, parseCommand(command), connection);
    } catch (error) {
      const answer = isForSender(error) ? refusal(error, json) : null;
      if (answer !== null) {
        if (error instanceof HostError && error.code !== "BUSY") this.#options.log(wordsOf(error));
        return answer;
      }
      const isKnown = error instanceof FormatError || !(error instanceof Error);
      this.#options.log(isKnown ? wordsOf(error) : (error.stack ?? error.message));
      const failure = new HostError("EXEC", "this machine has failed; nothing was sent", { hint: "try again later" });
      return refusal(failure, json) ?? { status: SUBMISSION_STATUS.temporary, out: [], err: [] };
    }
  }

  async #run(login: string, command: SubmissionCommand, connection: RelayConnection): Promise<RelayAnswer> {
    const { config, store, now } = this.#options;
    switch (command.verb) {
      case "help":
        return helpAnswer();
      case "limits": {
        const { recipients, messageBytes } = config.limits;
        return limitsAnswer({ ...store.left(login, now()), recipients, messageBytes }, command.json);
      }
      case "check":
        return checkAnswer([...(await this.#waysTo(login, command.addresses)).values()], command.json);
      case "send":
      case "send-anyway":
        return await this.#take(login, command, connection);
      default:
        throw new Error(`no such command: ${JSON.stringify(command)}`);
    }
  }

  async #take(login: string, command: SendCommand, connection: RelayConnection): Promise<RelayAnswer> {
    const { config, budget } = this.#options;
    const { messageSeconds: seconds, pauseSeconds, limits } = config;
    const share = budget.open(login);
    try {
      const bounds = { maxBytes: limits.messageBytes, seconds, pauseSeconds, take: share.take };
      const message = await connection.readMessage(bounds);
      checkBytes(message, command.bytes);
      await connection.say("taken");
      return await this.#send(login, command, message);
    } finally {
      share.release();
    }
  }

  async #send(login: string, command: SendCommand, message: Buffer): Promise<RelayAnswer> {
    const { config, threadKey, store, judge, signer, pools, room, now } = this.#options;
    const { domain, limits } = config;
    const { verb, json, envelopeFrom, recipients } = command;
    const account: Account = { name: login, domain, aliases: NO_ALIASES };
    const prepared = prepareSubmission(message, {
      account,
      envelopeFrom,
      recipients,
      now: now(),
      random: randomBytes,
      threadKey,
      limits: { bytes: limits.messageBytes, recipients: limits.recipients },
    });
    await room.expect(prepared.message.length);
    const reservation = await store.reserve(login, this.#outside(prepared.recipients), now());
    let isSent = false;
    try {
      await judge?.judge({ account: login, ...prepared });
      const ways = await this.#waysTo(login, prepared.recipients);
      const all = [...ways.values()];
      if (verb === "send" && all.some(({ grade }) => grade === "none")) return unprotectedAnswer(all, json);
      const message = (await signer?.sign(prepared.message)) ?? prepared.message;
      const { accepted, rest } = await handOver(pools, sortedByWay(prepared.recipients, ways), {
        ...prepared,
        message,
      });
      isSent = true;
      const doubt = await this.#doubtOfRoom(message.length);
      if (doubt !== null) {
        return partlyAnswer(
          prepared,
          [],
          { recipients: prepared.recipients, unknown: prepared.recipients, error: doubt },
          json,
        );
      }
      return rest === null ? sentAnswer(prepared, json) : partlyAnswer(prepared, accepted, rest, json);
    } finally {
      if (!isSent) this.#refund(reservation);
    }
  }

  /** Why smtpd may not have all of what it has just taken; null if nothing speaks for that. Never throws: it is out of our hands. */
  async #doubtOfRoom(bytes: number): Promise<Error | null> {
    try {
      const holds = await this.#options.room.holds(bytes);
      return holds ? null : new HostError("BUSY", "the disk of this machine became full");
    } catch (error) {
      this.#options.log(wordsOf(error));
      return new HostError("FILE", "this machine can't see whether its disk is full");
    }
  }

  /** Never throws: what becomes of the message does not hang on it. */
  #refund(reservation: Reservation): void {
    try {
      this.#options.store.refund(reservation);
    } catch (error) {
      this.#options.log(wordsOf(error));
    }
  }

  /** Recipients that can be new: mail inside the fleet bothers no stranger. */
  #outside(recipients: readonly string[]): string[] {
    return recipients.filter((address) => domainOf(address) !== this.#options.config.domain);
  }

  /** Domain -> the way to it, in the order of the addresses. @throws PolicyError PACE; HostError BUSY */
  async #waysTo(login: string, addresses: readonly string[]): Promise<Map<string, DomainWay>> {
    const { config, grader, now } = this.#options;
    const domains = [...new Set(addresses.map(domainOf))];
    const others = domains.filter((domain) => domain !== config.domain);
    this.#probeLimit.take(login, others.length, now());
    const grades = await grader.grade(others);
    return new Map(
      domains.map((domain): [string, DomainWay] => {
        if (domain === config.domain) return [domain, { domain, grade: "internal" }];
        const grade = grades.get(domain);
        if (grade === undefined) throw new Error("a domain has no grade");
        return [domain, grade];
      }),
    );
  }
}

// BUG: aliases of accounts are not known here yet: mail from an alias is refused as forged.
const NO_ALIASES: ReadonlySet<string> = new Set();

/** A user's program that dies on a connection that others share can leave a message that seems to have ended. */
function checkBytes({ length }: Buffer, bytes: number | null): void {
  if (bytes === null || bytes === length) return;
  throw new HostError("NETWORK", `${length} bytes came: expected ${bytes}`, {
    hint: "nothing was sent: hand it in again",
  });
}

function domainOf(address: string): string {
  return parseAddress(address)?.domain ?? "";
}

function sortedByWay(recipients: readonly string[], ways: ReadonlyMap<string, DomainWay>): Map<Way, string[]> {
  const sorted = new Map<Way, string[]>();
  for (const recipient of recipients) {
    const way = wayOf(ways.get(domainOf(recipient)));
    sorted.set(way, [...(sorted.get(way) ?? []), recipient]);
  }
  return sorted;
}

function wayOf(way: DomainWay | undefined): Way {
  if (way === undefined) throw new Error("a recipient has no grade");
  if (way.grade === "internal") return "strict";
  if (way.grade === "none") return "anyway";
  return way.enforceable ? "strict" : "dane";
}

/** False for what is no fault of the sender's and no word for them either. */
function isForSender(error: unknown): boolean {
  if (!(error instanceof FormatError)) return true;
  return error.code === "SUBMISSION" || error.code === "TOO-LARGE" || error.code === "RECIPIENT";
}

/** Without what users wrote. */
function wordsOf(error: unknown): string {
  if (!(error instanceof HostError || error instanceof FormatError)) return "an error of the program";
  return `${error.code}: ${error.message}`;
}
