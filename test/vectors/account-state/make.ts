/**
 * Writes the vectors beside this file, the same bytes each time: every key and every random number comes from the hash of
 * a name, and the keys exist for this alone. docs/formats/account-state.md, "Vectors", says what stands in one.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acceptedVectors } from "./accepted.ts";
import { refusedVectors } from "./refused.ts";

/** Every vector by its path: accept/NAME or reject/NAME. */
export function vectors(): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, story] of acceptedVectors()) all.set(`accept/${name}`, story.vector("ACCEPTED"));
  for (const [name, { code, story }] of refusedVectors()) all.set(`reject/${name}`, story.vector(code));
  return all;
}

if (import.meta.main) {
  for (const folder of ["accept", "reject"]) {
    rmSync(join(import.meta.dirname, folder), { recursive: true, force: true });
    mkdirSync(join(import.meta.dirname, folder));
  }
  for (const [path, text] of vectors()) writeFileSync(join(import.meta.dirname, path), text, "latin1");
}
