/**
 * What accounts have sent, so that a stolen key can't send without end; durable. Nobody is named in it: accounts and
 * recipients are keyed hashes, and rows go when they no longer count.
 */

import { createHmac } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";

export interface SendLimits {
  /** In any 24 hours. */
  readonly messagesPerDay: number;
  /** In any 24 hours; new is who was not written to in the 90 days before. */
  readonly newRecipientsPerDay: number;
}

export interface Allowance {
  readonly limit: number;
  readonly left: number;
  /** Unix seconds when more is allowed; null while something is left. */
  readonly next: number | null;
}

export interface Left {
  readonly messages: Allowance;
  readonly newRecipients: Allowance;
}

/** What was counted for one message. */
export interface Reservation {
  readonly message: number;
  /** Unix seconds. */
  readonly time: number;
  /** Rows as they were; `null` for those that were not there. */
  readonly before: readonly {
    readonly recipient: Buffer;
    readonly since: number | null;
    readonly last: number | null;
  }[];
}

interface Waiting {
  readonly account: string;
  readonly recipients: readonly string[];
  readonly now: number;
  readonly resolve: (reservation: Reservation) => void;
  readonly reject: (error: unknown) => void;
}

const DAY_SECONDS = 86_400;
const NEW_AFTER_SECONDS = 90 * DAY_SECONDS;
/** "shol": tells this file from any other program's (`PRAGMA application_id`). */
const APPLICATION_ID = 0x73686f6c;
const SCHEMA_VERSION = 1;
const HASH_BYTES = 16;
/** Results of SQLite that say that the file is not what we wrote: CORRUPT, FORMAT, NOTADB. */
const DAMAGED = new Set([11, 24, 26]);

export class LimitStore {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #key: Buffer;
  readonly #limits: SendLimits;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;
  readonly #waiting: Waiting[] = [];

