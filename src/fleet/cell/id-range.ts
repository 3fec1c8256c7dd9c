/**
 * Each role's own range of user ids on the host: root inside a cell is nobody outside, and nobody in every other role.
 * A role keeps its range for ever, because kept data on disk is owned by it.
 */

import { exists, makeFolder, readBounded, writeDurably } from "#host/files.ts";
import { waitForLock } from "#host/lock.ts";
import { stateFolder } from "./places.ts";

export interface IdRange {
  /** Host id of the cell's id 0. */
  first: number;
  size: number;
}

const size = 65_536;
/** Far above the ranges that Debian gives to accounts in `/etc/subuid`. */
const firstOfAll = 0x1000_0000;

/** The range of a role; a role never seen gets the next free one. */
export async function idRange(role: string): Promise<IdRange> {
  const path = `${stateFolder}/id-ranges`;
  await makeFolder(stateFolder, 0o711);
  const lock = await waitForLock(`${path}.lock`);
  try {
    return await rangeIn(path, role);
  } finally {
    lock.release();
  }
}

async function rangeIn(path: string, role: string): Promise<IdRange> {
  const lines = (await exists(path))
    ? (await readBounded(path, 1 << 20)).toString("utf8").split("\n").slice(0, -1)
    : [];
  let slot = lines.indexOf(role);
  if (slot === -1) {
    slot = lines.length;
    await writeDurably(path, [...lines, role].map((line) => `${line}\n`).join(""), 0o600);
  }
  return { first: firstOfAll + slot * size, size };
}
