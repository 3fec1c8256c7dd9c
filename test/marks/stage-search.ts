/** The search of everything that the servers of a stage could have written to. */

import { readFile } from "node:fs/promises";
import { cellStatus } from "#fleet/cell/cell.ts";
import { cellPlaces } from "#fleet/cell/places.ts";
import { siteMachines } from "#fleet/plan.ts";
import { exists } from "#host/files.ts";
import type { SearchResult } from "#test/marks/search.ts";
import { searchEverywhere } from "#test/marks/system.ts";
import type { Stage } from "#test/world/stage.ts";

/**
 * Searches every file of every server machine: its whole root as it sees it, its memory file systems, its kept folders;
 * files that were deleted and are still open, and the swap and the cores of the host.
 */
export async function searchStage(stage: Stage, marks: readonly string[]): Promise<SearchResult> {
  const roots: string[] = [];
  const pids: number[] = [];
  for (const { name } of siteMachines(stage.fleet, stage.fleet.live)) {
    const places = cellPlaces(stage.fleet.name, name);
    const status = await cellStatus(stage.fleet.name, name);
    roots.push(places.root, places.keep);
    if (status?.status === "running") {
      pids.push(...(await processesBelow(status.pid)));
      roots.push(...["run", "tmp", "dev/shm"].map((folder) => `/proc/${status.pid}/root/${folder}`));
    }
  }
  const there: string[] = [];
  for (const root of roots) if (await exists(root)) there.push(root);
  return await searchEverywhere(there, pids, marks);
}

/** A process and everything below it. */
async function processesBelow(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch((error: NodeJS.ErrnoException) => {
    // It ended while we looked; its children have gone to the machine's first process.
    if (error.code === "ENOENT" || error.code === "ESRCH") return "";
    throw error;
  });
  const below = children.split(" ").filter((word) => word !== "");
  return [pid, ...(await Promise.all(below.map((child) => processesBelow(Number(child))))).flat()];
}
