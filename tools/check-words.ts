/** Words that must not stand in the project: another machine's paths, package mirrors, marks of unfinished work. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { projectFiles } from "./project-files.ts";

interface Rule {
  pattern: RegExp;
  why: string;
  /** Which files it is about; default: all. */
  files?: RegExp;
}

/** Built from pieces, so that the rules do not break themselves. */
function rule(pieces: readonly string[], why: string, files?: RegExp): Rule {
  return { pattern: new RegExp(pieces.join("")), why, ...(files === undefined ? {} : { files }) };
}

const CODE = /\.(?:ts|mjs|sh)$/;
const HOSTS = "a package mirror: every machine has its own";
const PATHS = "a path of one machine: name it relative to the project, or make a temporary folder";

const RULES: readonly Rule[] = [
  rule(["(?<![\\w.~-])/ho", "me/[A-Za-z0-9_]"], PATHS),
  rule(["(?<![\\w.~-])/Us", "ers/[A-Za-z0-9_]"], PATHS),
  rule(["(?<![\\w.~-])/wo", "rk/[A-Za-z0-9_.]"], PATHS),
  rule(["\\bregi", "stry\\.[a-z]"], HOSTS),
  rule(["\\bnpm", "js\\.(?:org|com)"], HOSTS),
  rule(["\\b(?:deb|ftp|security|archive|snapshot)\\.", "debian\\.org"], HOSTS),
  rule(["\\b(?:TO", "DO|FIX", "ME|XX", "X)\\b"], "unfinished work: finish it, or name the gap in a BUG comment", CODE),
  rule(["\\b(?:test|it|describe)\\.(?:on", "ly|sk", "ip|to", "do)\\("], "a test that does not run", CODE),
];

/** Breaks of the rules in one file, as `FILE:LINE: …`. */
export function wordsIn(file: string, content: string): string[] {
  const rules = RULES.filter(({ files }) => files === undefined || files.test(file));
  return content.split("\n").flatMap((line, i) =>
    rules.flatMap(({ pattern, why }) => {
      const match = pattern.exec(line);
      return match === null ? [] : [`${file}:${i + 1}: found "${match[0]}": ${why}`];
    }),
  );
}

/** All breaks in the project; binary files are left out. */
export async function checkWords(root: string): Promise<string[]> {
  const problems: string[] = [];
  for (const file of await projectFiles(root)) {
    const bytes = await readFile(join(root, file));
    if (!bytes.subarray(0, 8192).includes(0)) problems.push(...wordsIn(file, bytes.toString("latin1")));
  }
  return problems;
}
