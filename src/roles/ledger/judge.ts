/** Where everything that is handed in is judged, one after the other, and made durable before it is answered. */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Accounts } from "#core/account/accounts.ts";
import { MAX_DIRECTORY_BYTES } from "#core/account/directory.ts";
import type { RecordKind } from "#core/account/feed.ts";
import { hashOfBody, splitSigned } from "#core/account/signed-text.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { AccountStore, StoredRecord } from "#host/account-store.ts";

/** Few enough that nobody's answer waits long for the disk, enough for a bulk to share its fsyncs. */
const MAX_BATCH = 64;
const MAX_BATCH_MILLISECONDS = 20;

export interface Question {
  readonly of: RecordKind;
  readonly signed: Buffer;
  /** Login name that the state was handed in with; null for the operator's, who may carry anybody's. */
  readonly name: string | null;
}

export interface Verdict {
  /** `ACCEPTED` or the code of the error. */
  readonly code: string;
  readonly text: string;
  /** Latest version of what it is about, the name's account where there is a name; null for none. */
  readonly version: number | null;
  /** What judging it took. */
  readonly milliseconds: number;
}

interface Waiting {
  readonly question: Question;
  readonly answer: (verdict: Verdict) => void;
}

interface Judged {
  readonly record: StoredRecord | null;
  readonly removed: readonly string[];
  readonly verdict: Omit<Verdict, "milliseconds">;
}

/** Questions of one link; links take turns, so that a full one does not hold up the others. */
export class Lane {
  readonly #waiting: Waiting[] = [];
  readonly #wake: () => void;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Gives the verdict when it is durable. The caller keeps no more questions open than it has memory for. */
  async ask(question: Question): Promise<Verdict> {
    return await new Promise((answer) => {
      this.#waiting.push({ question, answer });
      this.#wake();
    });
  }

  /** The one that waits longest. */
  take(): Waiting | undefined {
    return this.#waiting.shift();
  }
}

export class Judge {
  readonly #accounts: Accounts;
  readonly #store: AccountStore;
  readonly #now: () => number;
  readonly #tell: (changed: readonly (string | null)[]) => void;
  readonly #die: (error: unknown) => void;
  readonly #lanes: Lane[] = [];
  #turn = 0;
  #isRunning = false;

  /**
   * @param now Unix seconds
   * @param tell gets the accounts (null: the directory) that changed, when that is durable
   * @param die called when memory and disk are no longer the same: only a new start helps
   */
  constructor(options: {
    accounts: Accounts;
    store: AccountStore;
    now: () => number;
    tell: (changed: readonly (string | null)[]) => void;
    die: (error: unknown) => void;
  }) {
    this.#accounts = options.accounts;
    this.#store = options.store;
    this.#now = options.now;
    this.#tell = options.tell;
    this.#die = options.die;
  }

  lane(): Lane {
    const lane = new Lane(() => {
      if (this.#isRunning) return;
      this.#isRunning = true;
      this.#run().catch(this.#die);
    });
    this.#lanes.push(lane);
    return lane;
  }

  /** Forgets a lane whose link has ended. */
  close(lane: Lane): void {
    const index = this.#lanes.indexOf(lane);
    if (index >= 0) this.#lanes.splice(index, 1);
  }

  async #run(): Promise<void> {
    for (;;) {
      // Whatever has come by now is judged with it.
      await nextTurn();
      const judged = this.#judgeSome();
      if (judged.length === 0) break;
      const records = judged.flatMap(({ record }) => (record === null ? [] : [record]));
      if (records.length > 0) {
        this.#store.append(
          records,
          judged.flatMap(({ removed }) => removed),
        );
      }
      for (const { answer, verdict, milliseconds } of judged) answer({ ...verdict, milliseconds });
      if (records.length > 0) this.#tell(records.map(({ account }) => account));
    }
    this.#isRunning = false;
  }

  #judgeSome(): (Waiting & Judged & { milliseconds: number })[] {
    const batch: (Waiting & Judged & { milliseconds: number })[] = [];
    const started = performance.now();
    while (batch.length < MAX_BATCH && performance.now() - started < MAX_BATCH_MILLISECONDS) {
      const waiting = this.#takeNext();
      if (waiting === undefined) break;
      const before = performance.now();
      const judged = this.#judge(waiting.question);
      batch.push({ ...waiting, ...judged, milliseconds: performance.now() - before });
    }
    return batch;
  }

  #takeNext(): Waiting | undefined {
    for (let tries = this.#lanes.length; tries > 0; tries--) {
      this.#turn = (this.#turn + 1) % this.#lanes.length;
      const waiting = this.#lanes[this.#turn]?.take();
      if (waiting !== undefined) return waiting;
    }
    return undefined;
  }

  #judge({ of, signed, name }: Question): Judged {
    try {
      return of === "directory" ? this.#judgeDirectory(signed) : this.#judgeState(signed, name);
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)) throw error;
      const version = of === "directory" ? this.#directoryVersion() : this.#versionOf(name);
      return { record: null, removed: [], verdict: { code: error.code, text: error.message, version } };
    }
  }

  #judgeDirectory(signed: Buffer): Judged {
    const { directory } = this.#accounts;
    const { body } = splitSigned(signed, MAX_DIRECTORY_BYTES);
    const { latest } = directory;
    if (latest !== null && latest.hash === hashOfBody(body)) {
      return accepted(latest.record.version, "is the latest record of the directory already");
    }
    const now = this.#now();
    const at = Math.max(now, latest?.accepted ?? 0);
    const names = this.#accounts.takeDirectory(signed, at, now);
    const version = this.#directoryVersion() ?? 0;
    const entries = names.flatMap((changed) => directory.entries.get(changed) ?? []);
    return {
      ...accepted(version, "of the directory was accepted"),
      record: { account: null, version, accepted: at, signed },
      removed: entries.filter(({ status }) => status === "removed").map(({ account }) => account),
    };
  }

  #judgeState(signed: Buffer, name: string | null): Judged {
    const proposal = parseProposal(signed);
    if (name !== null && this.#accounts.directory.entries.get(name)?.account !== proposal.id) {
      throw new VerifyError("ACCOUNT", `the state is of account "${proposal.id}", which is not the one of "${name}"`);
    }
    const standing = this.#accounts.standing(proposal.id);
    if (standing !== undefined && this.#accounts.isCurrent(proposal)) {
      return accepted(standing.state.version, "is the latest one already");
    }
    const now = this.#now();
    const at = Math.max(now, standing?.accepted ?? 0);
    const { version } = this.#accounts.takeState(proposal, at, now).standing.state;
    return {
      ...accepted(version, "was accepted"),
      record: { account: proposal.id, version, accepted: at, signed },
    };
  }

  #directoryVersion(): number | null {
    return this.#accounts.directory.latest?.record.version ?? null;
  }

  #versionOf(name: string | null): number | null {
    const entry = name === null ? undefined : this.#accounts.directory.entries.get(name);
    return (entry === undefined ? undefined : this.#accounts.standing(entry.account))?.state.version ?? null;
  }
}

function accepted(version: number, what: string): Judged {
  return { record: null, removed: [], verdict: { code: "ACCEPTED", version, text: `version ${version} ${what}` } };
}
