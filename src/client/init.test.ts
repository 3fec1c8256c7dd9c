import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { parseRecipient, seal } from "#core/age/age.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { type ExecResult, exec, tryExec } from "#host/exec.ts";
import { MailUser, TRACE } from "#test/mail-user.ts";
import { startSshd } from "#test/sshd.ts";

const main = new URL("./main.ts", import.meta.url).pathname;
const folders: string[] = [];
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "shoal-init-"));
  folders.push(home);
});
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

function environment(): NodeJS.ProcessEnv {
  const { XDG_CONFIG_HOME: _config, XDG_STATE_HOME: _state, SSH_AUTH_SOCK: _agent, ...env } = process.env;
  return { ...env, HOME: home };
}

async function init(...args: string[]): Promise<ExecResult> {
  return await tryExec(process.execPath, [main, "init", ...args], { env: environment(), cwd: home });
}

const NEEDED = ["--account", "alice", "--host", "fetch.example.org"];

test("makes a key and a profile that only the user can read, and says what to do next", async () => {
  const { status, stdout, stderr } = await init(...NEEDED);
  assert.equal(status, 0, stderr);
  const folder = join(home, ".config/shoal/default");
  assert.deepEqual((await readdir(folder)).sort(), ["id_ed25519", "id_ed25519.pub", "profile.json"]);
  assert.equal(stdout.toString(), await readFile(join(folder, "id_ed25519.pub"), "utf8"), "data alone on stdout");
  assert.match(stdout.toString(), /^ssh-ed25519 AAAA\S+ alice@fetch\.example\.org\n$/);
  for (const name of ["id_ed25519", "profile.json"]) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  for (const hint of ["give the operator", "known_hosts", "copy of the private key", "shoal sync"]) {
    assert.ok(stderr.includes(hint), hint);
  }
  assert.deepEqual(JSON.parse(await readFile(join(folder, "profile.json"), "utf8")), {
    account: "alice",
    host: "fetch.example.org",
    folder: "/mail",
    identities: [join(folder, "id_ed25519")],
    maildir: join(home, "Mail/shoal"),
  });
});

test("takes everything that a profile can say, paths made absolute", async () => {
  for (const name of ["one", "two"])
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(home, name)]);
  const { status, stdout, stderr } = await init(
    ...NEEDED,
    ...["--port", "2222", "--identity", "one", "--identity", join(home, "two"), "--known-hosts", "hosts"],
    ...["--maildir", "Post", "--folder", "/inbox", "--ssh-option", "ProxyJump=gate.example.org", "--profile", "work"],
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout.toString().split("\n").length, 3, "both public keys");
  assert.deepEqual(JSON.parse(await readFile(join(home, ".config/shoal/work/profile.json"), "utf8")), {
    account: "alice",
    host: "fetch.example.org",
    port: 2222,
    folder: "/inbox",
    identities: [join(home, "one"), join(home, "two")],
    knownHosts: join(home, "hosts"),
    maildir: join(home, "Post"),
    sshOptions: ["ProxyJump=gate.example.org"],
  });
});

describe("nothing is overwritten", () => {
  test("a profile", async () => {
    await init(...NEEDED);
    const path = join(home, ".config/shoal/default/profile.json");
    const before = await readFile(path, "utf8");
    const again = await init("--account", "eve", "--host", "other.example.org");
    assert.equal(again.status, 64);
    assert.match(again.stderr, /there is a profile "default" already/);
    assert.equal(await readFile(path, "utf8"), before);
  });

  test("a key", async () => {
    await init(...NEEDED);
    const folder = join(home, ".config/shoal/default");
    const key = await readFile(join(folder, "id_ed25519"), "utf8");
    await rm(join(folder, "profile.json"));
    const again = await init(...NEEDED);
    assert.equal(again.status, 64);
    assert.match(again.stderr, /hint: use it with --identity/);
    assert.equal(await readFile(join(folder, "id_ed25519"), "utf8"), key);
    assert.deepEqual((await readdir(folder)).sort(), ["id_ed25519", "id_ed25519.pub"]);
  });
});

