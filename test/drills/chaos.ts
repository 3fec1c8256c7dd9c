/** What happens to machines while mail flows: processes killed, links cut, disks full, at random and all at once. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Chance } from "#test/drills/chance.ts";
import type { DrillStage } from "#test/drills/drill-stage.ts";
import { cutLink } from "#test/drills/links.ts";
import { killNow, MachineProcesses, type Victim, victims } from "#test/drills/victims.ts";
import { worldAddresses } from "#test/world/world.ts";

/** Each kind of thing must have happened that often. */
export const leastTimes = 3;
/** Processes that are killed, and links that are cut, side by side. */
const killers = 3;
const cutters = 3;
/** How long a process is waited for that is not always there. */
const patienceMilliseconds = 2500;

const machineNames = {
  in: "alpha-in",
  "spam-in": "alpha-spam-in",
  fetch: "alpha-fetch",
  ledger: "alpha-ledger",
  user: "user",
} as const;

export class Chaos {
  readonly #drill: DrillStage;
  readonly #chance: Chance;
  readonly #world: string;
  /** No machine is replaced while this goes on. */
  readonly #processes = new Map<Victim["machine"], Promise<MachineProcesses>>();
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
    const [entrance, judge, keeper, ledger] = ["in", "spam-in", "fetch", "ledger"].map((role) =>
      stage.address(role),
    ) as [string, string, string, string];
    return new Map([
      ["link in - fetch", [entrance, keeper]],
      ["link in - spam-in", [entrance, judge]],
      ["link world - in", [`${this.#world}.0/24`, entrance]],
      ["link in - ledger", [entrance, ledger]],
      ["link ledger - fetch", [ledger, keeper]],
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
    const works = [
      ...Array.from({ length: killers }, () => () => this.#killOne()),
      ...Array.from({ length: cutters }, () => () => this.#cutOne(links)),
      () => this.#fillOne(disks),
    ].map(async (work) => {
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
    const { stage, network } = this.#drill;
    const known = this.#processes.get(machine);
    if (known !== undefined) return await known;
    const looking = MachineProcesses.of(machine === "user" ? stage.world : network, machineNames[machine]);
    this.#processes.set(machine, looking);
    return await looking;
  }

  async #cutOne(links: readonly (readonly [string, readonly [string, string]])[]): Promise<void> {
    await sleep(this.#chance.between(2000, 5000));
    const kind = this.#rarest(links.map(([name]) => name));
    const ends = links.find(([name]) => name === kind)?.[1];
    if (ends === undefined) return;
    const join = await cutLink(this.#drill.network, ends);
    try {
      await sleep(this.#chance.between(1000, 4000));
    } finally {
      await join();
    }
    this.#count(kind);
  }

  async #fillOne(kinds: readonly string[]): Promise<void> {
    await sleep(this.#chance.between(1500, 4000));
    const kind = this.#rarest(kinds);
    const { disks } = this.#drill;
    const disk = kind === "disk of in full" ? disks.in : disks.fetch;
    try {
      await disk.fill();
      await sleep(this.#chance.between(4000, 6000));
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
