/** What smtpd has told about one connection, and what follows from it for the trace. */

import type { Trace } from "#core/mail/sealed-mail.ts";
import type { ListedAccount } from "#core/recipients.ts";
import { declaredBytes, parseCommand } from "../command.ts";
import type { MessageStore } from "./message-store.ts";

/** One message: from MAIL to the answer after the last dot. */
export interface Transaction {
  sender: string;
  declaredBytes: number | null;
  /** ListedAccount name -> the account and the addresses that name it. */
  recipients: Map<string, { account: ListedAccount; addresses: string[] }>;
  /** Let through by us; smtpd has the last word on it. */
  candidate: { account: ListedAccount; address: string } | null;
  message: MessageStore | null;
  /** The container is out, whole: only then may smtpd commit. */
  sealed: boolean;
}

const maxTextCharacters = 1000;
const maxAddresses = 1000;

export class Session {
  #rdns = "";
  #ip = "";
  #helo = "";
  #extended = false;
  #tls = false;
  #declaredBytes: number | null = null;
  transaction: Transaction | null = null;

  /** `rdns|fcrdns|src|dest` of `link-connect`. */
  connected(rest: string): void {
    const [rdns = "", verified = "", source = ""] = rest.split("|");
    this.#rdns = verified === "pass" ? rdns.slice(0, maxTextCharacters) : "";
    this.#ip = source.startsWith("unix:") ? "" : source.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
  }

  /** `method|name` of `link-identify`. */
  identified(rest: string): void {
    const bar = rest.indexOf("|");
    this.#extended = rest.slice(0, bar) === "EHLO";
    this.#helo = rest.slice(bar + 1, bar + 1 + maxTextCharacters);
  }

  /** A command as the client, or the front, sent it. */
  commanded(line: string): void {
    if (/^noop shoal-tls /i.test(line)) this.#tls = true;
    const { verb, argument } = parseCommand(line);
    if (verb === "MAIL") {
      const bytes = declaredBytes(argument);
      this.#declaredBytes = bytes === "malformed" ? null : bytes;
    }
  }

  /** The sender was accepted. */
  begin(sender: string): Transaction {
    this.end();
    this.transaction = {
      sender: sender.slice(0, maxTextCharacters),
      declaredBytes: this.#declaredBytes,
      recipients: new Map(),
      candidate: null,
      message: null,
      sealed: false,
    };
    return this.transaction;
  }

  /** smtpd accepted `address`. */
  accepted(address: string): void {
    const transaction = this.transaction;
    const candidate = transaction?.candidate;
    if (!transaction || !candidate || candidate.address !== address) return;
    transaction.candidate = null;
    const { account } = candidate;
    const known = transaction.recipients.get(account.name);
    if (known === undefined) transaction.recipients.set(account.name, { account, addresses: [address] });
    else if (!known.addresses.includes(address) && known.addresses.length < maxAddresses) known.addresses.push(address);
  }

  /** Forgets the message, whatever became of it. */
  end(): void {
    this.transaction?.message?.forget();
    this.transaction = null;
  }

  trace(host: string, addresses: readonly string[], time: number): Trace {
    const protocol = this.#extended ? (this.#tls ? "ESMTPS" : "ESMTP") : "SMTP";
    return {
      sender: this.transaction?.sender ?? "",
      addresses,
      helo: this.#helo,
      rdns: this.#rdns,
      ip: this.#ip,
      host,
      protocol,
      time,
    };
  }
}
