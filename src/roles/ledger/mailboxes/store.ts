/**
 * Mailboxes on the ledger's disk, in SQLite (docs/formats/mailbox-ledger.md, "What the ledger keeps").
 *
 * The other candidate was an append-only file of lines, written through (O_DSYNC), with its index in memory. On the machine that
 * this was measured on (two cores, batches of 128, 1,000 mailboxes): lines 150,000 a second, SQLite 28,000, and 14,000 with
 * 700,000 entries kept; single ones 4,700 and 560. The file is faster than anything that could ask it. But its index holds every digest
 * that is kept: 100,000 mailboxes of 700 mails would be 10 GB of memory and minutes of reading at each start, and
 * it has to be rewritten to forget. Here a start reads one row for each mailbox, and what a batch costs does not grow with what is kept.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Entry } from "#core/mailbox/entry.ts";
import type { Mailbox } from "#core/mailbox/writer.ts";
import { blobOf, type DatabaseKind, databaseError, inTransaction, openDatabase } from "#host/database.ts";

const KIND: DatabaseKind = {
  what: "a store of mailboxes",
  // "shom"
  applicationId: 0x73686f6d,
  schemaVersion: 1,
  schema: `CREATE TABLE mailboxes (
      id INTEGER PRIMARY KEY,
      account TEXT NOT NULL UNIQUE,
      last INTEGER NOT NULL,
      last_hash BLOB NOT NULL,
      last_time INTEGER NOT NULL,
      base INTEGER NOT NULL,
      base_hash BLOB NOT NULL,
      dropped INTEGER NOT NULL,
      dropped_hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE entries (
      mailbox INTEGER NOT NULL,
      seq INTEGER NOT NULL,
      time INTEGER NOT NULL,
      expiry INTEGER NOT NULL,
      size INTEGER NOT NULL,
      digest BLOB NOT NULL,
      version INTEGER NOT NULL,
      PRIMARY KEY (mailbox, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX entries_by_digest ON entries (mailbox, digest);
    CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    INSERT INTO facts VALUES ('time', CAST('0' AS BLOB));`,
  // 16 MB between checkpoints: what is written again and again is moved once.
  settings: "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-65536",
  // Entries are checked against the chain whenever a file is made of them.
  isCheckedWhole: false,
};

/** A mailbox and its row. */
export interface StoredMailbox {
  readonly id: number;
  readonly mailbox: Mailbox;
}

