/** A stage for drills: the machines that keep something keep it on small disks, and everything is removed in any case. */

import { stopCell } from "#fleet/cell/cell.ts";
import { cellsDown } from "#fleet/cell/cells.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { SmallDisk } from "#test/drills/small-disk.ts";
import { openStage, type Stage, type StageOptions } from "#test/world/stage.ts";

export interface DrillStage<Role extends string> {
  stage: Stage;
  /** Name of the fleet's network. */
  network: string;
  /** By the role that keeps its things there. */
  disks: Readonly<Record<Role, SmallDisk>>;
  close(): Promise<void>;
}

const diskBytes = 128 * 1024 * 1024;

/**
 * @param keepers roles whose machines get small disks
 * @throws HostError BUSY while another process has a stage of that name
 */
export async function openDrillStage<Role extends string>(
  network: string,
  keepers: readonly Role[],
  options: Partial<StageOptions> = {},
): Promise<DrillStage<Role>> {
  await makeFolder("/run/shoal");
  const lock = takeLock(`/run/shoal/${network}.lock`, `a drill named "${network}"`);
  const disks = Object.fromEntries(keepers.map((role) => [role, new SmallDisk(network, `alpha-${role}`)])) as Record<
    Role,
    SmallDisk
  >;
  const removeDisks = async (): Promise<void> => {
    await cellsDown(network);
    for (const role of keepers) await disks[role].unmount();
  };
  // Of a drill that was killed.
  await removeDisks();
  const stage = await openStage({ name: network, ...options });
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
    for (const role of keepers) {
      await stopCell(network, `alpha-${role}`);
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
