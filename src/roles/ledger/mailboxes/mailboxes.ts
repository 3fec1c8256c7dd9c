/** Every mailbox in memory as it is on disk: what the appender adds to and the publishers show. */

import { FormatError } from "#core/errors.ts";
import type { AppendAnswer, AppendRequest } from "#core/mailbox/append-frames.ts";
import { isSamePoint, nextPoint } from "#core/mailbox/chain.ts";
import { type Entry, printEntry } from "#core/mailbox/entry.ts";
import { append, BASE_LAG_SECONDS, LINE_LAG_SECONDS, type Mailbox, newMailbox, prune } from "#core/mailbox/writer.ts";
import type { MailboxStore, StoredMailbox } from "./store.ts";

/** Entries that are read from the store at once, about 500 KB of lines. */
const PAGE = 4000;
/** Lines leave in bulk: each time the whole file is written again. */
const PRUNE_EVERY_SECONDS = 6 * 3600;

export class Mailboxes {
  readonly #store: MailboxStore;
  readonly #clock: () => number;
  readonly #byAccount = new Map<string, StoredMailbox>();
  /** When something may be old enough to be pruned; none before it was looked at. */
  readonly #pruneAt = new Map<string, number>();
  #headTime: number;
  #creating: {
    readonly account: string;
    readonly resolve: (stored: StoredMailbox) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];

  /** @param clock Unix seconds */
  constructor(store: MailboxStore, clock: () => number) {
    this.#store = store;
    this.#clock = clock;
    this.#headTime = store.headTime;
    for (const stored of store.mailboxes()) this.#byAccount.set(stored.mailbox.account, stored);
  }

  get(account: string): Mailbox | undefined {
    return this.#byAccount.get(account)?.mailbox;
  }

  get count(): number {
    return this.#byAccount.size;
  }

  accounts(): Iterable<string> {
    return this.#byAccount.keys();
  }

  /** Unix seconds; when the clock goes back, time stands still. */
  now(): number {
    return Math.max(this.#clock(), this.#headTime);
  }

  /** The time of a head that is signed now: durable, so that no later one is before it. @throws HostError DISK, FULL */
  stamp(): number {
    return this.raise(this.#clock());
  }

  /** No head is before this time any more, nor was. @returns the time of the latest head */
  raise(time: number): number {
    if (time > this.#headTime) {
      this.#store.setHeadTime(time);
      this.#headTime = time;
    }
    return this.#headTime;
  }

  /** Begins the chain of an account that has none; durable when it resolves. Many at a time share one way to the disk. */
  async create(account: string): Promise<void> {
    const created = await new Promise<StoredMailbox>((resolve, reject) => {
      this.#creating.push({ account, resolve, reject });
      if (this.#creating.length === 1) setImmediate(() => this.#createAll());
    });
    this.#byAccount.set(account, created);
  }

  #createAll(): void {
    const all = this.#creating;
    this.#creating = [];
    try {
      const made = this.#store.create(all.map(({ account }) => newMailbox(account)));
      for (const [index, { resolve }] of all.entries()) {
        const stored = made[index];
        if (stored !== undefined) resolve(stored);
      }
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  }

  /** Takes a mailbox as it is known from elsewhere, in place of what is here; durable when it returns. */
  adopt(mailbox: Mailbox, entries: readonly Entry[]): void {
    const before = this.#byAccount.get(mailbox.account);
    this.#byAccount.set(mailbox.account, this.#store.replace(before?.id ?? null, mailbox, entries));
    this.#pruneAt.delete(mailbox.account);
  }

  /** Forgets the mailboxes of removed accounts. */
  remove(accounts: readonly string[]): void {
    const gone = accounts.flatMap((account) => this.#byAccount.get(account) ?? []);
    if (gone.length === 0) return;
    this.#store.remove(gone.map(({ id }) => id));
    for (const { mailbox } of gone) {
      this.#byAccount.delete(mailbox.account);
      this.#pruneAt.delete(mailbox.account);
    }
  }

  /**
   * Answers requests on mailboxes that exist, as if one after the other. What they add is durable when this returns; when it throws
   * nothing was added.
   * @throws HostError DISK, FULL
   */
  answer(requests: readonly AppendRequest[], keepForSeconds: number): AppendAnswer[] {
    const now = this.now();
    const changed = new Map<string, StoredMailbox>();
    const added = new Map<string, { id: number; entry: Entry }>();
    const answers = requests.map((request): AppendAnswer => {
      const { tag, account, digest } = request;
      const stored = changed.get(account) ?? this.#stored(account);
      const key = `${stored.id} ${digest}`;
      const known = added.get(key)?.entry ?? this.#store.find(stored.id, digest);
      if (known !== undefined) return { kind: "have", tag, seq: known.seq };
      if (request.kind === "known") return { kind: "lack", tag };
      try {
        const made = append(stored.mailbox, request, undefined, now, keepForSeconds);
        changed.set(account, { id: stored.id, mailbox: made.mailbox });
        added.set(key, { id: stored.id, entry: made.entry });
        return { kind: "have", tag, seq: made.entry.seq };
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        return { kind: "refused", tag, code: error.code, text: error.message };
      }
    });
    if (added.size > 0) this.#store.append([...added.values()], changed.values());
    for (const [account, stored] of changed) this.#byAccount.set(account, stored);
    return answers;
  }

  /**
   * Moves base and dropped where it is time, durably. Only to be called when a head with the base as it is now is on `fetch`, so
   * that no line leaves that a reader may still ask for.
   */
  prune(account: string): void {
    const now = this.now();
    if ((this.#pruneAt.get(account) ?? 0) > now) return;
    const stored = this.#stored(account);
    if (this.#firstPrune(stored) <= now) {
      const mailbox = prune(stored.mailbox, this.#entriesOf(stored), now);
      if (mailbox !== stored.mailbox) this.#store.prune({ id: stored.id, mailbox });
      this.#byAccount.set(account, { id: stored.id, mailbox });
    }
    const first = this.#firstPrune(this.#stored(account));
    // Those that come later may be kept shorter.
    this.#pruneAt.set(account, Math.min(Math.max(first, now + PRUNE_EVERY_SECONDS), now + 86_400));
  }

  /** When the first line or the first entry behind the base is old enough. */
  #firstPrune({ id, mailbox: { dropped, base, last } }: StoredMailbox): number {
    const [line] = this.#store.entries(id, dropped.seq, base.seq, 1);
    const [live] = this.#store.entries(id, base.seq, last.seq, 1);
    return Math.min(
      line === undefined ? Number.POSITIVE_INFINITY : line.expiry + LINE_LAG_SECONDS,
      live === undefined ? Number.POSITIVE_INFINITY : live.expiry + BASE_LAG_SECONDS,
    );
  }

  #stored(account: string): StoredMailbox {
    const stored = this.#byAccount.get(account);
    if (stored === undefined) throw new RangeError(`no mailbox of "${account}"`);
    return stored;
  }

  *#entriesOf({ id, mailbox }: StoredMailbox): Generator<Entry> {
    for (let at = mailbox.dropped.seq; at < mailbox.last.seq; ) {
      const page = this.#store.entries(id, at, mailbox.last.seq, PAGE);
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      at = last.seq;
    }
  }

  /** The lines of the entries behind a number up to another. @throws FormatError STORE */
  lines(account: string, behind: number, upTo: number): Buffer {
    const { id } = this.#stored(account);
    const entries = this.#store.entries(id, behind, upTo, upTo - behind);
    if (entries.length !== upTo - behind) throw damaged(account, behind + 1);
    return Buffer.from(entries.map(printEntry).join(""), "latin1");
  }

  /**
   * All lines of a mailbox as it was at some time, in pieces. Their chain is followed on the way, so that nobody is shown what
   * a damaged disk made of them.
   * @throws FormatError STORE, at the latest behind the last piece
   */
  *allLines(mailbox: Mailbox): Generator<Buffer> {
    const { account, base, last } = mailbox;
    const { id } = this.#stored(account);
    let point = mailbox.dropped;
    while (point.seq < last.seq) {
      const page = this.#store.entries(id, point.seq, last.seq, PAGE);
      const lines: string[] = [];
      for (const entry of page) {
        if (entry.seq !== point.seq + 1) throw damaged(account, point.seq + 1);
        point = nextPoint(point, entry);
        if (point.seq === base.seq && !isSamePoint(point, base)) throw damaged(account, point.seq);
        lines.push(printEntry(entry));
      }
      if (lines.length === 0) throw damaged(account, point.seq + 1);
      yield Buffer.from(lines.join(""), "latin1");
    }
    if (!isSamePoint(point, last)) throw damaged(account, point.seq);
  }
}

function damaged(account: string, seq: number): FormatError {
  return new FormatError("STORE", `the store of mailboxes is damaged: entry ${seq} of "${account}"`);
}
