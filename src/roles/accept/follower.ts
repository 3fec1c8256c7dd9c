/** One ledger's records on this machine: each is verified here again, kept, and made files of, before it counts as taken. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Accounts } from "#core/account/accounts.ts";
import { MAX_DIRECTORY_BYTES } from "#core/account/directory.ts";
import type { AcceptFrame, LedgerFrame, RecordFrame } from "#core/account/feed.ts";
import { chainId, hashOfBody, splitSigned } from "#core/account/signed-text.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { AccountStore, StoredRecord } from "#host/account-store.ts";
import type { FeedConnection } from "#host/feed-connection.ts";
import type { Derived } from "./derived.ts";

/** While more comes in than this, it is stored together. */
const QUIET_MILLISECONDS = 3;
const LONGEST_MILLISECONDS = 1000;
const MAX_UNSAVED_BYTES = 16 * 1024 * 1024;

export interface FollowerOptions {
  readonly accounts: Accounts;
  readonly store: AccountStore;
  readonly derived: Derived;
  /** Unix seconds. */
  readonly now: () => number;
  readonly log: (text: string) => void;
  /** Called when memory, store and files are no longer the same: only a new start helps. */
  readonly die: (error: unknown) => void;
}

/** What is verified and in memory, and in no file yet. */
interface Unsaved {
  readonly records: StoredRecord[];
  readonly removed: string[];
  readonly names: Set<string>;
  bytes: number;
}

export class Follower {
  readonly #options: FollowerOptions;
  #unsaved = nothing();
  /** What writes comes one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #connection: FeedConnection<LedgerFrame> | null = null;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Makes all files of what is stored; nothing is touched before the first record of the directory has come. */
  async start(): Promise<void> {
    if (this.#options.accounts.directory.latest !== null) await this.#write(() => this.#options.derived.all());
  }

  /** Renews what changes with time alone. */
  async renew(): Promise<void> {
    const { derived, now } = this.#options;
    const names = derived.dueAt(now());
    if (names.size > 0) await this.#write(() => derived.some(names));
  }

  /** Runs one connection until it ends; a newer one takes its place. */
  async serve(connection: FeedConnection<LedgerFrame>): Promise<void> {
    const { log } = this.#options;
    this.#connection?.close(new FormatError("FEED", "a newer connection has come"));
    this.#connection = connection;
    try {
      await this.#writing;
      await connection.send(...this.#haves());
      await this.#follow(connection);
    } catch (error) {
      log(error instanceof Error ? error.message : String(error));
    } finally {
      if (this.#connection === connection) this.#connection = null;
      connection.close();
    }
  }

  #haves(): AcceptFrame[] {
    const { directory, standings } = this.#options.accounts;
    const { latest } = directory;
    const version = latest?.record.version ?? 0;
    const ids = [...standings.keys()].sort();
    return [
      { kind: "have", account: null, version, hash: latest?.hash ?? null },
      ...ids.flatMap((id): AcceptFrame[] => {
        const standing = standings.get(id);
        if (standing === undefined) return [];
        return [{ kind: "have", account: id, version: standing.state.version, hash: standing.hash }];
      }),
      { kind: "ready" },
    ];
  }

  async #follow(connection: FeedConnection<LedgerFrame>): Promise<void> {
    let answers: AcceptFrame[] = [];
    let since = 0;
    try {
      for (;;) {
        const frames = await connection.next(answers.length > 0 ? QUIET_MILLISECONDS : undefined);
        if (frames === null) return;
        if (answers.length === 0) since = performance.now();
        let refusedMilliseconds = 0;
        for (const frame of frames) {
          if (frame.kind !== "record") continue;
          const started = performance.now();
          const answer = this.#judge(frame);
          answers.push(answer);
          if (answer.kind === "refused") refusedMilliseconds += performance.now() - started;
        }
        const isLate = performance.now() - since > LONGEST_MILLISECONDS || this.#unsaved.bytes > MAX_UNSAVED_BYTES;
        if (frames.length === 0 || isLate) {
          await this.#save();
          await connection.send(...answers);
          answers = [];
        }
        // Who sends what does not verify gets half of one processor at most.
        if (refusedMilliseconds > 0) await sleep(refusedMilliseconds);
      }
    } finally {
      // What was verified is in memory: it gets to the disk, whether its sender is still there or not.
      await this.#save();
    }
  }

  #judge(frame: RecordFrame): AcceptFrame {
    const subject = subjectOf(frame);
    try {
      if (frame.of === "directory") this.#takeDirectory(frame);
      else this.#takeState(frame);
      return { kind: "took", ...subject };
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)) throw error;
      const { code, message: text } = error;
      const what = subject.account === null ? "the directory" : `account ${subject.account}`;
      this.#options.log(`refused version ${subject.version} of ${what}: ${code}: ${text}`);
      return { kind: "refused", ...subject, code, text };
    }
  }

  #takeDirectory({ accepted, signed }: RecordFrame): void {
    const { accounts, now } = this.#options;
    const { directory } = accounts;
    if (directory.latest?.hash === hashOfBody(splitSigned(signed, MAX_DIRECTORY_BYTES).body)) return;
    const names = accounts.takeDirectory(signed, accepted, now());
    this.#keep({ account: null, version: directory.latest?.record.version ?? 0, accepted, signed });
    for (const name of names) {
      const entry = directory.entries.get(name);
      if (entry?.status === "removed") this.#unsaved.removed.push(entry.account);
      this.#unsaved.names.add(name);
    }
  }

  #takeState({ accepted, signed }: RecordFrame): void {
    const { accounts, now } = this.#options;
    const proposal = parseProposal(signed);
    if (accounts.isCurrent(proposal)) return;
    const { entry, standing } = accounts.takeState(proposal, accepted, now());
    this.#keep({ account: standing.id, version: standing.state.version, accepted, signed });
    this.#unsaved.names.add(entry.name);
  }

  #keep(record: StoredRecord): void {
    this.#unsaved.records.push(record);
    this.#unsaved.bytes += record.signed.length;
  }

  /** Stores and makes files. */
  async #save(): Promise<void> {
    const { records, removed, names } = this.#unsaved;
    this.#unsaved = nothing();
    if (records.length === 0) return;
    const { store, derived } = this.#options;
    await this.#write(async () => {
      store.append(records, removed);
      if (names.size > 0) await derived.some(names);
    });
  }

  async #write(action: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(action);
    await this.#writing.catch(this.#options.die);
  }
}

function nothing(): Unsaved {
  return { records: [], removed: [], names: new Set(), bytes: 0 };
}

/** What a record claims to be of, for the answer. @throws FormatError FEED for what not even claims anything */
function subjectOf({ of, signed }: RecordFrame): { account: string | null; version: number } {
  const head = signed.toString("latin1", 0, 512);
  const [, account, version] =
    (of === "directory"
      ? /^shoal-directory\/v1\ndomain [^\n]*\n(version) ([1-9][0-9]{0,14})\n/
      : /^shoal-account\/v1\ndomain [^\n]*\naccount (-|[A-Za-z0-9_-]{21}[AQgw])\nversion ([1-9][0-9]{0,14})\n/
    ).exec(head) ?? [];
  if (version === undefined) throw new FormatError("FEED", `feed: a ${of} that does not say which`);
  if (of === "directory") return { account: null, version: Number(version) };
  const id =
    account === undefined || account === "-" ? chainId(splitSigned(signed, MAX_DIRECTORY_BYTES).body) : account;
  return { account: id, version: Number(version) };
}
