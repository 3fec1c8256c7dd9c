/** docs/use.md, "The account by hand": its commands, word for word but for passphrases, names and paths. */

import assert from "node:assert/strict";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { tryExec } from "#host/exec.ts";
import { AccountMachines } from "#test/account-machines.ts";

const page = new URL("../../docs/use.md", import.meta.url);

test("an account is made and changed with stock tools", async () => {
  const machines = await AccountMachines.start();
  try {
    const { home, env } = await machines.computer("hand");
    const text = await readFile(page, "utf8");
    const section = /## The account by hand\n(.*?)\n## /s.exec(text)?.[1] ?? "";
    const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
    assert.equal(blocks.length, 6);
    const { port, user } = machines.keys;
    const options = `-o IdentityAgent=none -o UserKnownHostsFile=${machines.knownHosts} -P ${port}`;
    const own = (block: string): string =>
      block
        .replaceAll("ssh-keygen -t", 'ssh-keygen -q -N "" -t')
        .replaceAll("sftp -i", `sftp -q ${options} -i`)
        .replaceAll("alice@keys.mail.example.org", `${user}@127.0.0.1`)
        .replaceAll(
          / ?(:|put proposal )\//g,
          (_all, word: string) => `${word === ":" ? ":" : " put proposal "}${machines.keysFolder}/`,
        );
    const folder = join(home, "account");
    await mkdir(folder);
    const run = async (from: number, to: number): Promise<string> => {
      await writeFile(join(home, "script"), `set -eu\n${blocks.slice(from, to).map(own).join("")}`);
      const { status, stdout, stderr } = await tryExec("sh", [join(home, "script")], { cwd: folder, env });
      assert.equal(status, 0, stderr);
      return stdout.toString("utf8");
    };
    await run(0, 3);
    await machines.accept(await readFile(join(folder, "alice.account")));
    const said = await run(3, 6);
    assert.match(said, /^code ACCEPTED$/m, said);
    assert.equal(machines.standing?.state.devices.length, 2);
    // And once more: the text of version 2 names the account itself.
    for (const file of ["phone", "phone.pub"]) await rename(join(folder, file), join(folder, `old-${file}`));
    assert.match(await run(3, 6), /^code ACCEPTED$/m);
    assert.equal(machines.standing?.state.devices.length, 3);
  } finally {
    await machines.stop();
  }
});
