/** SQLite files that a program keeps for itself: made when missing, refused when they are not what it made. */

import { DatabaseSync } from "node:sqlite";
import { FormatError, HostError } from "#core/errors.ts";

export interface DatabaseKind {
  /** What it is in messages, such as `a store of accounts`. */
  readonly what: string;
  /** Tells its files from any other program's (`PRAGMA application_id`). */
  readonly applicationId: number;
  readonly schemaVersion: number;
  /** Statements that make it. */
  readonly schema: string;
  /** Statements for each opening. */
  readonly settings?: string;
  /** Whether all of it is looked through when it is opened, which takes a second for a gigabyte or so. */
  readonly isCheckedWhole: boolean;
}

/** Results of SQLite that say that the file is not what we wrote: CORRUPT, FORMAT, NOTADB. */
const DAMAGED = new Set([11, 24, 26]);
const CANNOT_OPEN = 14;
const FULL = 13;

/**
 * Opens a database whose commits are durable when they return (one append and one fsync each); a missing one is made.
 * @throws FormatError STORE if it is damaged or not ours; HostError FILE, DISK
 */
export function openDatabase(path: string, kind: DatabaseKind, { readOnly = false } = {}): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 5000, readOnly });
    if (!readOnly) prepare(path, database, kind);
    check(path, database, kind);
    return database;
  } catch (error) {
    database?.close();
    throw databaseError(path, error);
  }
}

function prepare(
  path: string,
  database: DatabaseSync,
  { applicationId, schemaVersion, schema, settings }: DatabaseKind,
): void {
  // Readers don't wait for writers.
  database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; ${settings ?? ""}`);
  const isNew = numberOf(database, "SELECT count(*) FROM sqlite_schema") === 0;
  if (!isNew) return;
  if (numberOf(database, "PRAGMA application_id") !== 0) throw damaged(path, "it belongs to another program");
  database.exec(`BEGIN IMMEDIATE;
    ${schema}
    PRAGMA application_id=${applicationId};
    PRAGMA user_version=${schemaVersion};
    COMMIT`);
}

function check(path: string, database: DatabaseSync, kind: DatabaseKind): void {
  const isOurs =
    numberOf(database, "PRAGMA application_id") === kind.applicationId &&
    numberOf(database, "PRAGMA user_version") === kind.schemaVersion;
  if (!isOurs) throw damaged(path, `it is not ${kind.what}`);
  if (!kind.isCheckedWhole) return;
  const [answer] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
  if (answer !== "ok") throw damaged(path, String(answer));
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

/**
 * Runs it as one transaction: durable when this returns, and when it throws nothing has changed.
 * @throws as {@link databaseError}
 */
export function inTransaction(path: string, database: DatabaseSync, change: () => void): void {
  try {
    database.exec("BEGIN IMMEDIATE");
    try {
      change();
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  } catch (error) {
    throw databaseError(path, error);
  }
}

/** Bytes of a BLOB column. */
export function blobOf(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError("not a row of the store");
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function damaged(path: string, why: string, cause?: unknown): FormatError {
  return new FormatError("STORE", `"${path}" is damaged: ${why}`, { cause });
}

/**
 * SQLite's own errors, told apart by whether the file is wrong (FormatError STORE) or the machine (HostError FILE, DISK; FULL
 * when there is no room); anything else as it is.
 */
export function databaseError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  // Extended codes carry the plain one in their low byte.
  const code = Number(error.errcode) & 0xff;
  if (DAMAGED.has(code)) return damaged(path, error.message, error);
  const kind = code === CANNOT_OPEN ? "FILE" : code === FULL ? "FULL" : "DISK";
  return new HostError(kind, `"${path}": ${error.message}`, { cause: error });
}
