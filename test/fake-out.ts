/** A real sshd that plays the machine `out`: it notes what it is asked and given, and answers what the test wants. */

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryExec } from "#host/exec.ts";
import { MailUser, type Ran } from "#test/mail-user.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";

export interface Asked {
  /** `SSH_ORIGINAL_COMMAND`, byte for byte, but for `--bytes`, which was right. */
  readonly command: string;
  readonly message: string;
}

export const ACCEPTED = "echo 'accepted: 1 recipient, message <0123456789abcdef0123456789abcdef@example.org>'";

export class FakeOut {
  readonly sshd: TestSshd;
  readonly user: MailUser;
  readonly #folder: string;

  private constructor(sshd: TestSshd, user: MailUser, folder: string) {
    this.sshd = sshd;
    this.user = user;
    this.#folder = folder;
  }

  /** With a user whose profile names it. */
  static async start(): Promise<FakeOut> {
    const folder = await mkdtemp(join(tmpdir(), "shoal-fake-out-"));
    const script = join(folder, "forced");
    // The number of a call is the name of a folder, which only one can make.
    await writeFile(
      script,
      `#!/bin/sh
case $SSH_ORIGINAL_COMMAND in "" | *sftp*) exec /usr/lib/openssh/sftp-server ;; esac
number=1
until mkdir "${folder}/calls/$number" 2>/dev/null; do number=$((number + 1)); done
printf %s "$SSH_ORIGINAL_COMMAND" >"${folder}/calls/$number/command"
cat >"${folder}/calls/$number/message"
. "${folder}/answer"
`,
    );
    await chmod(script, 0o755);
    await mkdir(join(folder, "calls"));
    const sshd = await startSshd([`ForceCommand ${script}`]);
    const out = new FakeOut(sshd, await MailUser.create(sshd), folder);
    await out.user.writeProfile({ domain: "example.org", outHost: "127.0.0.1", outPort: sshd.port });
    await out.answer(ACCEPTED);
    return out;
  }

  /** @param script lines of sh; `$SSH_ORIGINAL_COMMAND` and `$number` (of the call) are there */
  async answer(script: string): Promise<void> {
    await writeFile(join(this.#folder, "answer"), `${script}\n`);
  }

  /** What came since the last time, in its order. */
  async asked(): Promise<Asked[]> {
    const calls = join(this.#folder, "calls");
    const names = (await readdir(calls)).sort((a, b) => Number(a) - Number(b));
    const asked: Asked[] = [];
    for (const name of names) {
      const [command, message] = await Promise.all(
        ["command", "message"].map((file) => readFile(join(calls, name, file), "utf8")),
      );
      asked.push({ command: withoutBytes(command ?? "", message ?? ""), message: message ?? "" });
      await rm(join(calls, name), { recursive: true });
    }
    return asked;
  }

  /** Runs `shoal` with something on standard input. */
  async shoal(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const { status, signal, stdout, stderr } = await tryExec(process.execPath, [MAIN, ...args], {
      input,
      env: { ...this.user.env, ...env },
    });
    return { status, signal, stdout: stdout.toString("utf8"), stderr };
  }

  async stop(): Promise<void> {
    await this.sshd.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function withoutBytes(command: string, message: string): string {
  const [option, bytes] = / --bytes ([0-9]+)/.exec(command) ?? [];
  if (option === undefined) return command;
  assert.equal(Number(bytes), Buffer.byteLength(message), command);
  return command.replace(option, "");
}

const MAIN = new URL("../src/client/main.ts", import.meta.url).pathname;
