/** What happens on the way of mail out: to every process, all links, the disk, and the names of the world. */

import type { ChaosPlan, Trouble } from "#test/drills/chaos.ts";
import type { DrillStage } from "#test/drills/drill-stage.ts";
import { linkTrouble } from "#test/drills/links.ts";
import { outVictims } from "#test/drills/out-victims.ts";
import { diskTrouble } from "#test/drills/small-disk.ts";
import { zonePath } from "#test/world/dns.ts";
import type { Stage } from "#test/world/stage.ts";
import { worldAddresses } from "#test/world/world.ts";

/** The guard of the queue looks each second; machines are busy. */
export const diskWarningMilliseconds = 4000;

export function outChaosPlan({ stage, network, disks }: DrillStage<"out">): ChaosPlan {
  const world = stage.fleet.resolver.replace(/\.\d+$/, "");
  const addresses = worldAddresses(world);
  const out = stage.address("out");
  const seconds = 1000;
  return {
    victims: outVictims,
    killers: 2,
    pauseMilliseconds: [200, 1600],
    leastTimes: 2,
    machine: (role) => (role === "user" ? [stage.world, role] : [network, `alpha-${role}`]),
    troubles: [
      {
        troubles: [
          linkTrouble("link user - out", network, [addresses.user, out]),
          linkTrouble("link out - world", network, ["0.0.0.0/0", `{ ${addresses.post}, ${addresses.exim} }`]),
          linkTrouble("link out - in", network, [out, stage.address("in")]),
        ],
        pauseMilliseconds: [1 * seconds, 3 * seconds],
        lastsMilliseconds: [1 * seconds, 3 * seconds],
        leastTimes: 2,
      },
      {
        troubles: [diskTrouble("disk of out full", disks.out, diskWarningMilliseconds)],
        pauseMilliseconds: [6 * seconds, 10 * seconds],
        lastsMilliseconds: [2 * seconds, 4 * seconds],
        leastTimes: 2,
      },
      {
        troubles: [
          namesTrouble(stage, "names vanish", "sv down nsd", "sv up nsd"),
          namesTrouble(stage, "names stall", "kill -STOP $(pidof nsd)", "kill -CONT $(pidof nsd)"),
          namesTrouble(
            stage,
            "names lie",
            `cp ${zonePath("post.example")} /tmp/true; sed -i 's/ A .*/ A ${addresses.exim}/' ${zonePath("post.example")}; sv restart nsd`,
            `cp /tmp/true ${zonePath("post.example")}; sv restart nsd`,
          ),
        ],
        pauseMilliseconds: [3 * seconds, 6 * seconds],
        lastsMilliseconds: [2 * seconds, 5 * seconds],
        leastTimes: 1,
      },
    ],
  };
}

function namesTrouble(stage: Stage, kind: string, begin: string, end: string): Trouble {
  const run = async (script: string): Promise<void> => {
    const { status, stderr } = await stage.exec("dns", ["sh", "-ec", script]);
    if (status !== 0) throw new Error(`${kind}: ${stderr}`);
  };
  return {
    kind,
    async begin() {
      await run(begin);
      return () => run(end);
    },
  };
}
