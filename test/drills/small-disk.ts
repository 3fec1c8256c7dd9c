/** A disk of a machine that can be filled up and emptied again: a file system in memory under what the machine keeps. */

import { open, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { cellPlaces } from "#fleet/cell/places.ts";
import { exec, tryExec } from "#host/exec.ts";
import { makeFolder } from "#host/files.ts";

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

  /** Leaves no room for another byte. The file that takes it lies where the machine does not see it. */
  async fill(): Promise<void> {
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
