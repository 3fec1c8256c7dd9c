/** The records of a domain's accounts on disk, in SQLite: what ledger and every machine start from. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Accounts } from "#core/account/accounts.ts";
import type { Accepted } from "#core/account/chain.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError } from "#core/errors.ts";
import { blobOf, type DatabaseKind, databaseError, inTransaction, openDatabase } from "./database.ts";

/** One record of the directory (`account` null) or one version of an account. */
export interface StoredRecord extends Accepted {
  readonly account: string | null;
  readonly version: number;
}

const KIND: DatabaseKind = {
  what: "a store of accounts",
  // "shoa"
  applicationId: 0x73686f61,
  schemaVersion: 1,
  schema: `CREATE TABLE records (
      account TEXT NOT NULL,
      version INTEGER NOT NULL,
      accepted INTEGER NOT NULL,
      signed BLOB NOT NULL,
      PRIMARY KEY (account, version)
    ) STRICT;`,
  isCheckedWhole: true,
};
/** The directory's place in the column of account ids, before all of them. */
const DIRECTORY = "";

export class AccountStore {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #remove: StatementSync;
  readonly #versions: StatementSync;
  readonly #all: StatementSync;
  readonly #accounts: StatementSync;

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path;
    this.#database = database;
    this.#insert = database.prepare("INSERT INTO records (account, version, accepted, signed) VALUES (?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM records WHERE account = ? AND account <> ''");
    this.#versions = database.prepare(
      "SELECT account, version, accepted, signed FROM records WHERE account = ? AND version >= ? ORDER BY version LIMIT ?",
    );
    this.#accounts = database.prepare("SELECT DISTINCT account FROM records WHERE account <> '' ORDER BY account");
    this.#all = database.prepare("SELECT account, version, accepted, signed FROM records ORDER BY account, version");
  }

  /**
   * Opens a store and looks through it; a missing one is made.
   * @throws FormatError STORE if it is damaged or not ours; HostError FILE, DISK
   */
  static open(path: string, { readOnly = false } = {}): AccountStore {
    const database = openDatabase(path, KIND, { readOnly });
    try {
      return new AccountStore(path, database);
    } catch (error) {
      database.close();
      throw databaseError(path, error);
    }
  }

  /**
   * Adds records, all or none, and takes away all versions of removed accounts with them. Durable when it returns.
   * @throws HostError DISK, FULL; FormatError STORE
   */
  append(records: readonly StoredRecord[], removedAccounts: readonly string[] = []): void {
    inTransaction(this.#path, this.#database, () => {
      for (const { account, version, accepted, signed } of records) {
        this.#insert.run(account ?? DIRECTORY, version, accepted, signed);
      }
      for (const account of removedAccounts) this.#remove.run(account);
    });
  }

  /** Takes away all versions of an account; durable when it returns. */
  removeAccount(account: string): void {
    this.append([], [account]);
  }

  /** Records of the directory (null) or versions of an account from `first` on, in order; at most `limit`. */
  versions(account: string | null, first = 1, limit = -1): StoredRecord[] {
    return this.#guarded(() => this.#versions.all(account ?? DIRECTORY, first, limit).map((row) => recordOf(row)));
  }

  /** Ids of all accounts that have versions, sorted. */
  accounts(): string[] {
    return this.#guarded(() => this.#accounts.all().map((row) => String(row["account"])));
  }

  /** Everything: the directory first, then accounts by id, each in the order of versions. */
  *records(): Generator<StoredRecord> {
    const rows = this.#guarded(() => this.#all.iterate());
    for (;;) {
      const next = this.#guarded(() => rows.next());
      if (next.done === true) return;
      yield recordOf(next.value);
    }
  }

  /**
   * Verifies everything that is stored, step by step, into fresh accounts. Acceptances were judged by the clock when they
   * came: a machine that starts with a wrong clock still has its accounts.
   * @throws FormatError STORE that names the record
   */
  loadInto(accounts: Accounts): void {
    for (const { account, version, accepted, signed } of this.records()) {
      try {
        if (account === null) accounts.takeDirectory(signed, accepted, Number.MAX_SAFE_INTEGER);
        else accounts.takeState(parseProposal(signed), accepted, Number.MAX_SAFE_INTEGER);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const what = account === null ? "the directory" : `account "${account}"`;
        throw new FormatError("STORE", `"${this.#path}": version ${version} of ${what} does not verify: ${why}`, {
          cause,
        });
      }
    }
  }

  close(): void {
    this.#database.close();
  }

  #guarded<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw databaseError(this.#path, error);
    }
  }
}

function recordOf(row: Record<string, unknown>): StoredRecord {
  const { account, version, accepted, signed } = row;
  if (typeof account !== "string") throw new TypeError("not a row of the store");
  return {
    account: account === DIRECTORY ? null : account,
    version: Number(version),
    accepted: Number(accepted),
    signed: blobOf(signed),
  };
}
