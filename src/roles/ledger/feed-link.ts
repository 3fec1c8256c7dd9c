/** What one machine has of the accounts, and the sending of what it lacks. */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Accounts } from "#core/account/accounts.ts";
import { MAX_DIRECTORY_BYTES } from "#core/account/directory.ts";
import type { AcceptFrame, RecordFrame } from "#core/account/feed.ts";
import { hashOfBody, splitSigned } from "#core/account/signed-text.ts";
import { FormatError } from "#core/errors.ts";
import type { AccountStore } from "#host/account-store.ts";
import type { FeedConnection } from "#host/feed-connection.ts";

/** Records that may be under way without an answer. */
const MAX_UNANSWERED = 2000;
/** Records that are read from the store at once. */
const MAX_READ = 8;
/** Of records that are sent in one piece, and a read more. */
const MAX_WRITE_BYTES = 64 * 1024;
/** What a machine refused is sent again after so long: its clock may be right by then. */
const RETRY_MILLISECONDS = 60_000;
const MAX_LISTED = 20;

/** Null is the directory. */
type Subject = string | null;

/** The latest that a machine has. */
interface Have {
  readonly version: number;
  readonly hash: string | null;
}

export interface Refusal {
  readonly account: Subject;
  readonly version: number;
  readonly code: string;
  readonly text: string;
  /** Unix seconds. */
  readonly time: number;
}

export interface FeedStatus {
  readonly connected: boolean;
  /** Accounts, and the directory, of which it has not taken the latest version; null before it has ever said. */
  readonly behind: number | null;
  /** Those of which it has versions that the ledger has not: up to 20. */
  readonly ahead: readonly string[];
  /** Those of which it has another text under the same version: up to 20. */
  readonly forked: readonly string[];
  /** Still standing refusals. */
  readonly refused: number;
  readonly lastRefusal: Refusal | null;
}

/** Lives as long as the ledger; what it knows of the machine is begun again with each connection. */
export class FeedLink {
  readonly #accounts: Accounts;
  readonly #store: AccountStore;
  readonly #now: () => number;
  readonly #log: (text: string) => void;
  readonly #onTook: (account: string) => void;
  #connected = false;
  #hasSpoken = false;
  /** Versions that the machine has said it has. */
  #taken = new Map<Subject, number>();
  /** Versions that were sent to it, where they are newer. */
  #sent = new Map<Subject, number>();
  readonly #due = new Set<Subject>();
  #unanswered: { readonly account: Subject; readonly version: number }[] = [];
  readonly #ahead = new Map<Subject, Have>();
  readonly #forked = new Set<Subject>();
  readonly #refused = new Set<Subject>();
  #lastRefusal: Refusal | null = null;
  #wake: (() => void) | null = null;

  /**
   * @param now Unix seconds
   * @param onTook called when the machine has said that it has another version of an account
   */
  constructor(
    accounts: Accounts,
    store: AccountStore,
    now: () => number,
    log: (text: string) => void,
    onTook: (account: string) => void,
  ) {
    this.#onTook = onTook;
    this.#accounts = accounts;
    this.#store = store;
    this.#now = now;
    this.#log = log;
  }

