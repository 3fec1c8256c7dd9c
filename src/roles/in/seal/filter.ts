/**
 * The seal filter: smtpd's events in, decisions and sealed messages out. It answers everything it is asked, and what it
 * can't do right it answers with 451.
 */

import { seal } from "#core/age/age.ts";
import { ENVELOPES_END, ENVELOPES_HEAD, ENVELOPES_PADDING, envelopeLines, makeEnvelope } from "#core/mail/envelopes.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { parseRecipients } from "#core/recipients.ts";
import { parseUsage } from "#core/usage.ts";
import { unixTime } from "#host/clock.ts";
import type { SealConfig } from "../config.ts";
import { KnownFile } from "../known-file.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { admit } from "./admission.ts";
import {
  type FilterReport,
  type FilterRequest,
  parseFilterLine,
  printDataLines,
  printRegistration,
  printResult,
} from "./filter-protocol.ts";
import { MessageStore } from "./message-store.ts";
import type { Output } from "./output.ts";
import { Session, type Transaction } from "./session.ts";

/** What smtpd, rspamd and we put in front of a message that is as large as may be. */
const addedBytes = 1024 * 1024;
/** Lines of a container that are handed over at a time. */
const linesAtOnce = 1000;
const tryAgain = "451 4.3.0 message can't be sealed now, try again later";

const reports = [
  "link-connect",
  "link-identify",
  "link-disconnect",
  "protocol-client",
  "tx-mail",
  "tx-rcpt",
  "tx-reset",
  "tx-rollback",
];
const phases = ["rcpt-to", "data-line", "commit"];

export class SealFilter {
  readonly #config: SealConfig;
  readonly #output: Output;
  readonly #log: (text: string) => void;
  readonly #accounts;
  readonly #usage;
  readonly #budget: MemoryBudget;
  readonly #sessions = new Map<string, Session>();
  #registered = false;
  /** Messages are sealed one after the other, which bounds the memory that sealing takes. */
  #sealing: Promise<void> = Promise.resolve();

  constructor(config: SealConfig, output: Output, log: (text: string) => void) {
    this.#config = config;
    this.#output = output;
    this.#log = log;
    this.#accounts = new KnownFile(config.recipientsFile, parseRecipients, log);
    this.#usage = new KnownFile(config.usageFile, parseUsage, log);
    this.#budget = new MemoryBudget(config.maxMemoryBytes);
  }

  /** Bytes of messages held right now. */
  get heldBytes(): number {
    return this.#budget.usedBytes;
  }

  /** Reads accounts and usage if they changed. */
  async refresh(): Promise<void> {
    await Promise.all([this.#accounts.refresh(), this.#usage.refresh()]);
  }

  /** Takes one line of smtpd. Never throws. */
  take(line: Buffer): void {
    try {
      if (!this.#registered) {
        if (line.toString("latin1") === "config|ready") {
          this.#output.say(printRegistration(reports, phases));
          this.#registered = true;
        }
        return;
      }
      const event = parseFilterLine(line);
      if (event === null) this.#log("a line that is not of the filter protocol");
      else if (event.kind === "report") this.#hear(event);
      else this.#answer(event);
    } catch (error) {
      this.#log(`a line can't be taken: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }

  #hear({ event, session: id, rest }: FilterReport): void {
    if (event === "link-connect") this.#sessions.set(id, new Session());
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    const [, result, address = ""] = rest.split("|");
    if (event === "link-connect") session.connected(rest);
    else if (event === "link-disconnect") {
      session.end();
      this.#sessions.delete(id);
    } else if (event === "link-identify") session.identified(rest);
    else if (event === "protocol-client") session.commanded(rest);
    else if (event === "tx-mail" && result === "ok") session.begin(address);
    else if (event === "tx-rcpt" && result === "ok") session.accepted(address);
    else if (event === "tx-reset" || event === "tx-rollback") session.end();
  }

  #answer(request: FilterRequest): void {
    const session = this.#sessions.get(request.session);
    switch (request.phase) {
      case "rcpt-to":
        this.#output.say(printResult(request, this.#recipient(session, request)));
        break;
      case "data-line":
        this.#line(session, request);
        break;
      case "commit":
        this.#output.say(printResult(request, session?.transaction?.sealed === true ? null : tryAgain));
        break;
      default:
        this.#output.say(printResult(request, tryAgain));
    }
  }

  /** Null to accept. */
  #recipient(session: Session | undefined, request: FilterRequest): string | null {
    try {
      const transaction = session?.transaction;
      if (!transaction) return tryAgain;
      transaction.candidate = null;
      const address = request.parameter.toString("latin1");
      const accepted = [...transaction.recipients.values()].map(({ account }) => account);
      const question = { address, declaredBytes: transaction.declaredBytes, accepted };
      const knowledge = { accounts: this.#accounts.value, usage: this.#usage.value, now: Date.now() / 1000 };
      const admission = admit(question, knowledge, this.#config);
      if ("refusal" in admission) return admission.refusal;
      transaction.candidate = { account: admission.account, address };
      return null;
    } catch (error) {
      this.#log(`a recipient can't be judged: ${error instanceof Error ? error.message : String(error)}`);
      return tryAgain;
    }
  }

  #line(session: Session | undefined, request: FilterRequest): void {
    const transaction = session?.transaction ?? null;
    const last = request.parameter.length === 1 && request.parameter[0] === 46;
    if (!last) {
      if (transaction === null || transaction.sealed) return;
      transaction.message ??= new MessageStore(this.#budget, this.#config.maxMessageBytes + addedBytes);
      transaction.message.addLine(request.parameter);
      return;
    }
    this.#sealing = this.#sealing.then(() => this.#finish(session, transaction, request));
  }

  /** Hands over the sealed message, or as much of it as there came to be, and always the last dot. */
  async #finish(session: Session | undefined, transaction: Transaction | null, request: FilterRequest): Promise<void> {
    try {
      if (session && transaction && (await this.#sealInto(session, transaction, request))) transaction.sealed = true;
    } catch (error) {
      this.#log(
        `a message can't be sealed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    } finally {
      transaction?.message?.forget();
      if (transaction !== null) transaction.message = null;
      this.#output.say(printDataLines(request, ["."]));
    }
  }

  async #sealInto(session: Session, transaction: Transaction, request: FilterRequest): Promise<boolean> {
    const { message } = transaction;
    if (message === null || message.failed || transaction.recipients.size === 0) return false;
    const time = unixTime();
    this.#output.say(printDataLines(request, ENVELOPES_HEAD));
    for (const { account, addresses } of transaction.recipients.values()) {
      const plaintext = composeSealedMail(session.trace(this.#config.hostname, addresses, time), message.message);
      const envelope = makeEnvelope(account, seal(account.recipients(), plaintext));
      let lines: string[] = [];
      for (const line of envelopeLines(envelope)) {
        if (lines.push(line) < linesAtOnce) continue;
        this.#output.say(printDataLines(request, lines));
        lines = [];
        await this.#output.room();
        // The client has gone: nobody waits for the rest.
        if (session.transaction !== transaction) return false;
      }
      this.#output.say(printDataLines(request, lines));
    }
    this.#output.say(printDataLines(request, [ENVELOPES_END, ...ENVELOPES_PADDING]));
    await this.#output.room();
    return true;
  }
}
