/** What `in` has of accounts: whom mail can come for, in one file (docs/formats/recipients.md). */

import type { Accounts } from "#core/account/accounts.ts";
import { sealKeys } from "#core/account/derive.ts";
import type { DirectoryEntry } from "#core/account/directory.ts";
import { printRecipients, type RecipientEntry } from "#core/recipients.ts";
import { replaceInMemory } from "#host/files.ts";
import type { InConfig } from "./config.ts";
import type { Derived } from "./derived.ts";

const NONE: ReadonlySet<string> = new Set();

export class RecipientsFile implements Derived {
  readonly #accounts: Accounts;
  readonly #config: InConfig;
  readonly #log: (text: string) => void;

  constructor(accounts: Accounts, config: InConfig, log: (text: string) => void) {
    this.#accounts = accounts;
    this.#config = config;
    this.#log = log;
  }

  async all(): Promise<void> {
    const { directory } = this.#accounts;
    const listed = [...directory.entries.values()].filter(({ status }) => status !== "removed");
    const text = printRecipients(
      directory.domain,
      listed.map((entry) => this.#recipientOf(entry)),
    );
    await replaceInMemory(this.#config.recipientsFile, text, 0o644);
  }

  async some(): Promise<void> {
    await this.all();
  }

  dueAt(): ReadonlySet<string> {
    return NONE;
  }

  #recipientOf({ name, account, status, quotaBytes, fetch }: DirectoryEntry): RecipientEntry {
    const machine = this.#config.fetch[String(fetch)];
    if (machine === undefined) this.#log(`there is no fetch machine ${fetch}: no mail is taken for one account`);
    const standing = status === "active" && machine !== undefined ? this.#accounts.standing(account) : undefined;
    return {
      name,
      account,
      version: standing?.state.version ?? 0,
      quotaBytes,
      // Without seal keys nothing goes there.
      fetch: machine ?? Object.values(this.#config.fetch)[0] ?? "fetch",
      seal: standing === undefined ? [] : sealKeys(standing),
    };
  }
}
