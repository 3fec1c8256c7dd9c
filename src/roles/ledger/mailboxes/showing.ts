/** What one connection to a `fetch` machine shows of mailboxes: each is looked at first, then written, one state at a time. */

import { randomBytes } from "node:crypto";
import { type NamedState, signHead } from "#core/mailbox/head.ts";
import { headOf } from "#core/mailbox/writer.ts";
import { readForAdoption } from "./adoption.ts";
import { look } from "./look.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { NamedStates } from "./named-states.ts";
import { type LedgerSftp, publish, type Written } from "./publication.ts";
import type { Readiness } from "./readiness.ts";
import type { Signer } from "./signer.ts";

export interface ShowingOptions {
  readonly domain: string;
  readonly mailboxes: Mailboxes;
  readonly signer: Signer;
  readonly states: NamedStates;
  readonly readiness: Readiness;
  /** Between two heads of a mailbox; each says that the next one comes within twice that time. */
  readonly heartbeatSeconds: number;
  /** Name of an account's folder; undefined once it is removed. */
  readonly nameOf: (account: string) => string | undefined;
  /** Version of the account that the machine has said it has. */
  readonly takenBy: (account: string) => number;
  /** Keys of the directory's operators. */
  readonly operators: () => readonly string[];
}

/** Not now, and nothing has failed. */
export class Held extends Error {}

export class Showing {
  readonly #options: ShowingOptions;
  readonly #sftp: LedgerSftp;
  /** No other connection makes files with it in their names. */
  readonly #mark = randomBytes(4).toString("hex");
  readonly #written = new Map<string, Written>();

  constructor(options: ShowingOptions, sftp: LedgerSftp) {
    this.#options = options;
    this.#sftp = sftp;
  }

  /**
   * Writes what is new of a mailbox, and its head. Not to be called for a mailbox before the call before has ended.
   * @throws Held; SftpStatusError; FormatError STORE; HostError FULL and others of our own disk; what the connection fails with
   */
  async show(account: string): Promise<void> {
    try {
      await this.#show(account);
    } catch (error) {
      // Nobody knows what lies there.
      this.#written.delete(account);
      throw error;
    }
  }

  async #show(account: string): Promise<void> {
    const { mailboxes, signer, states, domain, heartbeatSeconds } = this.#options;
    const name = this.#options.nameOf(account);
    if (name === undefined) return;
    const folder = `/${name}/ledger`;
    await this.#look(folder, account);
    const before = this.#written.get(account) ?? null;
    if (before !== null && before.base === mailboxes.get(account)?.base.seq) mailboxes.prune(account);
    const mailbox = mailboxes.get(account);
    const list = signer.current;
    const now = mailboxes.now();
    if (mailbox === undefined) throw new Held("it was removed");
    if (list === null || !signer.maySign(now)) throw new Held("the operator has not listed this ledger's key");
    this.#stateOf(account, now);
    const head = (): Buffer => {
      const time = mailboxes.stamp();
      const state = this.#stateOf(account, time);
      states.note(account, state);
      return signHead(headOf(mailbox, domain, state, time, 2 * heartbeatSeconds), signer.key);
    };
    const { signed: signers } = list;
    const publication = {
      sftp: this.#sftp,
      mark: this.#mark,
      folder,
      mailboxes,
      mailbox,
      signers,
      written: before,
      head,
    };
    this.#written.set(account, await publish(publication));
  }

  #stateOf(account: string, now: number): NamedState {
    const { states, takenBy } = this.#options;
    const state = states.nameable(account, takenBy(account), now);
    if (state === null) throw new Held("the machine has not taken the account's latest state yet");
    return state;
  }

  async #look(folder: string, account: string): Promise<void> {
    const { mailboxes, signer, states, readiness, domain, operators } = this.#options;
    const why = readiness.whyLost(account);
    if (why !== null) throw new Held(why);
    if (readiness.isReady(account)) return;
    const seen = readiness.mayAdopt(account)
      ? await readForAdoption(this.#sftp, folder, account, domain, operators())
      : await look(this.#sftp, folder, mailboxes.get(account), domain, signer.current?.list ?? null);
    if (seen.kind === "lost") {
      readiness.setLost(account, seen.why);
      throw new Held(seen.why);
    }
    if (seen.kind === "new") await mailboxes.create(account);
    if (seen.kind === "adopted") mailboxes.adopt(seen.mailbox, seen.entries);
    if (seen.kind !== "new" && seen.head !== null) {
      mailboxes.raise(seen.head.time);
      states.note(account, seen.head.state);
    }
    readiness.setReady(account);
  }
}