  private constructor(path: string, database: DatabaseSync, secret: Uint8Array, limits: SendLimits) {
    this.#path = path;
    this.#database = database;
    this.#key = createHmac("sha256", secret).update("shoal-submit limits/v1").digest();
    this.#limits = limits;
    const prepare = (name: keyof typeof SQL): StatementSync => database.prepare(SQL[name]);
    this.#statements = {
      addMessage: prepare("addMessage"),
      countMessages: prepare("countMessages"),
      countNew: prepare("countNew"),
      dropMessage: prepare("dropMessage"),
      dropRecipient: prepare("dropRecipient"),
      oldestMessage: prepare("oldestMessage"),
      oldestNew: prepare("oldestNew"),
      pruneMessages: prepare("pruneMessages"),
      pruneRecipients: prepare("pruneRecipients"),
      recipient: prepare("recipient"),
      setRecipient: prepare("setRecipient"),
    };
  }

  /**
   * Opens a store; a missing one is made.
   * @param secret 32 bytes: with others, nobody is known any more
   * @throws FormatError STORE if it is damaged or not ours; HostError FILE, DISK
   */
  static open(path: string, secret: Uint8Array, limits: SendLimits): LimitStore {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { timeout: 5000 });
      prepareFile(path, database);
      return new LimitStore(path, database, secret, limits);
    } catch (error) {
      database?.close();
      throw storeError(path, error);
    }
  }

  /**
   * Counts a message before it is sent; durable when it resolves. All who ask in the same moment share one write.
   * @param recipients each once, without those that are never new
   * @param now Unix seconds
   * @throws PolicyError TOO-MANY if it can never be sent, PACE if not now; HostError DISK
   */
  async reserve(account: string, recipients: readonly string[], now: number): Promise<Reservation> {
    return await new Promise((resolve, reject) => {
      if (this.#waiting.push({ account, recipients, now, resolve, reject }) === 1) setImmediate(() => this.#flush());
    });
  }

  /** Takes back what was counted for a message that smtpd did not take. @throws HostError DISK */
  refund({ message, time, before }: Reservation): void {
    const { dropMessage, dropRecipient, setRecipient, recipient: find } = this.#statements;
    this.#inTransaction(() => {
      const account = dropMessage.get(message)?.["account"];
      if (!(account instanceof Uint8Array)) return;
      for (const { recipient, since, last } of before) {
        // Another message went there since.
        if (Number(find.get(recipient)?.["last"]) !== time) continue;
        if (since === null || last === null) dropRecipient.run(recipient);
        else setRecipient.run(recipient, account, since, last);
      }
    });
  }

  /** What the account may still send. @throws HostError DISK */
  left(account: string, now: number): Left {
    return this.#guarded(() => this.#left(this.#hash("account", account), now));
  }

  /** Forgets what no longer counts, and what a clock that was wrong has left in the future. @throws HostError DISK */
  prune(now: number): void {
    this.#inTransaction(() => {
      this.#statements.pruneMessages.run(now - DAY_SECONDS, now + DAY_SECONDS);
      this.#statements.pruneRecipients.run(now - NEW_AFTER_SECONDS, now + DAY_SECONDS);
    });
  }

  close(): void {
    this.#database.close();
  }

  #flush(): void {
    const waiting = this.#waiting.splice(0);
    const settled: (() => void)[] = [];
    try {
      this.#inTransaction(() => {
        for (const { resolve, reject, ...request } of waiting) {
          const result = this.#count(request);
          settled.push(result instanceof PolicyError ? () => reject(result) : () => resolve(result));
        }
      });
    } catch (error) {
      for (const { reject } of waiting) reject(error);
      return;
    }
    for (const settle of settled) settle();
  }

  #count({ account, recipients, now }: Omit<Waiting, "reject" | "resolve">): PolicyError | Reservation {
    const { recipient: find, addMessage, setRecipient } = this.#statements;
    const owner = this.#hash("account", account);
    const rows = recipients.map((address) => {
      const recipient = this.#hash("recipient", account, address.toLowerCase());
      const row = find.get(recipient);
      return {
        recipient,
        since: row === undefined ? null : Number(row["since"]),
        last: row === undefined ? null : Number(row["last"]),
      };
    });
    const isNew = (last: number | null): boolean => last === null || last <= now - NEW_AFTER_SECONDS;
    const fresh = rows.filter(({ last }) => isNew(last)).length;
    const refusal = refusalOf(this.#left(owner, now), fresh);
    if (refusal !== null) return refusal;
    const message = Number(addMessage.run(owner, now).lastInsertRowid);
    for (const { recipient, since, last } of rows) {
      setRecipient.run(recipient, owner, isNew(last) || since === null ? now : since, Math.max(now, last ?? now));
    }
    return { message, time: now, before: rows };
  }

  #left(owner: Buffer, now: number): Left {
    const { countMessages, countNew, oldestMessage, oldestNew } = this.#statements;
    const { messagesPerDay, newRecipientsPerDay } = this.#limits;
    const from = now - DAY_SECONDS;
    const allowance = (limit: number, count: StatementSync, oldest: StatementSync): Allowance => {
      const used = Number(count.get(owner, from)?.["used"] ?? 0);
      if (used < limit) return { limit, left: limit - used, next: null };
      return { limit, left: 0, next: Number(oldest.get(owner, from, used - limit)?.["time"] ?? now) + DAY_SECONDS };
    };
    return {
      messages: allowance(messagesPerDay, countMessages, oldestMessage),
      newRecipients: allowance(newRecipientsPerDay, countNew, oldestNew),
    };
  }

  #hash(...parts: string[]): Buffer {
    return createHmac("sha256", this.#key).update(parts.join("\0")).digest().subarray(0, HASH_BYTES);
  }

  #inTransaction(action: () => void): void {
    this.#guarded(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        action();
        this.#database.exec("COMMIT");
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  #guarded<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }
}

