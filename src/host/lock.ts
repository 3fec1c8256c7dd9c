/** One process at a time. The kernel holds the lock and drops it when its holder dies, so there are no stale ones. */

import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";

export interface Lock {
  release(): void;
}

const SQLITE_BUSY = 5;

/**
 * Takes the lock that `path` (an empty file, made when missing) stands for, or fails at once. Node itself can't lock
 * files; the SQLite inside it does so with `fcntl`, and no database is ever written.
 * @param what names the work in the message, such as `"shoal sync" for profile "default"`
 * @throws HostError BUSY while another living process holds it
 */
export function takeLock(path: string, what: string): Lock {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new HostError("BUSY", `${what} is running already`, { hint: "wait until it is done" });
    }
    throw new HostError("FILE", `can't lock "${path}"`, { cause });
  }
  return { release: () => database.close() };
}

const RETRY_MILLISECONDS = 100;

/** As {@link takeLock}, and waits for whoever holds it, however long that takes. @throws HostError FILE */
export async function waitForLock(path: string): Promise<Lock> {
  for (;;) {
    try {
      return takeLock(path, "the same work");
    } catch (error) {
      if (!(error instanceof HostError && error.code === "BUSY")) throw error;
    }
    await sleep(RETRY_MILLISECONDS);
  }
}
