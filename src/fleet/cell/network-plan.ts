import type { LinkSpec, MachineSpec } from "#fleet/machine.ts";

/** A network of cells: machines, the only connections between them, and the way to the world. */
export interface NetworkPlan {
  /** Letters and digits; names namespaces, folders and interfaces. At most 11 characters. */
  name: string;
  machines: readonly MachineSpec[];
  /** "open": no filter between the machines and the world (a test internet). */
  links: readonly LinkSpec[] | "open";
  /** Where the world is: the host itself or another named network namespace. */
  uplink: { kind: "host" } | { kind: "netns"; name: string };
  /** All addresses of the network, `a.b.c.d/n`. */
  prefix: string;
  /** Prefixes of other networks that are reached through this one. */
  transit: readonly string[];
  /** The router's own address towards the world, and the world's address on that link. */
  routerAddress: string;
  outsideAddress: string;
}
