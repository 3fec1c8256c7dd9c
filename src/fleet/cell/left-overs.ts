/** Processes of a machine of which the runtime knows nothing (any more): its state was lost, or it was killed half way. */

import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";

/**
 * Kills everything that lives in a machine's root or in its network, and waits until it is gone.
 * @param upper upper layer of the machine's root, which no other mount has
 * @param namespace name of its network namespace; null when there is none
 */
export async function killLeftOvers(upper: string, namespace: string | null): Promise<void> {
  const find = async (): Promise<Set<number>> =>
    new Set([...processesInRoot(upper), ...(namespace === null ? [] : await processesInNetwork(namespace))]);
  for (let tries = 0; tries < 100; tries++) {
    const found = await find();
    if (found.size === 0) return;
    for (const pid of found) kill(pid);
    await sleep(50);
  }
  throw new HostError("EXEC", `processes ${[...(await find())].join(", ")} do not end`, {
    hint: "they wait for a disk or a device; look at them with ps",
  });
}

async function processesInNetwork(namespace: string): Promise<number[]> {
  const { stdout } = await exec("ip", ["netns", "pids", namespace]);
  return stdout.toString("utf8").split("\n").filter(Boolean).map(Number);
}

/** Processes whose own root is an overlay with that upper layer (proc_pid_mountinfo(5)). */
function processesInRoot(upper: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) =>
      mountsOf(pid)
        .split("\n")
        .some((line) => line.split(" ")[4] === "/" && `${line},`.includes(`,upperdir=${upper},`)),
    );
}

function mountsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, "utf8");
  } catch (error) {
    // Gone meanwhile, a zombie, or none of ours: the host's root may look at every process of its machines.
    if (["ENOENT", "ESRCH", "EINVAL", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // Gone meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
