/** Where cells live on the host. Everything of a network can be found by its name alone, so `down` works after any crash. */

export const cacheFolder = "/var/cache/shoal";
export const stateFolder = "/var/lib/shoal";
export const runcRoot = "/run/shoal/runc";

/** State of one network: keys, kept data, and the folders of running cells. */
export function networkFolder(network: string): string {
  return `${stateFolder}/${network}`;
}

export interface CellPlaces {
  /** Name of the container and of the cell's network namespace. */
  id: string;
  /** Everything of the running cell; removed when it goes down. */
  folder: string;
  /** OCI bundle: `config.json`. */
  bundle: string;
  /** Overlay: changes of this life, work folder, and the mounted root. */
  upper: string;
  work: string;
  root: string;
  /** Folders that outlive the cell. */
  keep: string;
}

export function cellPlaces(network: string, machine: string): CellPlaces {
  const folder = `${networkFolder(network)}/cells/${machine}`;
  return {
    id: `shoal-${network}-${machine}`,
    folder,
    bundle: `${folder}/bundle`,
    upper: `${folder}/upper`,
    work: `${folder}/work`,
    root: `${folder}/root`,
    keep: `${networkFolder(network)}/keep/${machine}`,
  };
}

/** The namespace that routes and filters between the cells of a network. */
export function routerNamespace(network: string): string {
  return `shoal-${network}`;
}
