/** What the machines cost: start from cached images, and the memory of each resident process, idle and under load. */

import { readdir, readFile } from "node:fs/promises";
import { cellStatus } from "#fleet/cell/cell.ts";
import { cellsDown } from "#fleet/cell/cells.ts";
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
    const proc = `/proc/${status.pid}/root/proc`;
    for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry))) {
      // A process may end while we look.
      const [command, rollup] = await Promise.all(
        ["cmdline", "smaps_rollup"].map((file) => readFile(`${proc}/${pid}/${file}`, "utf8").catch(() => "")),
      );
      const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(rollup ?? "")?.[1];
      if (command === undefined || command === "" || kilobytes === undefined) continue;
      const words = command.split("\0").filter((word) => word !== "");
      const program = words.find((word) => word.endsWith(".mjs")) ?? words[0] ?? "";
      const title = (program.split("/").at(-1) ?? "").replace(/:.*/, "").replace(".mjs", "");
      programs[title] = Math.round(((programs[title] ?? 0) + Number(kilobytes) / 1024) * 10) / 10;
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