const SQL = {
  addMessage: "INSERT INTO messages (account, time) VALUES (?, ?)",
  countMessages: "SELECT count(*) AS used FROM messages WHERE account = ? AND time > ?",
  countNew: "SELECT count(*) AS used FROM recipients WHERE account = ? AND since > ?",
  dropMessage: "DELETE FROM messages WHERE id = ? RETURNING account",
  dropRecipient: "DELETE FROM recipients WHERE recipient = ?",
  oldestMessage: "SELECT time FROM messages WHERE account = ? AND time > ? ORDER BY time LIMIT 1 OFFSET ?",
  oldestNew: "SELECT since AS time FROM recipients WHERE account = ? AND since > ? ORDER BY since LIMIT 1 OFFSET ?",
  pruneMessages: "DELETE FROM messages WHERE time <= ? OR time > ?",
  pruneRecipients: "DELETE FROM recipients WHERE last <= ? OR since > ?",
  recipient: "SELECT since, last FROM recipients WHERE recipient = ?",
  setRecipient: "INSERT OR REPLACE INTO recipients (recipient, account, since, last) VALUES (?, ?, ?, ?)",
} as const;

function refusalOf({ messages, newRecipients }: Left, fresh: number): PolicyError | null {
  if (fresh > newRecipients.limit) {
    return new PolicyError("TOO-MANY", `${fresh} new recipients: expected at most ${newRecipients.limit} in a day`, {
      hint: "send it in parts, on several days",
    });
  }
  if (messages.left === 0) {
    const text = `${messages.limit} messages were sent in 24 hours: expected no more than that`;
    return new PolicyError("PACE", text, { hint: `the next one can go ${printTime(messages.next)}` });
  }
  if (fresh <= newRecipients.left) return null;
  const text = `${fresh} recipients that you have not written to before: expected at most ${newRecipients.left} more now`;
  const hint =
    newRecipients.next === null
      ? 'the command "limits" shows what is left'
      : `more can go ${printTime(newRecipients.next)}`;
  return new PolicyError("PACE", text, { hint });
}

/** `after 2027-01-15 08:00 UTC` */
function printTime(unixSeconds: number | null): string {
  if (unixSeconds === null) return "now";
  return `after ${new Date(unixSeconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function prepareFile(path: string, database: DatabaseSync): void {
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON");
  if (numberOf(database, "SELECT count(*) FROM sqlite_schema") === 0) {
    if (numberOf(database, "PRAGMA application_id") !== 0) throw damaged(path, "it belongs to another program");
    database.exec(`BEGIN IMMEDIATE;
      CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL, time INTEGER NOT NULL) STRICT;
      CREATE INDEX messages_of ON messages (account, time);
      CREATE TABLE recipients (
        recipient BLOB PRIMARY KEY,
        account BLOB NOT NULL,
        since INTEGER NOT NULL,
        last INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX recipients_of ON recipients (account, since);
      PRAGMA application_id=${APPLICATION_ID};
      PRAGMA user_version=${SCHEMA_VERSION};
      COMMIT`);
  }
  const isOurs =
    numberOf(database, "PRAGMA application_id") === APPLICATION_ID &&
    numberOf(database, "PRAGMA user_version") === SCHEMA_VERSION;
  if (!isOurs) throw damaged(path, "it is not a store of limits");
  const [answer] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
  if (answer !== "ok") throw damaged(path, String(answer));
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

function damaged(path: string, why: string, cause?: unknown): FormatError {
  return new FormatError("STORE", `"${path}" is damaged: ${why}`, { cause });
}

/** SQLite's own errors, told apart by whether the file is wrong or the machine. */
function storeError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  // Extended codes carry the plain one in their low byte.
  if (DAMAGED.has(Number(error.errcode) & 0xff)) return damaged(path, error.message, error);
  return new HostError((Number(error.errcode) & 0xff) === 14 ? "FILE" : "DISK", `"${path}": ${error.message}`, {
    cause: error,
  });
}
