/** Runs a program of the test internet to its end. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Gives standard output and error together. Rejects, with both, for another status than 0. */
export async function run(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const { stdout, stderr } = await execute(program, [...args], { cwd, timeout: 20_000 });
  return stdout + stderr;
}
