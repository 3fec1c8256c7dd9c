/**
 * Writes the vectors beside this file, the same bytes each time. docs/formats/directory.md, "Vectors", says what stands in
 * one.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acceptedRecords } from "./accepted.ts";
import { refusedRecords } from "./refused.ts";

/** Every vector by its path: accept/NAME or reject/NAME. */
export function vectors(): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, records] of acceptedRecords()) all.set(`accept/${name}`, records.vector("ACCEPTED"));
  for (const [name, code, records] of refusedRecords()) {
    if (all.has(`reject/${name}`)) throw new Error(`two vectors are named ${name}`);
    all.set(`reject/${name}`, records.vector(code));
  }
  return all;
}

if (import.meta.main) {
  for (const folder of ["accept", "reject"]) {
    rmSync(join(import.meta.dirname, folder), { recursive: true, force: true });
    mkdirSync(join(import.meta.dirname, folder));
  }
  for (const [path, text] of vectors()) writeFileSync(join(import.meta.dirname, path), text, "latin1");
}
