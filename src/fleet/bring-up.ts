import { join } from "node:path";
import { makeFolder } from "#host/files.ts";
import type { ContentReader } from "./cell/cell.ts";
import { cellsUp } from "./cell/cells.ts";
import { networkFolder, stateFolder } from "./cell/places.ts";
import type { Fleet } from "./definition/definition.ts";
import { ensureFleetKeys, readSecret } from "./keys.ts";
import { fleetPlan } from "./plan.ts";
import { readProgram } from "./programs.ts";
import { renderPlan, writeRendered } from "./render.ts";

/** Where the bytes of a fleet's files come from. */
export function fleetContent(fleet: string): ContentReader {
  return async (content) => {
    if ("text" in content) return content.text;
    return "secret" in content ? await readSecret(fleet, content.secret) : await readProgram(content.program);
  };
}

/**
 * Makes the running machines of the live site what the definition says.
 * @returns names of the machines that were started
 */
export async function bringUp(fleet: Fleet, onProgress: (text: string) => void): Promise<string[]> {
  await makeFolder(stateFolder, 0o711);
  const plan = fleetPlan(fleet, await ensureFleetKeys(fleet));
  const started = await cellsUp(plan, { read: fleetContent(fleet.name), onProgress });
  await writeRendered(join(networkFolder(fleet.name), "rendered"), renderPlan(plan));
  return started;
}
