/**
 * What is inside each program is seen in review: test/golden/programs/NAME.txt lists the modules of each bundle, and this
 * compares. `npm run golden` rewrites the lists.
 */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bundle, bundle, programs, root } from "./build.ts";

export const GOLDEN_FOLDER = "test/golden/programs";

/** Builds every program and says, one line each, where a bundle is not what its list says. */
export async function checkGoldens(folder = root, update = false): Promise<string[]> {
  const problems: string[] = [];
  const goldens = join(folder, GOLDEN_FOLDER);
  if (update) await mkdir(goldens, { recursive: true });
  const output = await mkdtemp(join(tmpdir(), "shoal-bundles-"));
  try {
    for (const name of Object.keys(programs)) {
      const built = await bundle(name, output).catch((error: unknown) => {
        problems.push(`${name}: can't be built from ${programs[name]}: ${firstLines(error)}`);
        return null;
      });
      if (built === null) continue;
      if (update) await writeFile(join(goldens, `${name}.txt`), printModules(built));
      problems.push(...(await compare(goldens, built)));
    }
  } finally {
    await rm(output, { recursive: true });
  }
  for (const file of await readdir(goldens).catch(missingIs<string[]>([]))) {
    if (!Object.hasOwn(programs, file.replace(/\.txt$/, "")))
      problems.push(`${GOLDEN_FOLDER}/${file}: no such program`);
  }
  return problems;
}

function printModules({ modules }: Bundle): string {
  return modules.map((module) => `${module}\n`).join("");
}

async function compare(goldens: string, built: Bundle): Promise<string[]> {
  const file = `${built.name}.txt`;
  const golden = await readFile(join(goldens, file), "utf8").catch(missingIs(null));
  if (golden === null) return [`${GOLDEN_FOLDER}/${file}: is missing (npm run golden writes it)`];
  return differences(golden.split("\n").filter(Boolean), built.modules).map(
    (line) => `${GOLDEN_FOLDER}/${file}: ${line}`,
  );
}

function missingIs<Value>(value: Value): (error: NodeJS.ErrnoException) => Value {
  return (error) => {
    if (error.code === "ENOENT") return value;
    throw error;
  };
}

/** `+ MODULE` for what is in the bundle and not in its list, `- MODULE` for the reverse. */
export function differences(expected: readonly string[], found: readonly string[]): string[] {
  return [
    ...found.filter((module) => !expected.includes(module)).map((module) => `+ ${module}`),
    ...expected.filter((module) => !found.includes(module)).map((module) => `- ${module}`),
  ];
}

function firstLines(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").filter(Boolean).slice(0, 3).join("; ");
}
