/** Mailbox sizes for seal: what each fetch machine counted last, and what was deposited since. */

import { printUsage, type Usage } from "#core/usage.ts";
import { replaceInMemory } from "#host/files.ts";

/** A count and a deposit in the same two seconds may have missed each other: the deposit counts then. */
const overlapSeconds = 2;

export class UsageKeeper {
  readonly #file: string;
  readonly #machines: readonly string[];
  readonly #counted = new Map<string, Usage>();
  #isWritten = true;
  #deposits: { machine: string; account: string; bytes: number; time: number }[] = [];

  constructor(file: string, machines: readonly string[]) {
    this.#file = file;
    this.#machines = machines;
  }

  /** @param time Unix seconds */
  deposited(machine: string, account: string, bytes: number, time: number): void {
    this.#isWritten = false;
    this.#deposits.push({ machine, account, bytes, time });
  }

  counted(machine: string, usage: Usage): void {
    this.#isWritten = false;
    this.#counted.set(machine, usage);
    this.#deposits = this.#deposits.filter((one) => one.machine !== machine || one.time + overlapSeconds >= usage.time);
  }

  /**
   * Replaces the file when there is something new; does nothing until every machine has told its sizes once. The file's
   * time is the oldest of theirs. One call at a time.
   */
  async write(): Promise<void> {
    if (this.#isWritten) return;
    const usages = this.#machines.map((machine) => this.#counted.get(machine));
    const bytesByAccount = new Map<string, number>();
    let time = Number.POSITIVE_INFINITY;
    for (const usage of usages) {
      if (usage === undefined) return;
      time = Math.min(time, usage.time);
      for (const [account, bytes] of usage.bytesByAccount) bytesByAccount.set(account, bytes);
    }
    for (const { account, bytes } of this.#deposits)
      bytesByAccount.set(account, (bytesByAccount.get(account) ?? 0) + bytes);
    this.#isWritten = true;
    await replaceInMemory(this.#file, printUsage({ time, bytesByAccount }), 0o644);
  }
}
