import { readdir, readFile } from "node:fs/promises";

export interface CellProcess {
  /** Arguments, as the process has them now. */
  command: string[];
  /** Proportional set size: its own memory and its share of what it has in common with others. */
  memoryBytes: number;
}

/** All processes of a machine, seen from the host. @param pid the machine's first process */
export async function cellProcesses(pid: number): Promise<CellProcess[]> {
  const proc = `/proc/${pid}/root/proc`;
  const processes: CellProcess[] = [];
  for (const entry of await readdir(proc)) {
    if (!/^\d+$/.test(entry)) continue;
    const [command, rollup] = await Promise.all(
      ["cmdline", "smaps_rollup"].map((file) => readFile(`${proc}/${entry}/${file}`, "utf8").catch(endedMeanwhile)),
    );
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(rollup ?? "")?.[1];
    if (command === undefined || kilobytes === undefined) continue;
    processes.push({
      command: command.split("\0").filter((word) => word !== ""),
      memoryBytes: Number(kilobytes) * 1024,
    });
  }
  return processes;
}

function endedMeanwhile(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT" || error.code === "ESRCH") return "";
  throw error;
}
