/** What happens to machines while mail flows: processes killed, links cut, disks full, at random and all at once. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Chance } from "#test/drills/chance.ts";
import type { DrillStage } from "#test/drills/drill-stage.ts";
import { cutLink } from "#test/drills/links.ts";
import { killNow, MachineProcesses, type Victim, victims } from "#test/drills/victims.ts";
import { worldAddresses } from "#test/world/world.ts";

/** Each kind of thing must have happened that often. */
export const leastTimes = 3;
/** How long a process is waited for that is not always there. */
const patienceMilliseconds = 2500;

const machineNames = { in: "alpha-in", "spam-in": "alpha-spam-in", fetch: "alpha-fetch", user: "user" } as const;

export class Chaos {
  readonly #drill: DrillStage;
  readonly #chance: Chance;
  readonly #world: string;
  /** Kind -> how often it happened. */
  readonly counts = new Map<string, number>();

  /** @param world first three numbers of the world's addresses */
  constructor(drill: DrillStage, world: string, chance: Chance) {
    this.#drill = drill;
    this.#world = world;
    this.#chance = chance;
  }

  get #links(): Map<string, readonly [string, string]> {
    const { stage } = this.#drill;
    const [entrance, judge, keeper] = ["in", "spam-in", "fetch"].map((role) => stage.address(role)) as [
      string,
      string,
      string,
    ];
    return new Map([
      ["link in - fetch", [entrance, keeper]],
      ["link in - spam-in", [entrance, judge]],
      ["link world - in", [`${this.#world}.0/24`, entrance]],
      ["link user - fetch", [worldAddresses(this.#world).user, keeper]],
    ]);
  }

  /** Goes on until `isOver`, and until everything happened often enough. When it ends, links and disks are well. */
  async run(isOver: () => boolean): Promise<void> {
    const links = [...this.#links];
    const disks = ["disk of in full", "disk of fetch full"];
    for (const kind of [...victims.map((victim) => victim.kind), ...links.map(([kind]) => kind), ...disks]) {
      this.counts.set(kind, 0);
    }
    let failed = false;
    const goesOn = (): boolean => !failed && !(isOver() && [...this.counts.values()].every((n) => n >= leastTimes));
    const works = [() => this.#killOne(), () => this.#cutOne(links), () => this.#fillOne(disks)].map(async (work) => {
      try {
        while (goesOn()) await work();
      } catch (error) {
        failed = true;
        throw error;
      }
    });
    for (const result of await Promise.allSettled(works)) if (result.status === "rejected") throw result.reason;
  }

  async #killOne(): Promise<void> {
    await sleep(this.#chance.between(200, 1600));
    const kind = this.#rarest(victims.map((victim) => victim.kind));
    const victim = victims.find((one) => one.kind === kind);
    if (victim !== undefined && (await this.#kill(victim))) this.#count(kind);
  }

  async #kill(victim: Victim): Promise<boolean> {
    const { stage, network } = this.#drill;
    const processes = await MachineProcesses.of(
      victim.machine === "user" ? stage.world : network,
      machineNames[victim.machine],
    );
    for (const end = performance.now() + patienceMilliseconds; performance.now() < end; ) {
      const found = await processes.find(victim);
      // Those that come and go are hit at any moment of their work, not just at its beginning.
      const hit = found.length > 0 && (victim.machine !== "user" || this.#chance.fraction() < 0.25);
      if (hit && killNow(this.#chance.pick(found))) return true;
      await sleep(50);
    }
    return false;
  }

  async #cutOne(links: readonly (readonly [string, readonly [string, string]])[]): Promise<void> {
    await sleep(this.#chance.between(2000, 6000));
    const kind = this.#rarest(links.map(([name]) => name));
    const ends = links.find(([name]) => name === kind)?.[1];
    if (ends === undefined) return;
    const join = await cutLink(this.#drill.network, ends);
    try {
      await sleep(this.#chance.between(1000, 5000));
    } finally {
      await join();
    }
    this.#count(kind);
  }

  async #fillOne(kinds: readonly string[]): Promise<void> {
    await sleep(this.#chance.between(6000, 12_000));
    const kind = this.#rarest(kinds);
    const { disks } = this.#drill;
    const disk = kind === "disk of in full" ? disks.in : disks.fetch;
    try {
      await disk.fill();
      await sleep(this.#chance.between(4000, 9000));
    } finally {
      await disk.empty();
    }
    this.#count(kind);
  }

  /** One of those that happened least often. */
  #rarest(kinds: readonly string[]): string {
    const times = (kind: string): number => this.counts.get(kind) ?? 0;
    const least = Math.min(...kinds.map(times));
    return this.#chance.pick(kinds.filter((kind) => times(kind) <= least + 1));
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}
