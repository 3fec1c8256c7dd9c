/** What the machines cost: start from cached images, and the memory of each resident process, idle and under load. */

import { cellStatus } from "#fleet/cell/cell.ts";
import { cellsDown } from "#fleet/cell/cells.ts";
import { cellProcesses } from "#fleet/cell/processes.ts";
import { siteMachines } from "#fleet/plan.ts";
import { openStage, type Stage } from "#test/world/stage.ts";

/** Proportional set sizes in MB by machine and program; processes of one program add up. */
type Memory = Record<string, Record<string, number>>;

async function memoryOf(stage: Stage): Promise<Memory> {
  const memory: Memory = {};
  for (const { name } of siteMachines(stage.fleet, stage.fleet.live)) {
    const status = await cellStatus(stage.fleet.name, name);
    if (status === undefined) throw new Error(`"${name}" does not run`);
    const programs: Record<string, number> = {};
    for (const { command, memoryBytes } of await cellProcesses(status.pid)) {
      const program = command.find((word) => word.endsWith(".mjs")) ?? command[0] ?? "";
      const title = (program.split("/").at(-1) ?? "").replace(/[: ].*/, "").replace(".mjs", "");
      programs[title] = Math.round(((programs[title] ?? 0) + memoryBytes / 1e6) * 10) / 10;
    }
    memory[name] = programs;
  }
  return memory;
}

export async function benchMachines(): Promise<Record<string, unknown>> {
  const stage = await openStage({
    name: "bench",
    net: 141,
    people: ["alice"],
    changes: [["quota: 100 MB", "quota: 100 GB"]],
    onProgress: (text) => process.stderr.write(`bench: ${text}\n`),
  });
  try {
    await cellsDown(stage.fleet.name);
    const started = performance.now();
    await stage.up();
    const startSeconds = (performance.now() - started) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const idle = await memoryOf(stage);
    const load = [
      "smtp-source",
      "-d",
      "-l",
      "100000",
      "-m",
      "400",
      "-s",
      "10",
      "-f",
      "carol@post.example",
      "-t",
      "alice@shoal.example",
    ];
    const sent = stage.exec("post", [...load, `${stage.address("in")}:25`], { timeoutSeconds: 300 });
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const loaded = await memoryOf(stage);
    const { status, stderr } = await sent;
    if (status !== 0) throw new Error(`smtp-source failed: ${stderr}`);
    return { startSeconds, idleMegabytes: idle, loadedMegabytes: loaded };
  } finally {
    await stage.close();
  }
}