  /** A new version is in the store. */
  note(account: Subject): void {
    const have = this.#ahead.get(account);
    if (have !== undefined) {
      const latest = this.#latest(account);
      if (latest.version < have.version) return;
      // A ledger that was set back has caught up: with what the machine has, or with something else.
      this.#ahead.delete(account);
      if (have.hash !== this.#hashOf(account, have.version, latest)) {
        this.#forked.add(account);
        this.#log(`has another version than this here: ${account ?? "directory"}`);
      }
    }
    if (this.#forked.has(account)) return;
    this.#due.add(account);
    this.#wake?.();
  }

  /** The version of an account that the machine has said it has; 0 for none, and before it has ever spoken. */
  taken(account: string): number {
    return this.#taken.get(account) ?? 0;
  }

  get status(): FeedStatus {
    return {
      connected: this.#connected,
      behind: this.#hasSpoken ? this.#behind() : null,
      ahead: listed(this.#ahead.keys()),
      forked: listed(this.#forked),
      refused: this.#refused.size,
      lastRefusal: this.#lastRefusal,
    };
  }

  /** Runs one connection until it ends. @throws as {@link FeedConnection.next} */
  async serve(connection: FeedConnection<AcceptFrame>): Promise<void> {
    const retry = setInterval(() => {
      for (const account of this.#refused) this.note(account);
    }, RETRY_MILLISECONDS);
    try {
      const early = await this.#readHaves(connection);
      if (early === null) return;
      this.#connected = true;
      const sending = this.#send(connection);
      // Whichever fails first ends the other, and its error is the one to tell.
      sending.catch((error: unknown) => connection.close(error instanceof Error ? error : new Error(String(error))));
      for (const frame of early) this.#takeAnswer(frame);
      for (let frames = await connection.next(); frames !== null; frames = await connection.next()) {
        for (const frame of frames) this.#takeAnswer(frame);
        this.#wake?.();
      }
    } finally {
      clearInterval(retry);
      this.#connected = false;
      connection.close();
      this.#wake?.();
    }
  }

  /** @returns frames behind `ready` that came with it; null when the connection ended before */
  async #readHaves(connection: FeedConnection<AcceptFrame>): Promise<AcceptFrame[] | null> {
    const has = new Map<Subject, Have>();
    for (;;) {
      const frames = await connection.next();
      if (frames === null) return null;
      for (const [index, frame] of frames.entries()) {
        if (frame.kind === "have") has.set(frame.account, frame);
        if (frame.kind !== "ready") continue;
        await this.#compare(has);
        return frames.slice(index + 1);
      }
    }
  }

  async #compare(has: ReadonlyMap<Subject, Have>): Promise<void> {
    this.#taken = new Map([...has].map(([account, { version }]) => [account, version]));
    this.#sent = new Map();
    this.#unanswered = [];
    for (const set of [this.#due, this.#ahead, this.#forked, this.#refused]) set.clear();
    this.#hasSpoken = true;
    let looked = 0;
    for (const [account, { version, hash }] of has) {
      if (++looked % 100 === 0) await nextTurn();
      if (account !== null && this.#accounts.directory.entryOf(account)?.status === "removed") continue;
      const latest = this.#latest(account);
      if (version > latest.version) this.#ahead.set(account, { version, hash });
      else if (version > 0 && hash !== this.#hashOf(account, version, latest)) this.#forked.add(account);
    }
    if (this.#ahead.size > 0) this.#log(`has versions that are unknown here: ${listed(this.#ahead.keys()).join(" ")}`);
    if (this.#forked.size > 0) this.#log(`has other versions than these here: ${listed(this.#forked).join(" ")}`);
    for (const account of [null, ...this.#accounts.standings.keys()]) {
      if ((this.#taken.get(account) ?? 0) < this.#latest(account).version) this.note(account);
    }
  }

  #latest(account: Subject): Have {
    if (account === null) {
      const { latest } = this.#accounts.directory;
      return { version: latest?.record.version ?? 0, hash: latest?.hash ?? null };
    }
    const standing = this.#accounts.standing(account);
    return { version: standing?.state.version ?? 0, hash: standing?.hash ?? null };
  }

  #hashOf(account: Subject, version: number, latest: Have): string | null {
    if (version === latest.version) return latest.hash;
    const [record] = this.#store.versions(account, version, 1);
    return record === undefined ? null : hashOfBody(splitSigned(record.signed, MAX_DIRECTORY_BYTES).body);
  }

  #behind(): number {
    let behind = (this.#taken.get(null) ?? 0) < this.#latest(null).version ? 1 : 0;
    for (const [account, { state }] of this.#accounts.standings) {
      if ((this.#taken.get(account) ?? 0) < state.version) behind++;
    }
    return behind;
  }

  async #send(connection: FeedConnection<AcceptFrame>): Promise<void> {
    while (this.#connected) {
      const frames = this.#nextFrames();
      if (frames.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      await connection.send(...frames);
      // A machine that takes everything at once must not keep the others waiting.
      await nextTurn();
    }
  }

  /** What goes out in one piece; none when the machine has everything or owes answers. */
  #nextFrames(): RecordFrame[] {
    const frames: RecordFrame[] = [];
    let bytes = 0;
    while (bytes < MAX_WRITE_BYTES && this.#unanswered.length < MAX_UNANSWERED) {
      // The directory first: it names the accounts that states are of.
      const [account] = this.#due.has(null) ? [null] : this.#due;
      if (account === undefined) break;
      const first = (this.#sent.get(account) ?? this.#taken.get(account) ?? 0) + 1;
      const records = this.#store.versions(account, first, account === null ? 1 : MAX_READ);
      for (const { version, accepted, signed } of records) {
        this.#sent.set(account, version);
        this.#unanswered.push({ account, version });
        frames.push({ kind: "record", of: account === null ? "directory" : "state", accepted, signed });
        bytes += signed.length;
      }
      if (records.length === 0 || records.at(-1)?.version === this.#latest(account).version) this.#due.delete(account);
    }
    return frames;
  }

  #takeAnswer(frame: AcceptFrame): void {
    if (frame.kind !== "took" && frame.kind !== "refused") throw new FormatError("FEED", `feed: "${frame.kind}" now`);
    const { account, version } = frame;
    const asked = this.#unanswered.shift();
    if (asked === undefined || asked.account !== account || asked.version !== version) {
      throw new FormatError("FEED", "feed: an answer to what was not sent now");
    }
    if (frame.kind === "took") {
      this.#taken.set(account, version);
      this.#refused.delete(account);
      if (account !== null) this.#onTook(account);
      return;
    }
    // Versions behind a refused one are refused as well: the first says why.
    if (this.#refused.has(account) && version > (this.#taken.get(account) ?? 0) + 1) return;
    this.#refused.add(account);
    this.#sent.delete(account);
    this.#due.delete(account);
    const { code, text } = frame;
    this.#lastRefusal = { account, version, code, text, time: this.#now() };
    this.#log(`refused version ${version} of ${account ?? "the directory"}: ${code}: ${text}`);
  }
}

function listed(subjects: Iterable<Subject>): string[] {
  return [...subjects].slice(0, MAX_LISTED).map((subject) => subject ?? "directory");
}
