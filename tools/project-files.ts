/** The project's own files: everything but what is installed, built or kept by git. */

import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";

const FOREIGN = new Set(["node_modules", "dist", ".git"]);

/** Paths below `root` with "/" between folders, sorted, without node_modules, dist, .git and logs. */
export async function projectFiles(root: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (FOREIGN.has(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await visit(path);
      else if (!entry.name.endsWith(".log")) found.push(relative(root, path).split(sep).join("/"));
    }
  };
  await visit(root);
  return found.sort();
}
