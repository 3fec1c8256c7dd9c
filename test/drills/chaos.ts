/** What happens to machines while mail flows: processes killed, links cut, disks full, at random and all at once. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Chance } from "#test/drills/chance.ts";
import { killNow, MachineProcesses, type Victim } from "#test/drills/victims.ts";

/** Something that begins, lasts and is mended. */
export interface Trouble {
  /** As it is reported. */
  readonly kind: string;
  /** @returns a function that mends it */
  begin(): Promise<() => Promise<void>>;
}

/** Troubles of a kind, one after another. */
export interface TroubleLoop {
  readonly troubles: readonly Trouble[];
  /** How many of them side by side; default one. */
  readonly atOnce?: number;
  readonly pauseMilliseconds: readonly [low: number, high: number];
  readonly lastsMilliseconds: readonly [low: number, high: number];
  /** Each must have happened that often. */
  readonly leastTimes: number;
}

export interface ChaosPlan {
  readonly victims: readonly Victim[];
  /** How many processes are killed side by side. */
  readonly killers: number;
  /** Between two kills. */
  readonly pauseMilliseconds: readonly [low: number, high: number];
  /** Each kind of process must have been killed that often. */
  readonly leastTimes: number;
  /** Network and name of a victim's machine. */
  readonly machine: (machine: Victim["machine"]) => [network: string, name: string];
  readonly troubles: readonly TroubleLoop[];
}

/** How long a process is waited for that is not always there. */
const patienceMilliseconds = 2500;

export class Chaos {
  readonly #plan: ChaosPlan;
  readonly #chance: Chance;
  /** No machine is replaced while this goes on. */
  readonly #processes = new Map<Victim["machine"], Promise<MachineProcesses>>();
  /** Kind -> how often it happened. */
  readonly counts = new Map<string, number>();

  constructor(plan: ChaosPlan, chance: Chance) {
    this.#plan = plan;
    this.#chance = chance;
    const troubles = plan.troubles.flatMap((loop) => loop.troubles);
    for (const { kind } of [...plan.victims, ...troubles]) this.counts.set(kind, 0);
  }

  /** Kinds that happened less often than they must, with how often they did. */
  get missing(): [kind: string, times: number][] {
    const { victims, leastTimes, troubles } = this.#plan;
    const wanted = [{ kinds: victims, leastTimes }, ...troubles.map((loop) => ({ ...loop, kinds: loop.troubles }))];
    return wanted.flatMap((one) =>
      one.kinds.flatMap(({ kind }): [string, number][] => {
        const times = this.#times(kind);
        return times < one.leastTimes ? [[kind, times]] : [];
      }),
    );
  }

  /** Goes on until `isOver`, which may ask what is {@link missing}. When it ends, all troubles are mended. */
  async run(isOver: () => boolean): Promise<void> {
    let failed = false;
    const goesOn = (): boolean => !failed && !isOver();
    const { killers, troubles } = this.#plan;
    const works = [
      ...Array.from({ length: killers }, () => () => this.#killOne()),
      ...troubles.flatMap((loop) => Array.from({ length: loop.atOnce ?? 1 }, () => () => this.#makeTrouble(loop))),
    ];
    const loops = works.map(async (work) => {
      try {
        while (goesOn()) await work();
      } catch (error) {
        failed = true;
        throw error;
      }
    });
    for (const result of await Promise.allSettled(loops)) if (result.status === "rejected") throw result.reason;
  }

  async #killOne(): Promise<void> {
    const { victims, pauseMilliseconds } = this.#plan;
    await sleep(this.#chance.between(...pauseMilliseconds));
    const kind = this.#rarest(victims.map((victim) => victim.kind));
    const victim = victims.find((one) => one.kind === kind);
    if (victim !== undefined && (await this.#kill(victim))) this.#count(kind);
  }

  async #kill(victim: Victim): Promise<boolean> {
    const processes = await this.#processesOf(victim.machine);
    for (const end = performance.now() + patienceMilliseconds; performance.now() < end; ) {
      const found = await processes.find(victim);
      // Those that come and go are hit at any moment of their work, not just at its beginning.
      const hit = found.length > 0 && (victim.machine !== "user" || this.#chance.fraction() < 0.25);
      if (hit && killNow(this.#chance.pick(found))) return true;
      await sleep(50);
    }
    return false;
  }

  async #processesOf(machine: Victim["machine"]): Promise<MachineProcesses> {
    const known = this.#processes.get(machine);
    if (known !== undefined) return await known;
    const looking = MachineProcesses.of(...this.#plan.machine(machine));
    this.#processes.set(machine, looking);
    return await looking;
  }

  async #makeTrouble({ troubles, pauseMilliseconds, lastsMilliseconds }: TroubleLoop): Promise<void> {
    await sleep(this.#chance.between(...pauseMilliseconds));
    const kind = this.#rarest(troubles.map((trouble) => trouble.kind));
    const mend = await troubles.find((trouble) => trouble.kind === kind)?.begin();
    try {
      await sleep(this.#chance.between(...lastsMilliseconds));
    } finally {
      await mend?.();
    }
    this.#count(kind);
  }

  /** One of those that happened least often. */
  #rarest(kinds: readonly string[]): string {
    const least = Math.min(...kinds.map((kind) => this.#times(kind)));
    return this.#chance.pick(kinds.filter((kind) => this.#times(kind) <= least + 1));
  }

  #times(kind: string): number {
    return this.counts.get(kind) ?? 0;
  }

  #count(kind: string): void {
    this.counts.set(kind, this.#times(kind) + 1);
  }
}