export class MailboxStore {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #all: StatementSync;
  readonly #create: StatementSync;
  readonly #update: StatementSync;
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #page: StatementSync;
  readonly #forget: StatementSync;
  readonly #remove: StatementSync;
  readonly #fact: StatementSync;
  readonly #setFact: StatementSync;

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path;
    this.#database = database;
    this.#all = database.prepare("SELECT * FROM mailboxes");
    this.#create = database.prepare("INSERT INTO mailboxes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#update = database.prepare(
      "UPDATE mailboxes SET last = ?, last_hash = ?, last_time = ?, base = ?, base_hash = ?, dropped = ?, dropped_hash = ? WHERE id = ?",
    );
    this.#insert = database.prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#find = database.prepare("SELECT * FROM entries WHERE mailbox = ? AND digest = ?");
    this.#page = database.prepare(
      "SELECT * FROM entries WHERE mailbox = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
    );
    this.#forget = database.prepare("DELETE FROM entries WHERE mailbox = ? AND seq <= ?");
    this.#remove = database.prepare("DELETE FROM mailboxes WHERE id = ?");
    this.#fact = database.prepare("SELECT value FROM facts WHERE name = ?");
    this.#setFact = database.prepare("INSERT OR REPLACE INTO facts VALUES (?, ?)");
  }

  /** @throws FormatError STORE if it is damaged or not ours; HostError FILE, DISK */
  static open(path: string): MailboxStore {
    const database = openDatabase(path, KIND);
    try {
      return new MailboxStore(path, database);
    } catch (error) {
      database.close();
      throw databaseError(path, error);
    }
  }

  /** All mailboxes. */
  *mailboxes(): Generator<StoredMailbox> {
    const rows = this.#guarded(() => this.#all.iterate());
    for (;;) {
      const next = this.#guarded(() => rows.next());
      if (next.done === true) return;
      yield mailboxOf(next.value);
    }
  }

  /** Adds mailboxes; all or none, durable when it returns. @throws HostError DISK, FULL */
  create(mailboxes: readonly Mailbox[]): StoredMailbox[] {
    let created: StoredMailbox[] = [];
    this.#change(() => {
      created = mailboxes.map((mailbox) => this.#insertMailbox(mailbox));
    });
    return created;
  }

  /** Puts a mailbox with its entries in the place of another, or of none; durable when it returns. @throws HostError DISK, FULL */
  replace(id: number | null, mailbox: Mailbox, entries: readonly Entry[]): StoredMailbox {
    const created: StoredMailbox[] = [];
    this.#change(() => {
      if (id !== null) this.#removeMailbox(id);
      const stored = this.#insertMailbox(mailbox);
      for (const entry of entries) this.#insertEntry(stored.id, entry);
      created.push(stored);
    });
    const [stored] = created;
    if (stored === undefined) throw new RangeError("nothing was stored");
    return stored;
  }

  /** Adds entries, and sets the mailboxes that they change; all or nothing, durable when it returns. @throws HostError DISK, FULL */
  append(entries: readonly { readonly id: number; readonly entry: Entry }[], changed: Iterable<StoredMailbox>): void {
    this.#change(() => {
      for (const { id, entry } of entries) this.#insertEntry(id, entry);
      for (const { id, mailbox } of changed) this.#update.run(...columnsOf(mailbox), id);
    });
  }

  /** Sets a mailbox and forgets the entries that it has dropped; durable when it returns. @throws HostError DISK, FULL */
  prune({ id, mailbox }: StoredMailbox): void {
    this.#change(() => {
      this.#update.run(...columnsOf(mailbox), id);
      this.#forget.run(id, mailbox.dropped.seq);
    });
  }

  /** Forgets mailboxes and all their entries; durable when it returns. @throws HostError DISK, FULL */
  remove(ids: readonly number[]): void {
    this.#change(() => {
      for (const id of ids) this.#removeMailbox(id);
    });
  }

  /** The entry that is kept for a digest. */
  find(id: number, digest: string): Entry | undefined {
    const row = this.#guarded(() => this.#find.get(id, Buffer.from(digest, "hex")));
    return row === undefined ? undefined : entryOf(row);
  }

  /** Entries behind a number up to another, in order, at most `limit`. */
  entries(id: number, behind: number, upTo: number, limit: number): Entry[] {
    return this.#guarded(() => this.#page.all(id, behind, upTo, limit)).map(entryOf);
  }

  /** Time of the latest head, Unix seconds; 0 before the first. */
  get headTime(): number {
    return Number(this.#read("time")?.toString("latin1") ?? 0);
  }

  /** Durable when it returns. @throws HostError DISK, FULL */
  setHeadTime(time: number): void {
    this.#change(() => this.#setFact.run("time", Buffer.from(String(time))));
  }

  /** The signed list of signers; null before the first. */
  get signers(): Buffer | null {
    return this.#read("signers");
  }

  /** Durable when it returns. @throws HostError DISK, FULL */
  setSigners(signed: Buffer): void {
    this.#change(() => this.#setFact.run("signers", signed));
  }

  close(): void {
    this.#database.close();
  }

  #insertMailbox(mailbox: Mailbox): StoredMailbox {
    const id = Number(this.#create.run(mailbox.account, ...columnsOf(mailbox)).lastInsertRowid);
    return { id, mailbox };
  }

  #removeMailbox(id: number): void {
    this.#forget.run(id, Number.MAX_SAFE_INTEGER);
    this.#remove.run(id);
  }

  #insertEntry(id: number, { seq, time, expiry, size, digest, version }: Entry): void {
    this.#insert.run(id, seq, time, expiry, size, Buffer.from(digest, "hex"), version);
  }

  #read(name: string): Buffer | null {
    const row = this.#guarded(() => this.#fact.get(name));
    return row === undefined ? null : blobOf(row["value"]);
  }

  #change(change: () => void): void {
    inTransaction(this.#path, this.#database, change);
  }

  #guarded<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw databaseError(this.#path, error);
    }
  }
}

type Column = Buffer | number;

function columnsOf({ last, lastTime, base, dropped }: Mailbox): Column[] {
  const hash = (text: string): Buffer => Buffer.from(text, "hex");
  return [last.seq, hash(last.hash), lastTime, base.seq, hash(base.hash), dropped.seq, hash(dropped.hash)];
}

function mailboxOf(row: Record<string, unknown>): StoredMailbox {
  const point = (name: string): { seq: number; hash: string } => {
    return { seq: Number(row[name]), hash: blobOf(row[`${name}_hash`]).toString("hex") };
  };
  const points = { last: point("last"), base: point("base"), dropped: point("dropped") };
  const mailbox = { account: String(row["account"]), lastTime: Number(row["last_time"]), ...points };
  return { id: Number(row["id"]), mailbox };
}

function entryOf(row: Record<string, unknown>): Entry {
  return {
    seq: Number(row["seq"]),
    time: Number(row["time"]),
    expiry: Number(row["expiry"]),
    size: Number(row["size"]),
    digest: blobOf(row["digest"]).toString("hex"),
    version: Number(row["version"]),
  };
}
