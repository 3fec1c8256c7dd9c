/** Signed mailboxes: what `in` delivers is put into chains, and every `fetch` shows those of its accounts. */

import type { Server } from "node:net";
import type { Accounts } from "#core/account/accounts.ts";
import type { SignerList } from "#core/mailbox/signers.ts";
import { takeLock } from "#host/lock.ts";
import { linkOptions } from "#host/ssh.ts";
import { listenAt } from "#host/unix-socket.ts";
import type { MailboxesConfig } from "../config.ts";
import { serveAppends } from "./append-link.ts";
import { Appender, type Refusal } from "./appender.ts";
import { Mailboxes } from "./mailboxes.ts";
import { NamedStates } from "./named-states.ts";
import { Publisher, type PublisherStatus } from "./publisher.ts";
import { Readiness } from "./readiness.ts";
import { loadSignerKey, Signer, type SignerReport } from "./signer.ts";
import { MailboxStore } from "./store.ts";

const MAX_LISTED = 20;

export interface MailboxesStatus {
  /** Mailboxes that have a chain. */
  readonly mailboxes: number;
  readonly signer: Pick<SignerReport, "publicKey" | "listedUntil">;
  /** Ids of accounts whose chain this store has lost, up to 20, and how many there are. */
  readonly lost: readonly string[];
  readonly lostCount: number;
  readonly machines: readonly (PublisherStatus & { readonly machine: string })[];
}

export interface MailboxServiceOptions {
  readonly config: MailboxesConfig;
  readonly domain: string;
  readonly accounts: Accounts;
  /** Unix seconds. */
  readonly now: () => number;
  /** Version of an account that a machine has said it has. */
  readonly taken: (machine: string, account: string) => number;
  readonly log: (text: string) => void;
  readonly die: (error: unknown) => void;
}

export class MailboxService {
  readonly #options: MailboxServiceOptions;
  readonly #signer: Signer;
  readonly #mailboxes: Mailboxes;
  readonly #states: NamedStates;
  readonly #appender: Appender;
  readonly #readiness: Readiness;
  /** By the number that the directory gives a machine. */
  readonly #publishers = new Map<number, { readonly machine: string; readonly publisher: Publisher }>();
  /** Number of the machine that shows an account's mailbox. */
  readonly #places = new Map<string, number>();

