/** The built program under the names of old ones, as mail programs find it. */

import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tryExec } from "#host/exec.ts";
import { FakeOut } from "#test/fake-out.ts";
import { bundle } from "#tools/build.ts";

test("a link by the name sendmail takes mail from programs and from cron; mailq shows the outbox", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-by-name-"));
  const out = await FakeOut.start();
  try {
    const { path } = await bundle("shoal", folder);
    const bin = join(folder, "bin");
    await mkdir(bin);
    // As docs/use.md installs it: without the end of its name.
    await copyFile(path, join(bin, "shoal"));
    await chmod(join(bin, "shoal"), 0o755);
    for (const name of ["sendmail", "mailq"]) await symlink("shoal", join(bin, name));
    const env = { ...out.user.env, PATH: `${bin}:${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}` };
    const run = (command: string, input = ""): ReturnType<typeof tryExec> =>
      tryExec("sh", ["-c", command], { env, input });

    const mailed = await run("sendmail -i -- bob@example.net", "To: bob@example.net\nSubject: by hand\n\nHello\n");
    assert.deepEqual([mailed.status, mailed.stdout.toString(), mailed.stderr], [0, "", ""], "silent when all is well");
    const [asked] = await out.asked();
    assert.equal(asked?.command, "send -- bob@example.net");
    assert.match(
      asked.message,
      /^To: bob@example\.net\nSubject: by hand\nDate: .* \+0000\nFrom: \S+@example\.org\nMessage-ID: <[0-9a-f]{32}@example\.org>\n\nHello\n$/,
    );

    const user = out.sshd.user;
    const cron = `From: root (Cron Daemon)\nTo: ${user}\nSubject: Cron <${user}@laptop> backup\n\ndone\n`;
    const fromCron = await run(`sendmail -FCronDaemon -i -B8BITMIME -oem ${user}`, cron);
    assert.equal(fromCron.status, 0, fromCron.stderr);
    const [second] = await out.asked();
    assert.equal(second?.command, `send -- ${user}@example.org`);
    assert.match(second.message, new RegExp(`^From: Cron Daemon <${user}@example\\.org>\nTo: ${user}@example\\.org\n`));

    const both = await run(
      "sendmail -ti carol@example.com",
      "To: Bob <bob@example.net>\nBcc: dora@example.net\n\n.\n\n",
    );
    assert.equal(both.status, 0, both.stderr);
    assert.equal((await out.asked())[0]?.command, "send -- bob@example.net dora@example.net carol@example.com");

    await out.answer("echo 'refused: not now' >&2; exit 75");
    // What git does with sendemail.sendmailCmd.
    await writeFile(join(folder, "patch"), "From: alice@example.org\nTo: list@example.net\nSubject: [PATCH] x\n\ny\n");
    const git = await run(`sh -c 'shoal sendmail "$@"' - -i -f alice@example.org list@example.net < '${folder}/patch'`);
    assert.equal(git.status, 0, git.stderr);
    assert.equal((await out.asked())[0]?.command, "send -f alice@example.org -- list@example.net");
    const queue = await run("mailq");
    assert.match(queue.stdout.toString(), /list@example\.net +\[PATCH\] x\n +waits/);
    assert.equal((await run("sendmail -bs")).status, 64);
    assert.equal((await run("sendmail -i", "x")).status, 64);
    assert.equal((await run("sendmail -i nobody-here", "x")).status, 67);
  } finally {
    await out.stop();
    await rm(folder, { recursive: true });
  }
});
