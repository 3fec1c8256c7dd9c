/** The records of a domain's accounts on disk, in SQLite: what ledger and every machine start from. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Accounts } from "#core/account/accounts.ts";
import type { Accepted } from "#core/account/chain.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, HostError } from "#core/errors.ts";

/** One record of the directory (`account` null) or one version of an account. */
export interface StoredRecord extends Accepted {
  readonly account: string | null;
  readonly version: number;
}

/** "shoa": tells our files from any other program's (`PRAGMA application_id`). */
const APPLICATION_ID = 0x73686f61;
const SCHEMA_VERSION = 1;
/** The directory's place in the column of account ids, before all of them. */
const DIRECTORY = "";
/** Results of SQLite that say that the file is not what we wrote: CORRUPT, FORMAT, NOTADB. */
const DAMAGED = new Set([11, 24, 26]);

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
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { timeout: 5000, readOnly });
      if (!readOnly) prepare(path, database);
      checkWhole(path, database);
      return new AccountStore(path, database);
    } catch (error) {
      database?.close();
      throw storeError(path, error);
    }
  }

  /**
   * Adds records, all or none, and takes away all versions of removed accounts with them. Durable when it returns.
   * @throws HostError DISK; FormatError STORE
   */
  append(records: readonly StoredRecord[], removedAccounts: readonly string[] = []): void {
    this.#guarded(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        for (const { account, version, accepted, signed } of records) {
          this.#insert.run(account ?? DIRECTORY, version, accepted, signed);
        }
        for (const account of removedAccounts) this.#remove.run(account);
        this.#database.exec("COMMIT");
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
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
      throw storeError(this.#path, error);
    }
  }
}

function prepare(path: string, database: DatabaseSync): void {
  // A commit is one append and one fsync; readers (`dump`) don't wait for writers.
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  const isNew = numberOf(database, "SELECT count(*) FROM sqlite_schema") === 0;
  if (!isNew) return;
  if (numberOf(database, "PRAGMA application_id") !== 0) throw damaged(path, "it belongs to another program");
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE records (
      account TEXT NOT NULL,
      version INTEGER NOT NULL,
      accepted INTEGER NOT NULL,
      signed BLOB NOT NULL,
      PRIMARY KEY (account, version)
    ) STRICT;
    PRAGMA application_id=${APPLICATION_ID};
    PRAGMA user_version=${SCHEMA_VERSION};
    COMMIT`);
}

function checkWhole(path: string, database: DatabaseSync): void {
  const isOurs =
    numberOf(database, "PRAGMA application_id") === APPLICATION_ID &&
    numberOf(database, "PRAGMA user_version") === SCHEMA_VERSION;
  if (!isOurs) throw damaged(path, "it is not a store of accounts");
  const [answer] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
  if (answer !== "ok") throw damaged(path, String(answer));
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

function recordOf(row: Record<string, unknown>): StoredRecord {
  const { account, version, accepted, signed } = row;
  if (typeof account !== "string" || !(signed instanceof Uint8Array)) throw new TypeError("not a row of the store");
  return {
    account: account === DIRECTORY ? null : account,
    version: Number(version),
    accepted: Number(accepted),
    signed: Buffer.from(signed.buffer, signed.byteOffset, signed.byteLength),
  };
}

function damaged(path: string, why: string, cause?: unknown): FormatError {
  return new FormatError("STORE", `"${path}" is damaged: ${why}`, { cause });
}

/** SQLite's own errors, told apart by whether the file is wrong or the machine. */
function storeError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  // Extended codes carry the plain one in their low byte.
  if (DAMAGED.has(Number(error.errcode) & 0xff)) return damaged(path, error.message, error);
  const isOpening = (Number(error.errcode) & 0xff) === 14;
  return new HostError(isOpening ? "FILE" : "DISK", `"${path}": ${error.message}`, { cause: error });
}
