/** Shoal is not needed to read one's mail: `sftp` and `age` do. */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "#host/exec.ts";
import { until } from "#test/until.ts";
import { sendmail, waitForEmptyQueue } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";

const folder = await mkdtemp(join(tmpdir(), "shoal-by-hand-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Keys that are not of our making, as users bring them. */
await exec("ssh-keygen", ["-q", "-t", "rsa", "-b", "3072", "-N", "", "-C", "rsa", "-f", join(folder, "rsa")]);
await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "native", "-f", join(folder, "login")]);
await exec("age-keygen", ["-o", join(folder, "native")]);
const rsa = (await readFile(join(folder, "rsa.pub"), "utf8")).trim();
const login = (await readFile(join(folder, "login.pub"), "utf8")).trim();
const native = /age1\S+/.exec(await readFile(join(folder, "native"), "utf8"))?.[0];

const stage = flowStage({
  people: ["alice"],
  moreAccounts: [
    { name: "rsa", keys: [`auth,seal ${rsa}`] },
    { name: "native", keys: [`auth ${login}`, `seal ${native}`] },
  ],
});

/** Puts a file of the host into alice's home. */
async function carry(name: string): Promise<void> {
  const { status } = await stage().exec("user", asPerson("alice", `umask 077; cat > ${name}`), {
    input: await readFile(join(folder, name)),
  });
  assert.equal(status, 0);
}

test("a mail is fetched with sftp and opened with age, for each kind of key", async () => {
  const message =
    "From: carol@post.example\nTo: you\nSubject: by hand\nMessage-ID: <hand@post.example>\n\nnothing but stock tools\n";
  for (const name of ["alice", "rsa", "native"]) {
    await sendmail(stage().exec, post, { from: "carol@post.example", to: [`${name}@shoal.example`] }, message);
  }
  await waitForEmptyQueue(stage().exec, post);
  for (const name of ["rsa", "login", "native"]) await carry(name);
  const host = stage().address("fetch");
  const people: [account: string, loginKey: string, sealKey: string][] = [
    ["alice", ".config/shoal/default/id_ed25519", ".config/shoal/default/id_ed25519"],
    ["rsa", "rsa", "rsa"],
    ["native", "login", "native"],
  ];
  for (const [account, loginKey, sealKey] of people) {
    await stage().as("alice", `mkdir got-${account}; echo 'get mail/*.age got-${account}/' > get-${account}`);
    // It may still be on its way from the queue of "in".
    await until(`mail for ${account}`, async () => {
      const sftp = `sftp -q -b get-${account} -i ${loginKey} ${account}@${host} && ls got-${account}/*.age`;
      return (await stage().exec("user", asPerson("alice", sftp))).status === 0;
    });
    const opened = await stage().as("alice", `age -d -i ${sealKey} got-${account}/*.age`);
    assert.match(
      opened,
      new RegExp(
        `^Shoal-Length: \\d+\nReturn-Path: <carol@post.example>\nDelivered-To: ${account}@shoal.example\nReceived: `,
      ),
    );
    assert.match(opened, /\nSubject: by hand\n(?:.*\n)*?\nnothing but stock tools\n\n*$/);
    const wrong = await stage().exec(
      "user",
      asPerson("alice", `age -d -i ${account === "rsa" ? "native" : "rsa"} got-${account}/*.age`),
    );
    assert.notEqual(wrong.status, 0, "another key does not open it");
  }
});