test("mistakes are usage errors and leave nothing behind", async () => {
  const wrong = [
    [],
    ["--account", "alice"],
    [...NEEDED, "--port", "many"],
    [...NEEDED, "--port", "70000"],
    [...NEEDED, "--maildir", ""],
    [...NEEDED, "--identity", ""],
    [...NEEDED, "--host", "-oProxyCommand=x"],
    [...NEEDED, "--host", "a b"],
    [...NEEDED, "--account", "Alice Smith"],
    [...NEEDED, "--identity", "missing"],
    [...NEEDED, "--ssh-option", "ProxyJump"],
    [...NEEDED, "--profile", "../x"],
    [...NEEDED, "--color", "red"],
  ];
  for (const args of wrong) {
    const { status, stderr } = await init(...args);
    assert.equal(status, 64, `${args.join(" ")}: ${stderr}`);
    assert.doesNotMatch(stderr, /\n {4}at /, "no stack for what the user typed");
  }
  assert.match(
    (await init(...NEEDED, "--port", "many")).stderr,
    /--port is "many", expected a number from 1 to 65535\n/,
  );
  assert.deepEqual(await readdir(home), []);
});

test("a key that can't be made is said in ssh-keygen's words, without its options", async () => {
  const words = ["account", "create", "alice@example.org", "--recovery", "/proc/usb"];
  const { status, stderr } = await tryExec(process.execPath, [main, ...words], { env: environment() });
  assert.equal(status, 75);
  assert.match(stderr, /^shoal: error: can't make the recovery key: Saving key "\/proc\/usb" failed: [^"]*$/m);
});

test("mistakes in the profile are named for people", async () => {
  await init(...NEEDED);
  const file = join(home, ".config/shoal/default/profile.json");
  const { host: _, ...profile } = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...profile, hosst: "x", port: "22", maildir: "Mail" }));
  const { status, stderr } = await tryExec(process.execPath, [main, "list"], { env: environment() });
  assert.equal(status, 78);
  assert.deepEqual(stderr.replaceAll(`"${file}": `, "").trim().split("\n").sort(), [
    "shoal: error: hosst: there is no such setting",
    "shoal: error: host: is missing",
    "shoal: error: maildir: expected an absolute path",
    "shoal: error: port: expected number",
    'shoal: hint: "shoal init --help" shows what a profile is made of',
  ]);
});

test("on a terminal ssh-keygen asks for the passphrase", async () => {
  const command = [process.execPath, main, "init", ...NEEDED].map((word) => `'${word}'`).join(" ");
  // script(1) gives it a terminal; ssh-keygen throws away what was typed before it asked.
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: environment(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let answered = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString("utf8");
    for (; answered < shown.split(/passphrase[^:\n]*: /).length - 1; answered++) child.stdin.write("sesame\n");
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  assert.equal(status, 0, shown);
  assert.equal(answered, 2, shown);
  const key = join(home, ".config/shoal/default/id_ed25519");
  assert.notEqual((await tryExec("ssh-keygen", ["-y", "-P", "", "-f", key])).status, 0);
  assert.equal((await tryExec("ssh-keygen", ["-y", "-P", "sesame", "-f", key])).status, 0);
});

test("from init to the first mail", async () => {
  const sshd = await startSshd();
  try {
    const user = await MailUser.create(sshd);
    home = user.home;
    const made = await init(
      ...["--account", sshd.user, "--host", "127.0.0.1", "--port", String(sshd.port)],
      ...["--known-hosts", sshd.knownHostsFile, "--folder", user.mail],
    );
    assert.equal(made.status, 0, made.stderr);
    await writeFile(sshd.authorizedKeysFile, made.stdout);
    await user.deposit(
      seal([parseRecipient(made.stdout.toString().trim())], composeSealedMail(TRACE, Buffer.from("hi\n"))),
    );
    const synced = await tryExec(process.execPath, [main, "sync"], { env: environment() });
    assert.equal(synced.status, 0, synced.stderr);
    assert.equal((await readdir(join(home, "Mail/shoal/new"))).length, 1);
  } finally {
    await sshd.stop();
  }
});
