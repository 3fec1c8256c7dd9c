/** A disk of a machine that can be filled up and emptied again: a file system in memory under what the machine keeps. */

import { open, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cellPlaces } from "#fleet/cell/places.ts";
import { exec, tryExec } from "#host/exec.ts";
import { makeFolder } from "#host/files.ts";
import type { Trouble } from "#test/drills/chaos.ts";

const littleBytes = 16 * 1024 * 1024;

/** A disk without room, for {@link Chaos}. */
export function diskTrouble(kind: string, disk: SmallDisk, warningMilliseconds = 0): Trouble {
  return {
    kind,
    async begin() {
      const end = (): Promise<void> => disk.empty();
      try {
        await disk.fill(warningMilliseconds);
      } catch (error) {
        await end();
        throw error;
      }
      return end;
    },
  };
}

export class SmallDisk {
  readonly #folder: string;

  constructor(network: string, machine: string) {
    this.#folder = cellPlaces(network, machine).keep;
  }

  /** The machine must not run; it sees the disk when it starts, and what it kept before is out of sight. */
  async mount(bytes: number): Promise<void> {
    await makeFolder(this.#folder);
    await exec("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=755`, "tmpfs", this.#folder]);
  }

  /**
   * Leaves no room for another byte. The file that takes it lies where the machine does not see it.
   * @param warningMilliseconds how long there is a little room before, as on disks that fill at a natural pace
   */
  async fill(warningMilliseconds = 0): Promise<void> {
    if (warningMilliseconds > 0) {
      const taken = Math.max(0, (await this.freeBytes()) - littleBytes);
      const file = await open(this.#filler, "a");
      try {
        await file.write(Buffer.alloc(taken));
      } finally {
        await file.close();
      }
      await sleep(warningMilliseconds);
    }
    const file = await open(this.#filler, "a");
    try {
      for (let block = Buffer.alloc(1024 * 1024); block.length > 0; ) {
        try {
          await file.write(block);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          block = block.subarray(0, block.length >> 1);
        }
      }
    } finally {
      await file.close();
    }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#folder);
    return bavail * bsize;
  }

  async empty(): Promise<void> {
    await unlink(this.#filler);
  }

  /** Harmless when it is not mounted. */
  async unmount(): Promise<void> {
    while ((await tryExec("mountpoint", ["-q", this.#folder])).status === 0) await exec("umount", [this.#folder]);
  }

  get #filler(): string {
    return join(this.#folder, "filler");
  }
}
