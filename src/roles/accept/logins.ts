/**
 * What machines have of accounts that are logged into: a Unix user, folders, the chain of its states to read, and the keys
 * that open it. A key is written last.
 */

import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Accounts } from "#core/account/accounts.ts";
import { printChain } from "#core/account/chain.ts";
import type { DirectoryEntry } from "#core/account/directory.ts";
import { accountNameMistake } from "#core/account/names.ts";
import type { Standing } from "#core/account/step.ts";
import { PolicyError } from "#core/errors.ts";
import type { AccountStore } from "#host/account-store.ts";
import { type DerivedAccess, replaceDerived } from "#host/files.ts";
import type { Derived } from "./derived.ts";
import type { SessionEnder } from "./sessions.ts";
import { accountUsers, FIRST_UID, systemNames, type UserFiles, withAccounts } from "./unix-users.ts";

const ROOT = { uid: 0, gid: 0 } as const;
/** Accounts between two looks at the connection. */
const AT_ONCE = 100;

/** How one role differs from another. */
export interface Place {
  /** Login shell of accounts; default: none that runs anything. */
  readonly shell?: string;
  /** The group that all accounts have as their first; default: each has its own. */
  readonly gid?: number;
  /** Whether an account is of this machine. */
  has(entry: DirectoryEntry): boolean;
  /** Lines of `authorized_keys` at a time, and when they change by themselves (Unix seconds, null for never). */
  keys(entry: DirectoryEntry, standing: Standing, now: number): { lines: string[]; until: number | null };
  /** Makes the folders of an account, or makes them right. */
  makeFolders(name: string, uid: number): void;
  /** Where its chain is shown, null for nowhere; the folder is made by {@link makeFolders}. */
  chainFile(name: string): string | null;
  /** Takes away what a removed account has here. */
  remove(name: string): void;
}

export interface LoginsOptions {
  readonly accounts: Accounts;
  readonly store: AccountStore;
  readonly place: Place;
  /** `/etc` */
  readonly etc: string;
  readonly sessions: SessionEnder;
  /** Unix seconds. */
  readonly now: () => number;
  readonly log: (text: string) => void;
}

export class Logins implements Derived {
  readonly #options: LoginsOptions;
  readonly #keysFolder: string;
  readonly #system: ReadonlySet<string>;
  /** Names that have a user here. */
  #users: ReadonlySet<string> = new Set();
  /** Names whose folders were made, or made right, since this started; nobody but root can change them. */
  readonly #placed = new Set<string>();
  /** Name -> when its keys change by themselves. */
  readonly #until = new Map<string, number>();

  /** @throws PolicyError USAGE when the machine's users can't be made by whom this runs as */
  constructor(options: LoginsOptions) {
    if (process.geteuid?.() !== 0) {
      throw new PolicyError("USAGE", "expected to run as root: this role makes users and gives them folders");
    }
    this.#options = options;
    this.#keysFolder = join(options.etc, "ssh/authorized_keys");
    this.#system = systemNames(readUserFiles(options.etc));
  }

