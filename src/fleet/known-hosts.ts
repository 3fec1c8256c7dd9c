/** What users' computers believe: the host keys of the machines that users reach, and the operators' keys. */

import { latestOf, type OperatorCopy } from "./accounts/operator-copy.ts";
import type { Fleet } from "./definition/definition.ts";
import { siteMachines } from "./plan.ts";
import type { FleetKeys } from "./roles/role.ts";

const usersReach: readonly string[] = ["fetch", "keys", "out"];

/**
 * Lines of known_hosts(5), each with its LF. No machine has the name `operator.DOMAIN`: under it stands who may say which
 * keys sign mailboxes (docs/formats/mailbox-ledger.md, "Signers").
 */
export function knownHostsLines(fleet: Fleet, { publicKeys }: FleetKeys, copy: OperatorCopy): string {
  const machines = siteMachines(fleet, fleet.live).flatMap(({ name, role, hostname, address }) => {
    const key = publicKeys.get(`host/${name}`);
    return usersReach.includes(role) && key !== undefined ? [`${hostname},${address} ${key}\n`] : [];
  });
  const operators = latestOf(copy).record.operators.map((key) => `operator.${fleet.domain} ${key}\n`);
  return [...machines, ...operators].join("");
}
