/** Our programs on a machine: their files, configuration and command line. */

import type { FileSpec } from "#fleet/machine.ts";
import { text } from "./role.ts";

export function program(name: string): FileSpec {
  return {
    path: `/usr/lib/shoal/${name}.mjs`,
    mode: 0o644,
    owner: "root",
    group: "root",
    content: { program: name },
  };
}

export function json(path: string, value: object): FileSpec {
  return text(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Node with nothing but what the program needs: Node's own fence, inside that of the user and the machine.
 * @param allowed options of node(1), `--allow-…`
 */
export function node(name: string, args: readonly string[], allowed: readonly string[]): string[] {
  return ["/usr/bin/node", "--permission", ...readOwn, ...allowed, `/usr/lib/shoal/${name}.mjs`, ...args];
}

const readOwn = ["--allow-fs-read=/etc/shoal", "--allow-fs-read=/usr/lib/shoal"];

export function mayRead(...paths: readonly string[]): string[] {
  return paths.map((path) => `--allow-fs-read=${path}`);
}

export function mayWrite(...paths: readonly string[]): string[] {
  return [...mayRead(...paths), ...paths.map((path) => `--allow-fs-write=${path}`)];
}
