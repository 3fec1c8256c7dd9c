/** docs/use.md, "By hand, without Shoal": its commands, word for word but for names and paths. */

import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { tryExec } from "#host/exec.ts";
import { MailUser } from "#test/mail-user.ts";
import { startSshd } from "#test/sshd.ts";

const LOGIN = "sftp -i ~/.config/shoal/default/id_ed25519 alice@fetch.mail.example.org";
const page = new URL("../../docs/use.md", import.meta.url);

test("what stock tools open is what shoal stores", async () => {
  const sshd = await startSshd();
  try {
    const user = await MailUser.create(sshd);
    const name = await user.deliver("Message-ID: <1@x>\nSubject: by hand\n\nHello\n");
    const text = await readFile(page, "utf8");
    const block = /## By hand.*?```\n(.*?)```/s.exec(text)?.[1] ?? "";
    const cut = /`(head -c "[^`]*mail\.eml)` cuts/.exec(text)?.[1] ?? "";
    const remove = /`(rm\s+mail\/0f3c….age)` in `sftp`/.exec(text)?.[1]?.replace(/\s+/, " ") ?? "";
    const own = (command: string): string =>
      command
        .replaceAll("mail/", `${user.mail}/`)
        .replaceAll("0f3c….age", name)
        .replace(
          LOGIN,
          `sftp -q -b - -P ${sshd.port} -i ${sshd.identityFile} -o IdentityAgent=none -o UserKnownHostsFile=${sshd.knownHostsFile} ${sshd.user}@127.0.0.1`,
        )
        .replace("~/.config/shoal/default/id_ed25519", sshd.identityFile);
    const typed = (prompt: string): string[] =>
      own(block)
        .split("\n")
        .filter((line) => line.startsWith(prompt))
        .map((line) => line.slice(prompt.length));
    const [sftp = "", ...others] = typed("$ ");
    const script = [`${sftp} <<'END'`, ...typed("sftp> "), "END", ...others, `${own(cut)} > cut.eml`];
    const folder = join(user.home, "hand");
    await mkdir(folder);
    await writeFile(join(folder, "script"), `set -e\n${script.join("\n")}\n`);
    const { status, stdout, stderr } = await tryExec("sh", ["script"], { cwd: folder, env: user.env });
    assert.equal(status, 0, stderr);
    assert.match(stdout.toString(), new RegExp(`^${name}: OK$`, "m"), "the digest was checked");

    const byHand = await readFile(join(folder, "cut.eml"), "latin1");
    assert.match(byHand, /\nSubject: by hand\n\nHello\n$/);
    assert.equal((await user.run(["sync", "--keep"])).status, 0);
    assert.deepEqual(await user.stored(), [byHand]);

    const command = own(LOGIN);
    const removed = await tryExec("sh", ["-c", `${command} <<'END'\n${own(remove)}\nEND`], { env: user.env });
    assert.equal(removed.status, 0, removed.stderr);
    assert.deepEqual(await readdir(user.mail), []);
  } finally {
    await sshd.stop();
  }
});
