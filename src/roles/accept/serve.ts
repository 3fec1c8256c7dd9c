/** shoal-accept at work: what is stored becomes files, then the ledger is listened to. */

import { existsSync, renameSync, rmSync } from "node:fs";
import { Accounts } from "#core/account/accounts.ts";
import { fromLedger } from "#core/account/feed.ts";
import { FormatError } from "#core/errors.ts";
import { AccountStore } from "#host/account-store.ts";
import { unixTime } from "#host/clock.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import { takeLock } from "#host/lock.ts";
import { listenAt } from "#host/unix-socket.ts";
import type { AcceptConfig } from "./config.ts";
import type { Derived } from "./derived.ts";
import { fetchPlace } from "./fetch-place.ts";
import { Follower } from "./follower.ts";
import { keysPlace } from "./keys-place.ts";
import { Logins, type Place } from "./logins.ts";
import { outPlace } from "./out-place.ts";
import { RecipientsFile } from "./recipients-file.ts";
import { SessionEnder } from "./sessions.ts";

/**
 * Serves for ever.
 * @param log gets lines for people
 * @param die called for what only a new start can help against
 * @throws HostError BUSY, FILE, DISK; PolicyError USAGE
 */
export async function serve(
  config: AcceptConfig,
  log: (text: string) => void,
  die: (error: unknown) => void,
): Promise<void> {
  const lock = takeLock(`${config.store}.lock`, "shoal-accept");
  // Whom nobody refers to would be collected, and the lock with it.
  process.once("exit", () => lock.release());
  const { accounts, store } = load(config, log);
  const now = unixTime;
  const derived = derivedOf(config, { accounts, store, now, log });
  const follower = new Follower({ accounts, store, derived, now, log, die });
  await follower.start();
  const server = await listenAt(config.socket, (socket) => {
    const streams = { readable: socket, writable: socket, destroy: () => socket.destroy() };
    follower.serve(new FeedConnection(streams, fromLedger())).catch(die);
  });
  server.on("error", die);
  setInterval(() => void follower.renew().catch(die), 1000);
  log(
    `ready: ${accounts.standings.size} accounts, directory version ${accounts.directory.latest?.record.version ?? 0}`,
  );
}

function derivedOf(
  { serves, etc, proc }: AcceptConfig,
  known: { accounts: Accounts; store: AccountStore; now: () => number; log: (text: string) => void },
): Derived {
  if (serves.role === "in") return new RecipientsFile(known.accounts, serves, known.log);
  const places = (): Place => {
    if (serves.role === "fetch") return fetchPlace(serves, etc);
    return serves.role === "out" ? outPlace(serves) : keysPlace(serves, etc, known.log);
  };
  const place = places();
  return new Logins({ ...known, place, etc, sessions: new SessionEnder(proc, known.log) });
}

/** A store that can't be believed is set aside: the ledger has everything, and what it says is verified again. */
function load(config: AcceptConfig, log: (text: string) => void): { accounts: Accounts; store: AccountStore } {
  try {
    return open(config);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    log(`${error.message}; it is kept as "${config.store}.damaged", and everything is asked for anew`);
    // SQLite finds what it had not merged yet by this name.
    for (const file of ["", "-wal"]) {
      rmSync(`${config.store}.damaged${file}`, { force: true });
      if (existsSync(`${config.store}${file}`)) renameSync(`${config.store}${file}`, `${config.store}.damaged${file}`);
    }
    rmSync(`${config.store}-shm`, { force: true });
    return open(config);
  }
}

function open({ store: path, domain, directory }: AcceptConfig): { accounts: Accounts; store: AccountStore } {
  const store = AccountStore.open(path);
  try {
    const accounts = new Accounts(domain, directory);
    store.loadInto(accounts);
    return { accounts, store };
  } catch (error) {
    store.close();
    throw error;
  }
}
