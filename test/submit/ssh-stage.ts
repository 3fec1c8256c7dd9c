/** A real sshd whose only command is the relay script, in front of shoal-submit. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tryExec } from "#host/exec.ts";
import { renderRelayScript } from "#roles/out/relay-script.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";
import type { Answer } from "./submit-stage.ts";

export interface SshStage {
  readonly sshd: TestSshd;
  /** The name that sshd attests. */
  readonly login: string;
  /** Arguments of ssh(1) up to the host. */
  readonly args: readonly string[];
  /** Runs ssh to its end. */
  ssh(command: readonly string[], input: Buffer | string, options?: readonly string[]): Promise<Answer>;
  /** Starts ssh with its input open. */
  start(command: readonly string[], options?: readonly string[]): ChildProcessWithoutNullStreams;
  stop(): Promise<void>;
}

/** @param config further lines of sshd_config */
export async function startSubmitSshd(
  folder: string,
  socket: string,
  config: readonly string[] = [],
): Promise<SshStage> {
  const script = join(await mkdtemp(join(folder, "script-")), "submit");
  await writeFile(script, renderRelayScript({ socket }));
  await chmod(script, 0o755);
  const sshd = await startSshd(
    [
      ...config,
      `ForceCommand ${script}`,
      "PermitUserEnvironment no",
      "PermitUserRC no",
      "DisableForwarding yes",
      "PermitTTY no",
      "MaxSessions 100",
    ],
    false,
  );
  const args = [
    ...[
      "-T",
      "-F",
      "none",
      "-o",
      "BatchMode=yes",
      "-o",
      "IdentityAgent=none",
      "-o",
      `UserKnownHostsFile=${sshd.knownHostsFile}`,
    ],
    ...["-i", sshd.identityFile, "-p", String(sshd.port)],
  ];
  const host = `${sshd.user}@127.0.0.1`;
  return {
    sshd,
    login: sshd.user,
    args,
    async ssh(command, input, options = []) {
      const result = await tryExec("ssh", [...args, ...options, host, ...command], { input, timeoutSeconds: 60 });
      const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
      return { status: result.status, out: lines(result.stdout.toString()), err: lines(result.stderr) };
    },
    start: (command, options = []) => spawn("ssh", [...args, ...options, host, ...command]),
    stop: async () => await sshd.stop(),
  };
}
