/** Holds the pages against the project: what they name must exist, what exists must be named. */

import { readFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { debianPackages } from "#fleet/cell/debian.ts";
import { parseFleet } from "#fleet/definition/definition.ts";
import { fleetPlan, roles } from "#fleet/plan.ts";
import { worldPackages } from "#test/world/world.ts";
import { programs } from "./build.ts";
import { projectFiles } from "./project-files.ts";

export interface Project {
  /** Every file, as paths from the project's folder. */
  files: readonly string[];
  /** Content of the pages and of what they are held against. */
  texts: ReadonlyMap<string, string>;
}

/** What is wrong with the pages, one line each. */
export async function checkDocs(root: string): Promise<string[]> {
  const files = await projectFiles(root);
  const pages = files.filter((file) => file.endsWith(".md"));
  const texts = new Map<string, string>();
  for (const file of [...pages, "package.json", "tools/with-setup.sh"]) {
    texts.set(file, await readFile(join(root, file), "utf8"));
  }
  const project: Project = { files, texts };
  return [
    ...pages.flatMap((page) => [
      ...brokenLinks(project, page),
      ...missingPaths(project, page),
      ...missingScripts(project, page),
    ]),
    ...unnamedPrograms(project),
    ...unnamedRoles(project),
    ...missingCommands(project),
    ...unnamedDependencies(project),
  ];
}

/** "" for a page that is missing, which then lacks everything. */
function textOf({ texts }: Project, file: string): string {
  return texts.get(file) ?? "";
}

/** Code blocks show what a reader types or sees; they are not prose of the project. */
function prose(markdown: string): string {
  return markdown.replace(/^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2[^\S\n]*$/gms, (block) => block.replace(/[^\n]/g, ""));
}

function* linesOf(text: string, pattern: RegExp): Generator<{ line: number; match: RegExpExecArray }> {
  for (const match of text.matchAll(pattern)) yield { line: text.slice(0, match.index).split("\n").length, match };
}

function isThere({ files }: Project, path: string): boolean {
  const folder = path.endsWith("/") ? path : `${path}/`;
  return files.some((file) => file === path || file.startsWith(folder));
}

/** Links to files and headings of the project. */
export function brokenLinks(project: Project, page: string): string[] {
  const problems: string[] = [];
  for (const { line, match } of linesOf(prose(textOf(project, page)).replace(/`[^`\n]*`/g, ""), /\]\(([^()\s]+)\)/g)) {
    const [target = "", anchor] = (match[1] ?? "").split("#", 2);
    if (/^[a-z]+:/.test(target)) continue;
    const path = target === "" ? page : posix.normalize(posix.join(dirname(page), target)).replace(/\/$/, "");
    if (!isThere(project, path)) problems.push(`${page}:${line}: the link "${match[1]}" leads nowhere`);
    else if (anchor !== undefined && path.endsWith(".md") && !headingsOf(textOf(project, path)).includes(anchor)) {
      problems.push(`${page}:${line}: ${path} has no heading "#${anchor}"`);
    }
  }
  return problems;
}

/** Headings as the anchors that they get on the web. */
export function headingsOf(markdown: string): string[] {
  return [...prose(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-"),
  );
}

/** Paths of sources, tests, pages and tools in code spans. A path with "*" or capital letters stands for many. */
export function missingPaths(project: Project, page: string): string[] {
  const problems: string[] = [];
  for (const { line, match } of linesOf(prose(textOf(project, page)), /`([^`\n]+)`/g)) {
    for (const [path] of (match[1] ?? "").matchAll(/(?<![\w./~-])(?:src|test|tools|docs|\.ci)\/[\w./*{}<>-]*/g)) {
      if (/[*{}<>]|[A-Z]{2}/.test(path)) continue;
      if (!isThere(project, path)) problems.push(`${page}:${line}: there is no "${path}"`);
    }
  }
  return problems;
}

/** `npm run NAME` where package.json has no such script. */
export function missingScripts(project: Project, page: string): string[] {
  const { scripts } = JSON.parse(textOf(project, "package.json")) as { scripts: Record<string, string> };
  return [...linesOf(textOf(project, page), /\bnpm run (?:-[a-z-]+ )*([a-z][a-z:-]*)/g)]
    .filter(({ match }) => !Object.hasOwn(scripts, match[1] ?? ""))
    .map(({ line, match }) => `${page}:${line}: package.json has no script "${match[1]}"`);
}

function unnamedPrograms(project: Project): string[] {
  const flow = textOf(project, "docs/flow.md");
  return Object.entries(programs).flatMap(([name, main]) => [
    ...(flow.includes(`\`${name}\``) ? [] : [`docs/flow.md: does not name the program \`${name}\``]),
    ...(flow.includes(main) || flow.includes(dirname(main)) ? [] : [`docs/flow.md: does not name ${dirname(main)}`]),
  ]);
}

/** Each role of the fleet is in the table of trust, with the same words as in the role's own data. */
function unnamedRoles(project: Project): string[] {
  const trust = textOf(project, "docs/trust.md").replace(/\s+/g, " ");
  return roles.flatMap(({ name, does, whenTaken }) => [
    ...(trust.includes(`\`${name}\``) ? [] : [`docs/trust.md: does not name the role \`${name}\``]),
    ...[does, whenTaken]
      .filter((words) => !trust.includes(words))
      .map((words) => `docs/trust.md: does not say of \`${name}\`: "${words}"`),
  ]);
}

function missingCommands(project: Project): string[] {
  return ["npm run demo", "npm test"]
    .filter((command) => !textOf(project, "README.md").includes(command))
    .map((command) => `README.md: does not mention "${command}"`);
}

/** Every npm package with its exact version, every Debian package of the host, of machines and of the test internet. */
function unnamedDependencies(project: Project): string[] {
  // The formatter fills up columns.
  const page = textOf(project, "docs/dependencies.md").replace(/ {2,}/g, " ");
  const manifest = JSON.parse(textOf(project, "package.json")) as Record<string, Record<string, string> | undefined>;
  const npm = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  );
  // `PROGRAM PACKAGE` lines between `<<EOF` and `EOF`.
  const [, table = ""] = /<<EOF\n(.*?)\nEOF$/ms.exec(textOf(project, "tools/with-setup.sh")) ?? [];
  const host = [...table.matchAll(/^\S+ (\S+)$/gm)].map(([, name = ""]) => name);
  const machines = debianPackages(machinePackages(textOf(project, "docs/formats/fleet.md")));
  return [
    ...npm
      .filter(([name, version]) => !page.includes(`| \`${name}\` | ${version} |`))
      .map(([name, version]) => `docs/dependencies.md: has no row "| \`${name}\` | ${version} |"`),
    ...[...new Set([...host, ...machines, ...Object.values(worldPackages).flat()])]
      .filter((name) => !page.includes(`\`${name}\``))
      .map((name) => `docs/dependencies.md: does not name the Debian package \`${name}\``),
  ];
}

/** A map in which every key is there. */
class Always<Value> extends Map<string, Value> {
  readonly #value: Value;

  constructor(value: Value) {
    super();
    this.#value = value;
  }

  override get(): Value {
    return this.#value;
  }
}

/** Neutral names of the packages of every machine, from the role data and the example of the format page. */
function machinePackages(formatPage: string): string[] {
  const example = /^```yaml\n(.*?)^```$/ms.exec(formatPage)?.[1] ?? "";
  const keys = { dkimGeneration: 1, publicKeys: new Always("ssh-ed25519 AAAA") };
  return fleetPlan(parseFleet(example, "docs/formats/fleet.md"), keys).machines.flatMap(({ packages }) => packages);
}
