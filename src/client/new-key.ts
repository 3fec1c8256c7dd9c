/** Makes keys with ssh-keygen, which asks for their passphrases itself. */

import { spawn } from "node:child_process";
import { say } from "#cli/terminal.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import { tryExec } from "#host/exec.ts";
import { exists } from "#host/files.ts";

/**
 * Makes an ed25519 key. Without a terminal it has no passphrase.
 * @param what what to call it where its passphrase is asked for: "master key"
 * @param option of the command at hand that takes an existing key
 * @throws PolicyError USAGE when there is a file already; HostError EXEC
 */
export async function makeKey(file: string, comment: string, what: string, option: string): Promise<void> {
  for (const path of [file, `${file}.pub`]) {
    if (await exists(path)) {
      throw new PolicyError("USAGE", `there is a key "${path}" already`, { hint: `use it with ${option} ${file}` });
    }
  }
  const args = ["-q", "-t", "ed25519", "-C", comment, "-f", file];
  if (process.stdin.isTTY !== true) {
    const made = await tryExec("ssh-keygen", [...args, "-N", ""]);
    if (made.status !== 0) {
      throw new HostError("EXEC", `can't make the ${what}: ${made.stderr.trim().split("\n").at(-1) ?? ""}`);
    }
    say("shoal", `made the ${what} "${file}" without a passphrase; ssh-keygen -p -f FILE adds one`);
    return;
  }
  say("shoal", `making the ${what} "${file}"; its passphrase:`);
  const child = spawn("ssh-keygen", args, { stdio: "inherit" });
  const status = await new Promise<number | null>((done, reject) => {
    child.once("error", (cause) => reject(new HostError("EXEC", 'can\'t start "ssh-keygen"', { cause })));
    child.once("close", done);
  });
  if (status !== 0) throw new HostError("EXEC", `ssh-keygen failed with exit status ${status}`);
}
