/** Bundles every program to one readable file in `dist/` and says which modules are inside. */

import { mkdir, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Program name -> its main file. */
export const programs: Readonly<Record<string, string>> = {
  shoal: "src/client/main.ts",
  shoalctl: "src/fleet/main.ts",
  "shoal-front": "src/roles/in/front/main.ts",
  "shoal-seal": "src/roles/in/seal/main.ts",
  "shoal-courier": "src/roles/in/courier/main.ts",
  "shoal-accept": "src/roles/accept/main.ts",
  "shoal-keys": "src/roles/keys/main.ts",
  "shoal-ledger": "src/roles/ledger/main.ts",
  "shoal-submit": "src/roles/out/main.ts",
  "shoal-trial": "src/roles/out/trial/main.ts",
};

/** Debian's Node is older than these need, and somebody will start them with it. */
const startedByPeople: ReadonlySet<string> = new Set(["shoal", "shoalctl"]);

/** The floor is that of package.json. */
function refuseOldNode(name: string): string {
  return `
{
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 24 || (major === 24 && minor < 12)) {
    process.stderr.write(\`${name}: error: this is Node \${process.versions.node}, expected 24.12 or later\\n\`);
    process.exit(78);
  }
}`;
}

/** An old Node does not come as far as the first line of a file that imports what it lacks. */
function importLate(text: string): string {
  return text.replaceAll(/^import \{([^}]*)\} from ("node:[^"]+");$/gm, (line, names: string, from: string) =>
    names.includes("shoalRequire") ? line : `const {${names.replaceAll(" as ", ": ")}} = require(${from});`,
  );
}

export interface Bundle {
  name: string;
  /** Path of the built file. */
  path: string;
  /** The project's modules and the packages inside, sorted. */
  modules: string[];
}

/** Builds one program; the same sources give the same bytes. */
export async function bundle(name: string, outFolder = join(root, "dist")): Promise<Bundle> {
  const main = programs[name];
  if (main === undefined) throw new Error(`no program "${name}"`);
  const path = join(outFolder, `${name}.mjs`);
  const result = await build({
    entryPoints: [join(root, main)],
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    write: false,
    metafile: true,
    outfile: path,
    banner: {
      js: `#!/usr/bin/env node\nimport { createRequire as shoalRequire } from "node:module";\nconst require = shoalRequire(import.meta.url);${startedByPeople.has(name) ? refuseOldNode(name) : ""}`,
    },
    legalComments: "none",
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`esbuild gave no file for "${name}"`);
  await mkdir(outFolder, { recursive: true });
  // Stages that open at the same time read it while another one writes it.
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, startedByPeople.has(name) ? importLate(output.text) : output.contents, { mode: 0o755 });
  await rename(temporary, path);
  const modules = Object.keys(result.metafile.inputs)
    .map((file) => relative(root, join(root, file)))
    .map((file) => (file.startsWith("node_modules/") ? `package ${packageOf(file)}` : file));
  return { name, path, modules: [...new Set(modules)].sort() };
}

function packageOf(file: string): string {
  const parts = file.split("node_modules/").at(-1)?.split("/") ?? [];
  return parts[0]?.startsWith("@") ? `${parts[0]}/${parts[1]}` : (parts[0] ?? basename(file));
}

if (import.meta.main) {
  for (const name of Object.keys(programs)) {
    const built = await bundle(name);
    console.log(`${relative(root, built.path)}  ${built.modules.length} modules`);
  }
}
