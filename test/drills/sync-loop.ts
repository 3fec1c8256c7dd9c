/** A person whose computer fetches mail again and again, whatever happens to it. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Chance } from "#test/drills/chance.ts";
import { asPerson, type Stage } from "#test/world/stage.ts";

export class SyncLoop {
  readonly #stage: Stage;
  readonly #person: string;
  readonly #chance: Chance;
  #stopped = false;
  #loop: Promise<void> | undefined;
  /** Exit status (137 when it was killed) -> how often. */
  readonly statuses = new Map<number, number>();
  /** Sealed files that held a message which was stored before. */
  seenBefore = 0;
  /** What was said by runs that ended otherwise than well, by "try again" or by being killed. */
  readonly complaints: string[] = [];

  constructor(stage: Stage, person: string, chance: Chance) {
    this.#stage = stage;
    this.#person = person;
    this.#chance = chance;
  }

  start(): void {
    this.#loop = this.#run();
    // Awaited in stop.
    this.#loop.catch(() => undefined);
  }

  /** Resolves when the last run has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const { status, stderr } = await this.#stage.exec("user", asPerson(this.#person, "shoal sync"), {});
      const known = status ?? 137;
      this.statuses.set(known, (this.statuses.get(known) ?? 0) + 1);
      this.seenBefore += Number(/, (\d+) seen before /.exec(stderr)?.[1] ?? 0);
      if (![0, 75, 137].includes(known)) this.complaints.push(`${this.#person}: exit status ${known}\n${stderr}`);
      await sleep(this.#chance.between(200, 1500));
    }
  }
}
