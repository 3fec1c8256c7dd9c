/** Cuts a link between machines without a word to either end: packets are dropped in the router between them. */

import { routerNamespace } from "#fleet/cell/places.ts";
import { exec } from "#host/exec.ts";
import type { Trouble } from "#test/drills/chaos.ts";

let cuts = 0;

/**
 * @param network whose router is told
 * @param ends addresses or prefixes of both ends
 * @returns a function that joins the ends again
 */
export async function cutLink(network: string, [one, other]: readonly [string, string]): Promise<() => Promise<void>> {
  const table = `inet cut${++cuts}`;
  await nft(
    network,
    `table ${table} {
  chain forward {
    type filter hook forward priority -10; policy accept;
    ip saddr ${one} ip daddr ${other} drop
    ip saddr ${other} ip daddr ${one} drop
  }
}
`,
  );
  return () => nft(network, `delete table ${table}\n`);
}

/** A {@link cutLink} for {@link Chaos}. */
export function linkTrouble(kind: string, network: string, ends: readonly [string, string]): Trouble {
  return { kind, begin: () => cutLink(network, ends) };
}

async function nft(network: string, rules: string): Promise<void> {
  await exec("ip", ["netns", "exec", routerNamespace(network), "nft", "-f", "-"], { input: rules });
}
