/** What happens on the way of mail in: every process, all links, both disks. */

import type { ChaosPlan } from "#test/drills/chaos.ts";
import type { DrillStage } from "#test/drills/drill-stage.ts";
import { linkTrouble } from "#test/drills/links.ts";
import { diskTrouble } from "#test/drills/small-disk.ts";
import { victims } from "#test/drills/victims.ts";
import { worldAddresses } from "#test/world/world.ts";

/** @param world first three numbers of the world's addresses */
export function inChaosPlan({ stage, network, disks }: DrillStage<"in" | "fetch">, world: string): ChaosPlan {
  const entrance = stage.address("in");
  const keeper = stage.address("fetch");
  const ledger = stage.address("ledger");
  const leastTimes = 3;
  return {
    victims,
    killers: 3,
    pauseMilliseconds: [200, 1600],
    leastTimes,
    machine: (role) => (role === "user" ? [stage.world, role] : [network, `alpha-${role}`]),
    troubles: [
      {
        troubles: [
          linkTrouble("link in - fetch", network, [entrance, keeper]),
          linkTrouble("link in - spam-in", network, [entrance, stage.address("spam-in")]),
          linkTrouble("link world - in", network, [`${world}.0/24`, entrance]),
          linkTrouble("link in - ledger", network, [entrance, ledger]),
          linkTrouble("link ledger - fetch", network, [ledger, keeper]),
          linkTrouble("link user - fetch", network, [worldAddresses(world).user, keeper]),
        ],
        atOnce: 3,
        pauseMilliseconds: [2000, 5000],
        lastsMilliseconds: [1000, 4000],
        leastTimes,
      },
      {
        troubles: [diskTrouble("disk of in full", disks.in), diskTrouble("disk of fetch full", disks.fetch)],
        pauseMilliseconds: [1500, 4000],
        lastsMilliseconds: [4000, 6000],
        leastTimes,
      },
    ],
  };
}
