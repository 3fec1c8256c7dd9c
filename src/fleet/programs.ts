import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HostError } from "#core/errors.ts";
import { exists } from "#host/files.ts";

/** The built file of one of our programs: beside this one where this one is built, else in `dist/`. */
export async function readProgram(name: string): Promise<Buffer> {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const folder of [here, join(here, "../../dist")]) {
    const path = join(folder, `${name}.mjs`);
    if (await exists(path)) return await readFile(path);
  }
  throw new HostError("FILE", `the program "${name}" is not built`, { hint: "run `npm run build`" });
}
