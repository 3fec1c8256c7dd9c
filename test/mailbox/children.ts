import { readdirSync, readFileSync } from "node:fs";

/** Ids of processes that a process has started. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        return readFileSync(`/proc/${child}/stat`, "latin1").split(") ")[1]?.split(" ")[1] === String(pid);
      } catch {
        // It has ended.
        return false;
      }
    });
}
