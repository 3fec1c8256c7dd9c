/** Masters that are no plain files: on a FIDO2 token (OpenSSH's software one), in an agent; and a person at a terminal. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { parseProposal } from "#core/account/step.ts";
import { exec, tryExec } from "#host/exec.ts";
import { AccountMachines, type Computer } from "#test/account-machines.ts";

/** Debian's openssh-tests. */
const TOKEN = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

let machines: AccountMachines;
let laptop: Computer;

beforeEach(async () => {
  machines = await AccountMachines.start();
  laptop = await machines.computer("laptop");
});
afterEach(() => machines.stop());

async function createWith(master: string, env: NodeJS.ProcessEnv, ...more: string[]): Promise<void> {
  const args = ["alice@example.org", ...machines.options, "--master", master, "--recovery", laptop.path("usb")];
  const created = await laptop.run(["account", "create", ...args, ...more], env);
  assert.equal(created.status, 0, created.stderr);
  await machines.accept(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
}

test("a master key on a security key signs and logs in", async () => {
  const env = { SSH_SK_PROVIDER: TOKEN };
  await exec("ssh-keygen", ["-q", "-t", "ed25519-sk", "-N", "", "-f", laptop.path("token")], {
    env: { ...laptop.env, ...env },
  });
  // Debian's ssh goes by this option alone; ssh-keygen goes by the environment.
  await createWith(laptop.path("token"), env, "--ssh-option", `SecurityKeyProvider=${TOKEN}`);
  assert.match(machines.standing?.state.master[0] ?? "", /^sk-ssh-ed25519@openssh\.com /);
  const changed = await laptop.run(["account", "rotate-master", "--yes"], env);
  assert.equal(changed.status, 0, changed.stderr);
  assert.match(changed.stderr, /touch it/);
  assert.match(machines.standing?.state.master[0] ?? "", /^ssh-ed25519 /);

  const back = await laptop.run(["account", "rotate-master", "--new", laptop.path("token"), "--yes"], env);
  assert.equal(back.status, 0, back.stderr);
  const gone = await laptop.run(["account", "rotate-master", "--yes"], { SSH_SK_PROVIDER: "/nonexistent.so" });
  assert.notEqual(gone.status, 0, "without the token there is no signature");
  assert.equal(machines.versions.length, 3);
});

test("a master key that only an agent holds", async () => {
  const socket = laptop.path("agent");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  const env = { SSH_AUTH_SOCK: socket };
  try {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", laptop.path("master")]);
    for (let tries = 0; tries < 50; tries++) {
      const { status } = await tryExec("ssh-add", ["-q", laptop.path("master")], { env: { ...laptop.env, ...env } });
      if (status === 0) break;
      await new Promise((done) => setTimeout(done, 100));
    }
    await rm(laptop.path("master"));
    await createWith(laptop.path("master.pub"), env);
    const changed = await laptop.run(["account", "rotate-master", "--yes"], env);
    assert.equal(changed.status, 0, changed.stderr);
    assert.equal(machines.versions.length, 2);
  } finally {
    agent.kill();
  }
});

test("a key of ssh's old file format, with a passphrase that is wrong at first", async () => {
  await exec("ssh-keygen", ["-q", "-t", "rsa", "-b", "3072", "-m", "PEM", "-N", "sesame", "-f", laptop.path("old")]);
  await writeFile(laptop.path("words"), "sesam\n");
  const args = [
    "account",
    "create",
    "alice@example.org",
    ...machines.options,
    "--master",
    laptop.path("old"),
    "--no-recovery",
  ];
  const env = { SHOAL_PASSPHRASE_FILE: laptop.path("words") };
  const wrong = await laptop.run(args, env);
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /ssh-keygen can't sign with .*passphrase/);
  await writeFile(laptop.path("words"), "sesame\n");
  const right = await laptop.run(args, env);
  assert.equal(right.status, 0, right.stderr);
});

/** Runs `shoal` on a terminal of script(1) and types each answer when its question has appeared. */
async function onTerminal(args: readonly string[], answers: readonly [RegExp, string][]): Promise<string> {
  const main = new URL("../../src/client/main.ts", import.meta.url).pathname;
  const command = [process.execPath, main, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: { ...laptop.env, TERM: "xterm" },
    cwd: laptop.home,
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let seen = 0;
  let next = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString("utf8");
    const [question, answer] = answers[next] ?? [];
    const found = question?.exec(shown.slice(seen));
    if (question === undefined || found === undefined || found === null) return;
    seen += found.index + found[0].length;
    next += 1;
    // ssh-keygen throws away what was typed before it asked.
    setTimeout(() => child.stdin.write(`${answer}\n`), 50);
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  assert.equal(status, 0, shown);
  assert.equal(next, answers.length, shown);
  return shown;
}

test("on a terminal it asks for passphrases, where the recovery key goes, and before it signs", async () => {
  await onTerminal(
    ["account", "create", "alice@example.org", ...machines.options],
    [
      [/Enter passphrase[^:]*: /, ""],
      [/Enter same passphrase[^:]*: /, ""],
      [/Enter passphrase[^:]*: /, "battery"],
      [/Enter same passphrase[^:]*: /, "battery"],
      [/Where should it go\?[^:]*: /, ""],
      [/No recovery key.*\[y\/N\] /, "n"],
      [/Where should it go\?[^:]*: /, laptop.home],
      [/Enter passphrase[^:]*: /, "staple"],
      [/Enter same passphrase[^:]*: /, "staple"],
      [/Passphrase for .*master_ed25519": /, "wrong"],
      [/not its passphrase\s+Passphrase for .*: /, "battery"],
      [/Passphrase for .*recovery_ed25519": /, "staple"],
    ],
  );
  const signed = Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1");
  assert.equal(parseProposal(signed).state.recovery.length, 1);
  await readFile(laptop.path("alice@example.org-recovery_ed25519"));
  await machines.accept(signed);

  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", laptop.path("phone")]);
  const refused = laptop.run(["account", "add-device", "--key", laptop.path("phone.pub")]);
  assert.equal((await refused).status, 64, "nobody to ask");
  const said = await onTerminal(
    ["account", "add-device", "--key", laptop.path("phone.pub")],
    [
      [/Passphrase for .*master_ed25519": /, "battery"],
      [/\+ device[^]*Sign this\? \[y\/N\] /, "y"],
    ],
  );
  assert.match(said, /accepted version 2/);
  await onTerminal(
    ["account", "recover"],
    [
      [/Passphrase for .*recovery_ed25519": /, "staple"],
      [/device .*there since version 2: is it yours, keep it\? \[y\/N\] /, ""],
      [/Enter passphrase[^:]*: /, "new"],
      [/Enter same passphrase[^:]*: /, "new"],
      [/Passphrase for .*master_ed25519_2": /, "new"],
      [/- device[^]*\+ master[^]*Sign this\? \[y\/N\] /, "y"],
    ],
  );
  assert.equal(machines.standing?.state.devices.length, 1);
  const profile = await readFile(join(laptop.config, "profile.json"), "utf8");
  assert.equal((JSON.parse(profile) as { recoveries: string[] }).recoveries.length, 1);
});