  async all(): Promise<void> {
    const { directory } = this.#options.accounts;
    const lost = this.#writeUsers();
    const others = readdirSync(this.#keysFolder).filter((name) => !this.#users.has(name));
    for (const name of others) if (this.#isAccounts(name)) this.#takeAway(name, lost);
    const names = [...directory.entries.keys()];
    for (let at = 0; at < names.length; at += AT_ONCE) {
      for (const name of names.slice(at, at + AT_ONCE)) this.#derive(name, lost);
      await nextTurn();
    }
    this.#options.sessions.end(lost);
  }

  async some(names: ReadonlySet<string>): Promise<void> {
    const { directory } = this.#options.accounts;
    const isOther = (name: string): boolean => this.#isHere(directory.entries.get(name)) !== this.#users.has(name);
    const lost = [...names].some(isOther) ? this.#writeUsers() : new Set<number>();
    let done = 0;
    for (const name of names) {
      this.#derive(name, lost);
      if (++done % AT_ONCE === 0) await nextTurn();
    }
    this.#options.sessions.end(lost);
  }

  dueAt(now: number): ReadonlySet<string> {
    return new Set([...this.#until].filter(([, until]) => until <= now).map(([name]) => name));
  }

  #isHere(entry: DirectoryEntry | undefined): boolean {
    return (
      entry !== undefined &&
      entry.status !== "removed" &&
      this.#options.place.has(entry) &&
      !this.#system.has(entry.name)
    );
  }

  /** Files of names that are neither the machine's own nor impossible. */
  #isAccounts(name: string): boolean {
    return !this.#system.has(name) && (accountNameMistake(name) === null || /^\..*\.new$/.test(name));
  }

  /** @returns ids of users that are no more */
  #writeUsers(): Set<number> {
    const { etc, accounts, log, place } = this.#options;
    const here = [...accounts.directory.entries.values()].filter((entry) => this.#isHere(entry));
    for (const { name } of accounts.directory.entries.values()) {
      if (this.#system.has(name)) log(`"${name}" is a user of this machine: the account gets none`);
    }
    const old = readUserFiles(etc);
    const files = withAccounts(
      old,
      here.map(({ name, ordinal }) => ({ name, uid: FIRST_UID + ordinal })),
      place.shell,
      place.gid,
    );
    // Passwords first: a user whom shadow(5) lacks could be taken for one without.
    for (const file of ["shadow", "group", "passwd"] as const) {
      if (files[file] !== old[file]) writeLike(join(etc, file), files[file]);
    }
    this.#users = new Set(here.map(({ name }) => name));
    const gone = [...accountUsers(old)].filter(([name]) => !this.#users.has(name));
    return new Set(gone.map(([, uid]) => uid));
  }

  #derive(name: string, lost: Set<number>): void {
    const { accounts, store, place } = this.#options;
    const entry = accounts.directory.entries.get(name);
    if (entry === undefined || this.#system.has(name)) return;
    if (!this.#isHere(entry)) {
      this.#takeAway(name, lost);
      if (entry.status === "removed") place.remove(name);
      return;
    }
    const uid = FIRST_UID + entry.ordinal;
    if (!this.#placed.has(name)) {
      place.makeFolders(name, uid);
      this.#placed.add(name);
    }
    const standing = accounts.standing(entry.account);
    const chainFile = place.chainFile(name);
    if (standing !== undefined && chainFile !== null) {
      const chain = printChain(store.versions(entry.account));
      if (readOrNull(chainFile)?.equals(chain) !== true) replaceDerived(chainFile, chain, { ...ROOT, mode: 0o644 });
    }
    const { lines, until } =
      standing === undefined ? { lines: [], until: null } : place.keys(entry, standing, this.#options.now());
    if (until === null) this.#until.delete(name);
    else this.#until.set(name, until);
    const path = join(this.#keysFolder, name);
    const old = readOrNull(path);
    // Who has no key yet needs no file that says so.
    if (old === null && lines.length === 0) return;
    const text = Buffer.from(lines.map((line) => `${line}\n`).join(""), "latin1");
    if (old?.equals(text) !== true) replaceDerived(path, text, { ...ROOT, mode: 0o644 });
    if (hasLost(old, lines)) lost.add(uid);
  }

  /** Nobody gets in under this name any more, and who is in is put out. */
  #takeAway(name: string, lost: Set<number>): void {
    this.#until.delete(name);
    this.#placed.delete(name);
    const path = join(this.#keysFolder, name);
    if (hasLost(readOrNull(path), [])) {
      const entry = this.#options.accounts.directory.entries.get(name);
      if (entry !== undefined) lost.add(FIRST_UID + entry.ordinal);
    }
    rmSync(path, { force: true });
  }
}

/** Makes a folder, or makes an existing one right; the folder above it is root's. */
export function makeFolder(path: string, { mode, uid, gid }: DerivedAccess): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) mkdirSync(path, { mode: 0o700 });
  else if (!there.isDirectory()) throw new PolicyError("USAGE", `"${path}" is no folder`);
  else if ((there.mode & 0o7777) === mode && there.uid === uid && there.gid === gid) return;
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

export function readUserFiles(etc: string): UserFiles {
  const read = (file: string): string => readFileSync(join(etc, file), "latin1");
  return { passwd: read("passwd"), group: read("group"), shadow: read("shadow") };
}

function writeLike(path: string, text: string): void {
  const { mode, uid, gid } = statSync(path);
  replaceDerived(path, Buffer.from(text, "latin1"), { mode: mode & 0o7777, uid, gid }, true);
}

function readOrNull(path: string): Buffer | null {
  // An error for each file that is not there yet would cost more than everything else about it.
  return statSync(path, { throwIfNoEntry: false }) === undefined ? null : readFileSync(path);
}

function hasLost(old: Buffer | null, lines: readonly string[]): boolean {
  const kept = new Set(lines);
  return (old?.toString("latin1").split("\n") ?? []).some((line) => line !== "" && !kept.has(line));
}
