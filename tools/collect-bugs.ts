/**
 * Known gaps are comments that start with `BUG:` at the place where the gap is. This collects them into
 * docs/known-bugs.md: `node tools/collect-bugs.ts` prints that page, `--write` writes it.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./build.ts";
import { projectFiles } from "./project-files.ts";

export const BUGS_PAGE = "docs/known-bugs.md";

export interface Bug {
  file: string;
  text: string;
}

// In pieces, so that this file does not report itself.
const MARK = new RegExp(["^\\s*(?://|#|\\*|/\\*\\*?)\\s*BU", "G:\\s*(.*)$"].join(""));
const CONTINUED = /^\s*(?:\/\/|#|\*(?!\/))\s*(\S.*)$/;

/** The bugs named in one file; a comment goes on to the end of its block. */
export function bugsIn(file: string, content: string): Bug[] {
  const bugs: Bug[] = [];
  let open: string[] | null = null;
  const close = (): void => {
    if (open !== null) bugs.push({ file, text: open.join(" ").replace(/\s*\*\/\s*$/, "") });
    open = null;
  };
  for (const line of content.split("\n")) {
    const start = MARK.exec(line);
    const more = CONTINUED.exec(line);
    if (start !== null) {
      close();
      open = [start[1] ?? ""];
    } else if (open !== null && more !== null) open.push(more[1] ?? "");
    else close();
  }
  close();
  return bugs;
}

/** All bugs of the project, by file. */
export async function collectBugs(folder: string): Promise<Bug[]> {
  const files = (await projectFiles(folder)).filter((file) => /\.(?:ts|sh|mjs)$/.test(file));
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return files.flatMap((file, i) => bugsIn(file, contents[i] ?? ""));
}

/** The page docs/known-bugs.md. */
export function printBugs(bugs: readonly Bug[]): string {
  const list = bugs.map(({ file, text }) => `- [\`${file}\`](../${file}): ${text}\n`).join("");
  return `# Known bugs

Collected from the comments in the sources by \`npm run golden\`; not edited by hand.

${list === "" ? "None is known.\n" : list}`;
}

/** What is wrong with the page, one line each; `update` rewrites it first. */
export async function checkBugsPage(folder: string, update = false): Promise<string[]> {
  const expected = printBugs(await collectBugs(folder));
  const path = join(folder, BUGS_PAGE);
  if (update) await writeFile(path, expected);
  const found = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  return found === expected ? [] : [`${BUGS_PAGE}: not what the comments say (npm run golden rewrites it)`];
}

if (import.meta.main) {
  if (process.argv.includes("--write")) await checkBugsPage(root, true);
  else process.stdout.write(printBugs(await collectBugs(root)));
}
