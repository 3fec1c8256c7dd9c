/** Runs what a person wants to be done when mail has come. */

import { spawn } from "node:child_process";
import { say } from "#cli/terminal.ts";

/** At least so long it may take; then the next mail goes on without it. */
const MAX_SECONDS = 300;

/**
 * Runs a command of the shell and waits for it. It gets nothing to read; what it says goes where ours goes. That it fails is
 * said and nothing else.
 */
export async function runCommand(command: string, env: Record<string, string>): Promise<void> {
  const child = spawn("/bin/sh", ["-c", command], {
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...env },
    timeout: MAX_SECONDS * 1000,
  });
  await new Promise<void>((done) => {
    child.once("error", (error) => {
      say("shoal", `error: can't run the command: ${error.message}`);
      done();
    });
    child.once("close", (status, signal) => {
      if (status !== 0) say("shoal", `the command ended with ${signal ?? `exit status ${status}`}`);
      done();
    });
  });
}
