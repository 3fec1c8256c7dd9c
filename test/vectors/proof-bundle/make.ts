/**
 * Writes the vectors beside this file, the same bytes each time; docs/formats/proof-bundle.md, "The vectors", says how to read
 * them.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acceptedBundles, judge, linesOf, rootsOf, scene } from "./bundles.ts";
import { refusedBundles } from "./refused.ts";

/** Every file by its path. */
export function vectors(): Map<string, Buffer> {
  const made = new Map<string, Buffer>();
  const text = (path: string, content: string): void => void made.set(path, Buffer.from(content, "latin1"));
  const { world } = scene();
  text("operator", `${[...rootsOf(world)].join("\n")}\n`);
  text("account", `${world.standing.id}\n`);
  for (const [name, { bytes }] of acceptedBundles()) {
    made.set(`accept/${name}.tar`, bytes);
    text(`accept/${name}.txt`, linesOf(judge(bytes, rootsOf(world), world.standing.id)));
  }
  const codes: string[] = [];
  for (const [name, { code, bytes }] of refusedBundles()) {
    if (made.has(`reject/${name}.tar`)) throw new Error(`two vectors are named ${name}`);
    made.set(`reject/${name}.tar`, bytes);
    codes.push(`${name} ${code}\n`);
  }
  text("reject/codes", codes.sort().join(""));
  return made;
}

if (import.meta.main) {
  for (const folder of ["accept", "reject"]) {
    rmSync(join(import.meta.dirname, folder), { recursive: true, force: true });
    mkdirSync(join(import.meta.dirname, folder));
  }
  for (const [path, content] of vectors()) writeFileSync(join(import.meta.dirname, path), content);
}
