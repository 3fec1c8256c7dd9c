/** What one account hands in: each content that stays for a moment is judged, and answered in its own folder. */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerFrame } from "#core/account/feed.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { answeredFile, type HandedIn, look, type Result, readHandedIn, writeResult } from "./handed-in.ts";
import type { LedgerLine } from "./ledger-line.ts";
import type { Turns } from "./turns.ts";

/** A file that does not change for so long is whole. */
const SETTLED_MILLISECONDS = 300;
/** Between two judgings of one account. */
const JUDGE_MILLISECONDS = 1000;
const PENDING_MILLISECONDS = 1500;

export interface Desk {
  readonly ledger: LedgerLine;
  /** Files that are read and parsed at a time. */
  readonly reading: Turns;
  /** Proposals that are with the ledger at a time. */
  readonly asking: Turns;
  readonly log: (text: string) => void;
}

export class Drawer {
  readonly #name: string;
  readonly #proposal: string;
  readonly #answers: string;
  readonly #desk: Desk;
  #isRunning = false;
  #isClosed = false;
  #wake: (() => void) | null = null;
  /** The look of what was answered for good. */
  #answered: string | null = null;
  #judgedAt = Number.NEGATIVE_INFINITY;
  #isFirst = true;
  #writing: Promise<void> = Promise.resolve();

  /** @param home the account's folder */
  constructor(name: string, home: string, desk: Desk) {
    this.#name = name;
    this.#proposal = join(home, "proposal");
    this.#answers = join(home, "answer");
    this.#desk = desk;
  }

  /** The file may have changed. Never throws; what goes wrong here harms this account alone. */
  poke(): void {
    if (this.#isClosed) return;
    this.#wake?.();
    const seen = look(this.#proposal);
    if (this.#isRunning || seen === null || seen.bytes === 0 || seen.mark === this.#answered) return;
    this.#isRunning = true;
    this.#run().then(
      () => {
        this.#isRunning = false;
        // What came while it was ending.
        this.poke();
      },
      (error: unknown) => {
        this.#isRunning = false;
        this.#desk.log(`${this.#name}: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }

  /** The account is no more. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const mark = await this.#settled();
      if (mark === null || mark === this.#answered) return;
      const file = await this.#desk.reading.run(async () => this.#firstLook(await readHandedIn(this.#proposal)));
      if (file === null || file.mark !== mark) continue;
      this.#judgedAt = performance.now();
      const isAnswered = "result" in file ? await this.#write(file.result) : await this.#askLedger(file);
      if (isAnswered) this.#answered = mark;
    }
  }

  /** Waits until the file has been the same for a while, and the account's turn has come. */
  async #settled(): Promise<string | null> {
    for (let before = look(this.#proposal); ; ) {
      const left = this.#judgedAt + JUDGE_MILLISECONDS - performance.now();
      await sleep(Math.max(SETTLED_MILLISECONDS, left));
      const seen = look(this.#proposal);
      if (this.#isClosed || seen === null || seen.bytes === 0) return null;
      if (seen.mark === before?.mark) return seen.mark;
      before = seen;
    }
  }

  /** What the ledger need not be asked for, has its result already. The bytes are not kept: others wait, too. */
  async #firstLook(
    file: HandedIn | null,
  ): Promise<({ mark: string; hash: string | null } & ({ result: Result | null } | object)) | null> {
    if (file === null) return null;
    const { mark, hash, signed } = file;
    const wasFirst = this.#isFirst;
    this.#isFirst = false;
    if (wasFirst && hash !== null && (await answeredFile(this.#answers)) === hash) return { mark, hash, result: null };
    try {
      if (signed === null)
        throw new FormatError("TOO-LARGE", `${file.bytes} bytes are more than a signed state can have`);
      parseProposal(signed);
      return { mark, hash };
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof PolicyError)) throw error;
      return { mark, hash, result: { file: hash, code: error.code, version: null, text: error.message } };
    }
  }

  /** @returns false if the file changed before the answer came */
  async #askLedger({ mark, hash }: { mark: string; hash: string | null }): Promise<boolean> {
    const { ledger } = this.#desk;
    const pending = { file: hash, code: "PENDING", version: null, text: "not judged yet: look here again" };
    let isTold = false;
    const tell = async (): Promise<void> => {
      if (!isTold) await this.#write(pending);
      isTold = true;
    };
    const timer = setTimeout(() => {
      tell().catch((error: unknown) => this.#desk.log(String(error)));
    }, PENDING_MILLISECONDS);
    try {
      for (;;) {
        if (!ledger.isUp) await tell();
        let isCurrent = true;
        const changed = this.#changed(mark);
        const answer = await Promise.race([this.#answer(mark, () => isCurrent), changed]);
        isCurrent = false;
        if (answer === "changed") return false;
        if (answer === "lost") continue;
        clearTimeout(timer);
        return await this.#write({ file: hash, code: answer.code, version: answer.version, text: answer.text });
      }
    } finally {
      clearTimeout(timer);
      this.#wake = null;
    }
  }

  /** @param isCurrent whether somebody still waits for it */
  async #answer(mark: string, isCurrent: () => boolean): Promise<AnswerFrame | "changed" | "lost"> {
    const { ledger, asking } = this.#desk;
    await ledger.up();
    return await asking.run(async () => {
      if (!isCurrent()) return "changed";
      const file = await readHandedIn(this.#proposal);
      if (file === null || file.mark !== mark || file.signed === null) return "changed";
      try {
        return await ledger.ask(this.#name, file.signed);
      } catch (error) {
        if (error instanceof HostError) return "lost";
        throw error;
      }
    });
  }

  /** Settles when the file is no longer this one. */
  async #changed(mark: string): Promise<"changed"> {
    while (!this.#isClosed && look(this.#proposal)?.mark === mark) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return "changed";
  }

  /** Results come one after the other. @returns true */
  async #write(result: Result | null): Promise<true> {
    if (result !== null) this.#writing = this.#writing.then(() => writeResult(this.#answers, result));
    const written = this.#writing;
    this.#writing = written.catch(() => {});
    await written;
    return true;
  }
}
