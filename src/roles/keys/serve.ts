/** shoal-keys at work: the accounts' folders are watched, the ledger is asked. */

import { type FSWatcher, watch } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { fromJudge } from "#core/account/feed.ts";
import { accountNameMistake } from "#core/account/names.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import { listenAt } from "#host/unix-socket.ts";
import type { KeysConfig } from "./config.ts";
import { type Desk, Drawer } from "./drawer.ts";
import { LedgerLine } from "./ledger-line.ts";
import { Turns } from "./turns.ts";

/** Between two looks at everything, for what watching misses. */
const SWEEP_MILLISECONDS = 3000;
const READING_AT_ONCE = 4;
const ASKING_AT_ONCE = 32;
/** Accounts between two turns of everything else. */
const AT_ONCE = 200;

/**
 * Serves for ever.
 * @param log gets lines for people
 * @param die called for what only a new start can help against
 */
export async function serve(
  { folder, socket }: KeysConfig,
  log: (text: string) => void,
  die: (error: unknown) => void,
): Promise<void> {
  const ledger = new LedgerLine((text) => log(`ledger: ${text}`));
  const desk: Desk = { ledger, reading: new Turns(READING_AT_ONCE), asking: new Turns(ASKING_AT_ONCE), log };
  const server = await listenAt(socket, (connected) => {
    const streams = { readable: connected, writable: connected, destroy: () => connected.destroy() };
    ledger.serve(new FeedConnection(streams, fromJudge())).catch(die);
  });
  server.on("error", die);
  const room = new Room(folder, desk);
  await room.sweep();
  log(`ready: ${room.size} accounts`);
  for (;;) {
    await Promise.race([sleep(SWEEP_MILLISECONDS), room.someoneNew()]);
    await room.sweep();
  }
}

/** All accounts' drawers. */
class Room {
  readonly #folder: string;
  readonly #desk: Desk;
  readonly #drawers = new Map<string, { drawer: Drawer; watcher: FSWatcher | null }>();
  #canWatch = true;
  #wake: (() => void) | null = null;

  constructor(folder: string, desk: Desk) {
    this.#folder = folder;
    this.#desk = desk;
    const watcher = watch(folder, () => this.#wake?.());
    watcher.on("error", (error) => desk.log(`"${folder}" is not watched: ${error.message}`));
  }

  get size(): number {
    return this.#drawers.size;
  }

  /** Settles a moment after an account has come or gone. */
  async someoneNew(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    // Its files are made behind it.
    await sleep(200);
  }

  /** Opens and closes drawers as accounts come and go, and looks into all. */
  async sweep(): Promise<void> {
    const names = new Set((await readdir(this.#folder)).filter((name) => accountNameMistake(name) === null));
    for (const [name, { drawer, watcher }] of this.#drawers) {
      if (names.has(name)) continue;
      drawer.close();
      watcher?.close();
      this.#drawers.delete(name);
    }
    let done = 0;
    for (const name of names) {
      const known = this.#drawers.get(name) ?? this.#open(name);
      known.watcher ??= this.#watch(name, known.drawer);
      known.drawer.poke();
      if (++done % AT_ONCE === 0) await nextTurn();
    }
  }

  #open(name: string): { drawer: Drawer; watcher: FSWatcher | null } {
    const opened = { drawer: new Drawer(name, join(this.#folder, name), this.#desk), watcher: null };
    this.#drawers.set(name, opened);
    return opened;
  }

  /** Null while there is nothing to watch, and when the system watches no more files: sweeping does, only slower. */
  #watch(name: string, drawer: Drawer): FSWatcher | null {
    if (!this.#canWatch) return null;
    try {
      const watcher = watch(join(this.#folder, name, "proposal"), () => drawer.poke());
      watcher.on("error", (error) => this.#desk.log(`${name} is not watched: ${error.message}`));
      return watcher;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "ENOSPC" || code === "EMFILE") {
        this.#canWatch = false;
        this.#desk.log(`not all accounts can be watched, answers will take longer: ${message}`);
      }
      return null;
    }
  }
}
