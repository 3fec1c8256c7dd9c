/** From the definition to machines: names, addresses, links. Pure. */

import type { NetworkPlan } from "./cell/network-plan.ts";
import type { Fleet } from "./definition/definition.ts";
import { parseAddress, printAddress } from "./definition/network.ts";
import type { LinkSpec, MachineSpec } from "./machine.ts";
import { fetchRole } from "./roles/fetch.ts";
import { inRole } from "./roles/in.ts";
import { keysRole } from "./roles/keys.ts";
import { ledgerRole } from "./roles/ledger.ts";
import { outRole } from "./roles/out.ts";
import type { FleetKeys, MachineId, Role, RoleName, RoleView, SecretSpec } from "./roles/role.ts";
import { spamInRole } from "./roles/spam-in.ts";
import { spamOutRole } from "./roles/spam-out.ts";

/** Every role that can be built. The order gives the addresses: new ones go to the end. */
export const roles: readonly Role[] = [inRole, spamInRole, fetchRole, keysRole, ledgerRole, outRole, spamOutRole];

/** Second addresses stand where a 15th role would: one role has them. */
const secondAddresses = 14;

/** Sites get 256 addresses each, roles 16 of them, machines of a role one each. */
function addressOf(fleet: Fleet, site: number, role: number, number: number): string {
  const base = parseAddress(fleet.network.base);
  if (base === null) throw new TypeError(`"${fleet.network.base}" is no address`);
  return printAddress(base + site * 256 + (role + 1) * 16 + number);
}

/** The machines of one site. */
export function siteMachines(fleet: Fleet, site: string): MachineId[] {
  return roles.flatMap((role, roleIndex) =>
    Array.from({ length: fleet.roles[role.name] }, (_, index) => {
      const number = index + 1;
      const suffix = number === 1 ? "" : `-${number}`;
      const siteIndex = fleet.sites.indexOf(site);
      return {
        name: `${site}-${role.name}${suffix}`,
        role: role.name,
        site,
        number,
        hostname: `${role.name}${suffix}.mail.${fleet.domain}`,
        address: addressOf(fleet, siteIndex, roleIndex, number),
        ...(role.hasSecondAddress === true
          ? { secondAddress: addressOf(fleet, siteIndex, secondAddresses, number) }
          : {}),
      };
    }),
  );
}

function views(fleet: Fleet, keys: FleetKeys): { role: Role; view: RoleView }[] {
  const site = siteMachines(fleet, fleet.live);
  return site.map((machine) => ({ role: roleNamed(machine.role), view: { fleet, keys, machine, site } }));
}

function roleNamed(name: RoleName): Role {
  const role = roles.find((one) => one.name === name);
  if (role === undefined) throw new TypeError(`no role "${name}"`);
  return role;
}

/** What bring-up has to make before anything can be rendered. */
export function fleetSecrets(fleet: Fleet, dkimGeneration: number): SecretSpec[] {
  return views(fleet, { publicKeys: new Map(), dkimGeneration }).flatMap(({ role, view }) => role.secrets(view));
}

/** Everything that the live site's machines are: the whole input of a target. */
export function fleetPlan(fleet: Fleet, keys: FleetKeys): NetworkPlan {
  const machines: MachineSpec[] = [];
  const links: LinkSpec[] = [];
  for (const { role, view } of views(fleet, keys)) {
    const { name, hostname, address, secondAddress } = view.machine;
    const addresses = secondAddress === undefined ? { address } : { address, secondAddress };
    machines.push({ name, role: role.name, hostname, ...addresses, ...role.machine(view) });
    links.push(...role.links(view));
  }
  const base = parseAddress(fleet.network.base) ?? 0;
  const last = base + 2 ** (32 - fleet.network.prefixLength) - 1;
  return {
    name: fleet.name,
    machines,
    links,
    uplink: fleet.uplink,
    prefix: `${fleet.network.base}/${fleet.network.prefixLength}`,
    transit: [],
    routerAddress: printAddress(last - 2),
    outsideAddress: printAddress(last - 1),
  };
}