  private constructor(options: MailboxServiceOptions, store: MailboxStore, signer: Signer) {
    const { config, domain, accounts, now, taken, log, die } = options;
    this.#options = options;
    this.#signer = signer;
    this.#mailboxes = new Mailboxes(store, now);
    this.#states = new NamedStates(accounts);
    this.#readiness = new Readiness((account) => this.#appender.settled(account));
    this.#appender = new Appender({
      mailboxes: this.#mailboxes,
      keepForSeconds: config.retentionDays * 86_400,
      readiness: (account) => this.#readinessOf(account),
      tell: (changed) => {
        for (const account of changed) this.#publisherOf(account)?.note(account);
      },
      die,
    });
    for (const machine of config.fetch) {
      const publisher = new Publisher({
        domain,
        target: linkOptions(machine),
        mailboxes: this.#mailboxes,
        signer,
        states: this.#states,
        readiness: this.#readiness,
        heartbeatSeconds: config.heartbeatSeconds,
        nameOf: (account) => this.#nameOf(account),
        takenBy: (account) => taken(machine.machine, account),
        operators: () => this.#operators,
        log: (text) => log(`${machine.machine}: ${text}`),
      });
      this.#publishers.set(machine.number, { machine: machine.machine, publisher });
    }
  }

  /** @throws FormatError STORE, KEY; HostError BUSY, FILE, DISK, EXEC */
  static async open(options: MailboxServiceOptions): Promise<MailboxService> {
    const { store: path, signer } = options.config;
    const lock = takeLock(`${path}.lock`, "shoal-ledger");
    process.once("exit", () => lock.release());
    const store = MailboxStore.open(path);
    const service = new MailboxService(options, store, new Signer(await loadSignerKey(signer), store, options.domain));
    service.#placeAll();
    return service;
  }

  /** Serves for ever. */
  async start(): Promise<Server> {
    const { config, die, log } = this.#options;
    for (const { publisher } of this.#publishers.values()) publisher.run().catch(die);
    const server = await listenAt(config.socket, (socket) => serveAppends(socket, this.#appender, log));
    server.on("error", die);
    return server;
  }

  /** Accounts have new states, or (null) the directory has a new record. */
  note(changed: readonly (string | null)[]): void {
    if (changed.includes(null)) this.#placeAll();
    for (const account of changed) {
      if (account === null) continue;
      this.#place(account);
      this.#publisherOf(account)?.note(account);
    }
  }

  /** A machine has said that it has an account's latest state. */
  noteTaken(machine: string, account: string): void {
    const place = this.#publishers.get(this.#places.get(account) ?? 0);
    if (place?.machine === machine) place.publisher.note(account);
  }

  get status(): MailboxesStatus {
    const { publicKey, listedUntil } = this.report();
    const { lost } = this.#readiness;
    return {
      mailboxes: this.#mailboxes.count,
      signer: { publicKey, listedUntil },
      lost: [...lost.keys()].slice(0, MAX_LISTED),
      lostCount: lost.size,
      machines: [...this.#publishers.values()].map(({ machine, publisher }) => ({ machine, ...publisher.status })),
    };
  }

  report(): SignerReport {
    return this.#signer.report(this.#operators);
  }

  /** Takes a list of signers, durably. @throws as {@link Signer.certify} */
  certify(signed: Buffer): SignerList {
    const list = this.#signer.certify(signed, this.#operators, this.#mailboxes.now());
    for (const { publisher } of this.#publishers.values()) publisher.noteAll();
    return list;
  }

  /** Takes all mailboxes that this store has lost as their machines show them. @returns how many it tries */
  adopt(): number {
    const accounts = this.#readiness.adoptLost();
    for (const account of accounts) this.#publisherOf(account)?.note(account);
    return accounts.length;
  }

  get #operators(): readonly string[] {
    return this.#options.accounts.directory.latest?.record.operators ?? [];
  }

  #nameOf(account: string): string | undefined {
    const entry = this.#options.accounts.directory.entryOf(account);
    return entry === undefined || entry.status === "removed" ? undefined : entry.name;
  }

  #publisherOf(account: string): Publisher | undefined {
    return this.#publishers.get(this.#places.get(account) ?? 0)?.publisher;
  }

  #placeAll(): void {
    const { accounts } = this.#options;
    for (const account of accounts.standings.keys()) this.#place(account);
    for (const account of this.#places.keys()) if (accounts.standing(account) === undefined) this.#place(account);
    // Of accounts that the directory does not know nothing is forgotten: it may be the directory that is incomplete.
    const isRemoved = (account: string): boolean => accounts.directory.entryOf(account)?.status === "removed";
    this.#mailboxes.remove([...this.#mailboxes.accounts()].filter(isRemoved));
  }

  #place(account: string): void {
    const { accounts } = this.#options;
    const entry = accounts.directory.entryOf(account);
    const isShown = entry !== undefined && entry.status !== "removed" && accounts.standing(account) !== undefined;
    const number = isShown ? entry.fetch : undefined;
    const before = this.#places.get(account);
    if (number === before) return;
    if (before !== undefined) this.#publishers.get(before)?.publisher.remove(account);
    if (number === undefined) {
      this.#places.delete(account);
      this.#readiness.forget(account);
      this.#states.forget(account);
      return;
    }
    this.#places.set(account, number);
    this.#publishers.get(number)?.publisher.add(account);
  }

  #readinessOf(account: string): "ready" | "wait" | Refusal {
    if (!this.#places.has(account)) {
      return { code: "UNKNOWN-ACCOUNT", text: `the directory names no account "${account}"` };
    }
    const why = this.#readiness.whyLost(account);
    if (why !== null) return { code: "LOST", text: why };
    if (this.#readiness.isReady(account)) return "ready";
    this.#publisherOf(account)?.note(account);
    return "wait";
  }
}
