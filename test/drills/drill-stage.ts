/** A stage for drills: the machines that keep something keep it on small disks, and everything is removed in any case. */

import { stopCell } from "#fleet/cell/cell.ts";
import { cellsDown } from "#fleet/cell/cells.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { SmallDisk } from "#test/drills/small-disk.ts";
import { openStage, type Stage } from "#test/world/stage.ts";

export interface DrillStage {
  stage: Stage;
  /** Name of the fleet's network. */
  network: string;
  disks: { in: SmallDisk; fetch: SmallDisk };
  close(): Promise<void>;
}

const diskBytes = 128 * 1024 * 1024;
const keepers = { in: "alpha-in", fetch: "alpha-fetch" } as const;

/**
 * @param net see {@link openStage}
 * @throws HostError BUSY while another process has a stage of that name
 */
export async function openDrillStage(network: string, net: number): Promise<DrillStage> {
  await makeFolder("/run/shoal");
  const lock = takeLock(`/run/shoal/${network}.lock`, `a drill named "${network}"`);
  const disks = { in: new SmallDisk(network, keepers.in), fetch: new SmallDisk(network, keepers.fetch) };
  const removeDisks = async (): Promise<void> => {
    await cellsDown(network);
    for (const disk of Object.values(disks)) await disk.unmount();
  };
  // Of a drill that was killed.
  await removeDisks();
  const stage = await openStage({ name: network, net });
  const close = async (): Promise<void> => {
    await removeDisks();
    await stage.close();
    lock.release();
  };
  const onSignal = (): void => {
    void close().finally(() => process.exit(143));
  };
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  try {
    for (const role of ["in", "fetch"] as const) {
      await stopCell(network, keepers[role]);
      await disks[role].mount(diskBytes);
    }
    await stage.up();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    stage,
    network,
    disks,
    async close() {
      process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
      await close();
    },
  };
}
