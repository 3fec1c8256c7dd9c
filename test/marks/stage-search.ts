/** Searches everything that the servers of a stage's fleet hold, have written, and have deleted without letting go. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { cellStatus } from "#fleet/cell/cell.ts";
import { cellPlaces, networkFolder } from "#fleet/cell/places.ts";
import { siteMachines } from "#fleet/plan.ts";
import type { SearchResult } from "#test/marks/search.ts";
import { searchEverywhere } from "#test/marks/system.ts";
import type { Stage } from "#test/world/stage.ts";

/**
 * Root file systems of all machines of the fleet, what is kept of them, their file systems in memory, files that their
 * processes hold open though they are deleted, all swap and cores of the host. Machines that are down count with what is
 * kept of them. The users' computer and the strangers are no servers of ours and not searched.
 * @param scope "written" leaves out what no machine can have written: the layer of its image below its own, which is most of
 *   all files
 */
export async function searchStage(
  stage: Pick<Stage, "fleet">,
  marks: readonly string[],
  scope: "all" | "written" = "all",
): Promise<SearchResult> {
  const { fleet } = stage;
  // Keys, kept folders, and of each running machine its mounted root.
  const roots = [networkFolder(fleet.name)];
  const pids: number[] = [];
  const merged = new Set<string>();
  for (const { name } of siteMachines(fleet, fleet.live)) {
    const status = await cellStatus(fleet.name, name);
    if (status?.status !== "running") continue;
    roots.push(...memoryMounts(status.pid));
    pids.push(...processesWith(status.pid));
    // The upper layer lies beside it and is searched for itself.
    if (scope === "written") merged.add(cellPlaces(fleet.name, name).root);
  }
  return await searchEverywhere(roots, pids, marks, merged);
}

/** File systems in memory of a machine, as paths of the host (proc_pid_mountinfo(5)). */
function memoryMounts(pid: number): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .filter((line) => / - (?:tmpfs|ramfs) /.test(line))
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => !path.startsWith("/proc/"))
    .map((path) => `/proc/${pid}/root${path}`);
}

/** All processes of the machine whose first process this is. */
function processesWith(first: number): number[] {
  const namespace = readlinkSync(`/proc/${first}/ns/pid`);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
      } catch (error) {
        // Gone meanwhile; or none of ours, since the host's root may look at every process of its cells.
        if (["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
        throw error;
      }
    });
}
