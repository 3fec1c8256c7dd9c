/** One container to its accounts' fetch machines: all envelopes that the recipients need, or an error. */

import { FormatError, HostError } from "#core/errors.ts";
import { accountOf } from "#core/mail/address.ts";
import { type Envelope, parseEnvelopes } from "#core/mail/envelopes.ts";
import type { ListedAccount, Recipients } from "#core/recipients.ts";
import { unixTime } from "#host/clock.ts";
import type { KnownFile } from "../known-file.ts";
import type { FetchMachine } from "./fetch-machine.ts";
import type { Ledger } from "./ledger.ts";
import type { UsageKeeper } from "./usage-keeper.ts";

export interface DelivererOptions {
  accounts: KnownFile<Recipients>;
  machines: readonly FetchMachine[];
  usage: UsageKeeper;
  /** Null where mailboxes have no list. */
  ledger: Ledger | null;
  /** How long a lost connection is made again within one message. */
  patienceSeconds: number;
}

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #machines: ReadonlyMap<string, FetchMachine>;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#machines = new Map(options.machines.map((machine) => [machine.name, machine]));
  }

  /**
   * The account that an address means.
   * @throws HostError FILE when there is none, or when that can't be known now: smtpd is to come again
   */
  async account(address: string): Promise<ListedAccount> {
    await this.#options.accounts.refresh();
    const accounts = this.#options.accounts.value;
    if (accounts === null) throw new HostError("FILE", "the file of recipients can't be read");
    const account = accounts.byName.get(accountOf(address, accounts.domain) ?? "");
    if (account === undefined) throw new HostError("FILE", "a recipient has no account any more");
    return account;
  }

  /**
   * Resolves when the envelope of each account is durable on its machine and in its mailbox's list. All of them are tried, whatever becomes of
   * the others: a repeat has less left to do.
   * @throws what went wrong first
   */
  async deliver(message: Buffer, recipients: readonly ListedAccount[]): Promise<void> {
    const envelopes = new Map(parseEnvelopes(message).map((envelope) => [envelope.name, envelope]));
    const deadline = Date.now() + this.#options.patienceSeconds * 1000;
    const accounts = new Map(recipients.map((account) => [account.name, account]));
    const results = await Promise.allSettled(
      [...accounts.values()].map((account) => this.#deposit(account, envelopes.get(account.name), deadline)),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #deposit(account: ListedAccount, envelope: Envelope | undefined, deadline: number): Promise<void> {
    if (envelope === undefined) throw new FormatError("ENVELOPES", "the container holds nothing for a recipient");
    if (envelope.account !== account.account) {
      throw new FormatError("ENVELOPES", "the container holds a recipient's mail for another account");
    }
    const machine = this.#machines.get(account.fetch);
    if (machine === undefined) throw new HostError("FILE", `machine "${account.fetch}" is not known`);
    const { ledger, usage } = this.#options;
    // What is listed was deposited once, and must not come back if its owner has removed it since.
    const known = ledger?.isKnown(envelope, deadline) ?? Promise.resolve(false);
    // While the ledger looks the file is on its way; without a ledger nothing is begun.
    if (ledger?.isUp === false && (await known)) return;
    const result = await machine.deposit(envelope, deadline, known);
    if (result === "known") return;
    if (result === "added") usage.deposited(machine.name, account.name, envelope.file.length, unixTime());
    await ledger?.append(envelope, deadline);
  }
}
