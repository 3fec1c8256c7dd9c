import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { parseRecipient, seal } from "#core/age/age.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { exec, tryExec } from "#host/exec.ts";
import { MailUser, type Ran, TRACE } from "#test/mail-user.ts";
import { freePort, startSshd, type TestSshd } from "#test/sshd.ts";
import type { SyncResult } from "./mailbox-sync.ts";

let sshd: TestSshd;
let user: MailUser;
let number = 0;

before(async () => {
  sshd = await startSshd();
});
beforeEach(async () => {
  user = await MailUser.create(sshd, `user${number++}`);
});
after(() => sshd.stop());

function mail(i: number | string, body = "Hello\n"): string {
  return `Message-ID: <${i}@example.com>\nFrom: bob@example.com\nSubject: ${i}\n\n${body}`;
}

function result(ran: Ran): SyncResult {
  return JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "") as SyncResult;
}

/** What is stored is the trace block and then the message, to the byte. */
function assertStored(stored: readonly string[], messages: readonly (string | Buffer)[]): void {
  const found = stored.map((text) => {
    const length = Number(/^Shoal-Length: (\d+)\n/.exec(text)?.[1]);
    assert.equal(text.length, length, "Shoal-Length counts block and message, and no padding follows");
    return text.slice(text.indexOf(" +0000\n") + 7);
  });
  const wanted = messages.map((message) => Buffer.from(message).toString("latin1"));
  assert.deepEqual(found.sort(), wanted.sort());
}

describe("what works", () => {
  test("fetches, stores to the byte, deletes, and finds nothing the second time", async () => {
    const messages: (string | Buffer)[] = Array.from({ length: 150 }, (_, i) => mail(i));
    messages.push(
      mail("8-bit", "gr\u00fc\u00df \u0000 no line end"),
      Buffer.from([0xff, 0xfe, 0x0a]),
      "",
      `${mail("big")}${"x\n".repeat(400_000)}`,
    );
    for (const message of messages) await user.deliver(message);
    const ran = await user.run(["sync", "--json"]);
    assert.equal(ran.status, 0, ran.stderr);
    const { listed, downloaded, stored, duplicates, failed, deleted, bytes } = result(ran);
    assert.deepEqual([listed, downloaded, stored, deleted], Array(4).fill(messages.length));
    assert.deepEqual([duplicates, failed], [0, []]);
    assert.ok(bytes > 150 * 16_384);
    assertStored(await user.stored(), messages);
    assert.deepEqual(await user.onServer(), []);
    const again = await user.run(["sync", "--json"]);
    assert.equal(again.status, 0);
    assert.equal(result(again).listed, 0);
    assert.match(again.stderr, /^shoal: 0 new in /);
  });

  test("an empty mailbox that was never used", async () => {
    assert.equal((await user.run(["sync"])).status, 0);
    assert.deepEqual((await readdir(user.maildir)).sort(), ["cur", "new", "shoal-incoming-default", "tmp"]);
  });

  test("--keep leaves everything on the server, and stores it once", async () => {
    await user.deliver(mail(1));
    for (const [stored, duplicates] of [
      [1, 0],
      [0, 1],
    ]) {
      const ran = await user.run(["sync", "--keep", "--json"]);
      assert.deepEqual([result(ran).stored, result(ran).duplicates, result(ran).deleted], [stored, duplicates, 0]);
    }
    assert.equal((await user.onServer()).length, 1);
    assert.equal((await user.stored()).length, 1);
  });

  test("a file that appears again is deleted and not stored again, though the message was deleted here", async () => {
    const name = await user.deliver(mail(1));
    await copyFile(join(user.mail, name), join(user.home, name));
    await user.run(["sync"]);
    await rm(join(user.maildir, "new", name.replace(/age$/, "shoal")));
    await rename(join(user.home, name), join(user.mail, name));
    const ran = await user.run(["sync", "--json"]);
    assert.deepEqual([result(ran).downloaded, result(ran).duplicates, result(ran).deleted], [0, 1, 1]);
    assert.deepEqual(await user.stored(), []);
  });

  test("a retransmission is stored once: in one run, and in a later one", async () => {
    for (let i = 0; i < 3; i++) await user.deliver(mail("again"));
    await user.deliver(mail("again"), { helo: "other.example.com", time: TRACE.time + 600 });
    const ran = await user.run(["sync", "--json"]);
    assert.deepEqual([result(ran).stored, result(ran).duplicates, result(ran).deleted], [1, 3, 4]);
    await user.deliver(mail("again"));
    assert.equal(result(await user.run(["sync", "--json"])).duplicates, 1);
    assertStored(await user.stored(), [mail("again")]);
  });

  test("what only looks like a retransmission is stored", async () => {
    await user.deliver("Subject: no id\n\nhi\n");
    await user.deliver("Subject: no id\n\nhi\n");
    await user.deliver(`Subject: id in the body\n\nMessage-ID: <1@x>\n`);
    await user.deliver(`Subject: id in the body\n\nMessage-ID: <1@x>\n`);
    await user.deliver(mail(1));
    await user.deliver(mail(1), { sender: "eve@example.com" });
    await user.deliver(mail(1, "Hello.\n"));
    assert.equal(result(await user.run(["sync", "--json"])).stored, 7);
    assert.equal((await user.stored()).length, 7);
  });

  test("other names on the server are left alone", async () => {
    for (const name of ["note.txt", "a.age", `${"A".repeat(64)}.age`, `${"0".repeat(64)}.age.tmp`, "-rf"]) {
      await writeFile(join(user.mail, name), "x");
    }
    await mkdir(join(user.mail, "folder"));
    const ran = await user.run(["sync", "--json"]);
    assert.equal(ran.status, 0);
    assert.equal(result(ran).listed, 0);
    assert.equal((await user.onServer()).length, 6);
  });

  test("48 MB in one mail, and memory stays bounded", async () => {
    const message = Buffer.concat([Buffer.from(mail("large")), randomBytes(48_000_000)]);
    const name = await user.deliver(message);
    const running = user.start(["sync", "--json"]);
    let peak = 0;
    const timer = setInterval(() => {
      void readFile(`/proc/${running.pid}/status`, "utf8").then(
        (status) => (peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0))),
        () => clearInterval(timer),
      );
    }, 20);
    const ran = await running.done;
    clearInterval(timer);
    assert.equal(ran.status, 0, ran.stderr);
    const stored = await readFile(join(user.maildir, "new", name.replace(/age$/, "shoal")));
    assert.ok(stored.subarray(stored.length - message.length).equals(message));
    assert.ok(peak > 0 && peak < 400_000, `${peak} kB`);
  });
});

describe("what is wrong with one file: it stays, the others come, each cause has its own words", () => {
  async function failure(deposit: () => Promise<string>): Promise<{ code: string; message: string; hint: string }> {
    await user.deliver(mail("good"));
    const name = await deposit();
    const ran = await user.run(["sync", "--json"]);
    assert.equal(ran.status, 65, ran.stderr);
    const { stored, failed } = result(ran);
    assert.equal(stored, 1, "the other one");
    assert.equal(failed.length, 1);
    assert.equal(failed[0]?.file, name);
    assert.deepEqual(await user.onServer(), [name]);
    assertStored(await user.stored(), [mail("good")]);
    const hint = /hint: (.*)/.exec(ran.stderr)?.[1] ?? "";
    assert.ok(hint.length > 20);
    return { code: failed[0]?.code ?? "", message: failed[0]?.message ?? "", hint };
  }

  async function sealed(): Promise<Buffer> {
    return seal([user.recipient], composeSealedMail(TRACE, Buffer.from(mail("bad"))));
  }

  test("another content than the name promises is not even opened", async () => {
    const file = await sealed();
    const { code } = await failure(async () => {
      const name = `${"0".repeat(64)}.age`;
      await writeFile(join(user.mail, name), file);
      return name;
    });
    assert.equal(code, "DIGEST");
  });

  test("sealed to another key", async () => {
    const { code, hint } = await failure(async () => {
      await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(user.home, "other")]);
      const other = parseRecipient((await readFile(join(user.home, "other.pub"), "utf8")).trim());
      return await user.deliver(mail("bad"), {}, other);
    });
    assert.equal(code, "NO-IDENTITY");
    assert.match(hint, /identities/);
  });

  test("a byte changed in the header, in the content, cut off, no age file, and not ours inside", async () => {
    const expected: [string, (file: Buffer) => Buffer][] = [
      [
        "AGE-MAC",
        (file) =>
          Buffer.from(
            file.toString("latin1").replace(/\n--- ./, (m) => `${m.slice(0, -1)}${m.endsWith("A") ? "B" : "A"}`),
            "latin1",
          ),
      ],
      ["AGE-PAYLOAD", (file) => Buffer.from(file).fill(0, 5000, 5001)],
      ["AGE-PAYLOAD", (file) => file.subarray(0, file.length - 1)],
      ["AGE-HEADER", () => Buffer.from("not sealed at all\n")],
      ["SEALED-MAIL", () => seal([user.recipient], Buffer.from("Subject: sealed by somebody else\n\nhi\n"))],
    ];
    for (const [code, change] of expected) {
      user = await MailUser.create(sshd, `user${number++}`);
      assert.equal((await failure(async () => await user.deposit(change(await sealed())))).code, code);
    }
  });

  test("many with the same cause are told in a few lines", async () => {
    for (let i = 0; i < 40; i++) await user.deposit(Buffer.from(`rubbish ${i}`));
    const ran = await user.run(["sync", "--json"]);
    assert.equal(result(ran).failed.length, 40);
    assert.ok(ran.stderr.split("\n").length < 8, ran.stderr);
    assert.match(ran.stderr, /and 37 more/);
  });
});

describe("what is wrong with everything: nothing is lost, and each cause has its own words", () => {
  const messages = new Set<string>();

  async function failure(status: number, pattern: RegExp, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const name = await user.deliver(mail(1));
    const ran = await user.run(["sync", "--json"], env);
    assert.equal(ran.status, status, ran.stderr);
    const error = /error: (.*)/.exec(ran.stderr)?.[1] ?? "";
    assert.match(error, pattern);
    assert.match(ran.stderr, /\nshoal: hint: .{20}/);
    assert.ok(!messages.has(error), `"${error}" was said for another cause`);
    messages.add(error);
    assert.ok((await user.onServer()).includes(name));
    assert.deepEqual(await user.stored(), []);
    return ran.stderr;
  }

  test("changed host key", async () => {
    const other = await readFile(`${sshd.identityFile}.pub`, "utf8");
    await writeFile(join(user.home, "changed"), `[127.0.0.1]:${sshd.port} ${other}`);
    await user.writeProfile({ knownHosts: join(user.home, "changed") });
    assert.match(await failure(65, /host key of "127.0.0.1" .* has changed/), /hint: somebody may be in between/);
  });

  test("unknown host key", async () => {
    await writeFile(join(user.home, "empty"), "");
    await user.writeProfile({ knownHosts: join(user.home, "empty") });
    await failure(65, /not known/);
  });

  test("login refused", async () => {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(user.home, "stranger")]);
    await user.writeProfile({ identities: [join(user.home, "stranger")] });
    await failure(75, /refused the login/);
  });

  test("no server", async () => {
    await user.writeProfile({ port: await freePort(), knownHosts: null });
    assert.doesNotMatch(await failure(75, /refuses connections/), /0 new/, "it does not know that");
  });

  test("no such host", async () => {
    await user.writeProfile({ host: "does-not-exist.invalid" });
    await failure(75, /no address/);
  });

  test("no ssh program", async () => {
    await failure(75, /can't start "ssh"/, { PATH: "/nowhere" });
  });

  test("key file gone", async () => {
    await user.writeProfile({ identities: [join(user.home, "gone")] });
    await failure(75, /can't read the key/);
  });

  test("a key that can't open mail", async () => {
    await exec("ssh-keygen", ["-q", "-t", "ecdsa", "-N", "", "-f", join(user.home, "ecdsa")]);
    await user.writeProfile({ identities: [join(user.home, "ecdsa")] });
    await failure(77, /none of the identity files can open mail/);
  });

  test("no profile, and one with mistakes", async () => {
    const ran = await user.run(["sync", "--profile", "other"]);
    assert.equal(ran.status, 64);
    await user.writeProfile({ port: "22", color: "red", maildir: "relative", identities: [] });
    const { status, stderr } = await user.run(["sync"]);
    assert.equal(status, 78);
    for (const key of ["port", "color", "maildir", "identities"]) assert.match(stderr, new RegExp(`: ${key}: `));
  });

  test("no such folder on the server", async () => {
    await user.writeProfile({ folder: "/does/not/exist" });
    const ran = await user.run(["sync"]);
    assert.equal(ran.status, 75);
    assert.match(ran.stderr, /can't open folder "\/does\/not\/exist"/);
  });

  test("another sync is running", async () => {
    // One that waits for a server that never answers.
    const program = join(user.home, "bin", "ssh");
    await mkdir(join(user.home, "bin"));
    await writeFile(program, "#!/bin/sh\nexec cat >/dev/null\n", { mode: 0o755 });
    const first = user.start(["sync"], { PATH: `${join(user.home, "bin")}:${process.env["PATH"]}` });
    try {
      const lock = join(user.home, "state/shoal/default/lock");
      while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, 200));
      await failure(75, /running already/);
    } finally {
      first.kill();
      await first.done;
    }
    assert.equal((await user.run(["sync"])).status, 0, "the lock of a killed process is nobody's");
  });

  test("a Maildir that can't be made", async () => {
    await writeFile(join(user.home, "file"), "");
    await user.writeProfile({ maildir: join(user.home, "file", "Mail") });
    await failure(75, /can't store mail/);
  });

  test("a full disk here: what fits is stored, the rest stays on the server, and later comes once", async () => {
    const all = Array.from({ length: 60 }, (_, i) => mail(i, "x".repeat(9000)));
    for (const message of all) await user.deliver(message);
    const small = join(user.home, "small");
    const maildir = join(small, "Mail");
    await mkdir(small);
    await user.writeProfile({ maildir });
    const main = new URL("./main.ts", import.meta.url).pathname;
    const script = `mount -t tmpfs -o size=400k tmpfs "$1" && { "$2" "$3" sync --json; status=$?; cp -r "$1" "$4"; exit $status; }`;
    const copy = join(user.home, "copy");
    const ran = await tryExec("unshare", ["-m", "sh", "-c", script, "sh", small, process.execPath, main, copy], {
      env: user.env,
    });
    assert.equal(ran.status, 75, ran.stderr);
    assert.match(ran.stderr, /error: the disk is full: can't store mail in/);
    assert.match(ran.stderr, /hint: make room/);
    // The file system is gone; what was in it goes on as the Maildir.
    await rename(join(copy, "Mail"), maildir);
    const left = await user.onServer();
    assert.ok(left.length > 0 && left.length <= 60);
    const again = await user.run(["sync", "--json"]);
    assert.equal(again.status, 0, again.stderr);
    user = Object.assign(Object.create(MailUser.prototype) as MailUser, user, { maildir });
    assertStored(await user.stored(), all);
    assert.deepEqual(await user.onServer(), []);
  });
});

describe("keys with a passphrase", () => {
  beforeEach(async () => {
    await copyFile(sshd.identityFile, join(user.home, "locked"));
    await exec("chmod", ["600", join(user.home, "locked")]);
    await exec("ssh-keygen", ["-q", "-p", "-P", "", "-N", "open sesame", "-f", join(user.home, "locked")]);
    await user.writeProfile({ identities: [join(user.home, "locked")] });
    await user.deliver(mail(1));
  });

  test("from a file for programs, for login and opening", async () => {
    await writeFile(join(user.home, "pass"), "open sesame\n");
    const ran = await user.run(["sync"], { SHOAL_PASSPHRASE_FILE: join(user.home, "pass") });
    assert.equal(ran.status, 0, ran.stderr);
    assert.equal((await user.stored()).length, 1);
    assert.doesNotMatch(ran.stderr + ran.stdout, /sesame/);
  });

  test("a wrong one", async () => {
    await writeFile(join(user.home, "pass"), "open barley\n");
    const ran = await user.run(["sync"], { SHOAL_PASSPHRASE_FILE: join(user.home, "pass") });
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /passphrase/);
    assert.equal((await user.onServer()).length, 1);
  });

  test("nobody to ask", async () => {
    const ran = await user.run(["sync"]);
    assert.equal(ran.status, 77);
    assert.match(ran.stderr, /SHOAL_PASSPHRASE_FILE/);
  });

  test("asked once on a terminal, without echo", async () => {
    const main = new URL("./main.ts", import.meta.url).pathname;
    const command = [process.execPath, main, "sync"].map((word) => `'${word}'`).join(" ");
    // script(1) gives it a terminal and shows everything that appears there.
    const ran = await tryExec("script", ["-qec", command, "/dev/null"], { env: user.env, input: "open sesame\r" });
    const shown = ran.stdout.toString("utf8");
    assert.equal(ran.status, 0, shown);
    assert.equal(shown.split("Passphrase for").length, 2, shown);
    assert.equal((await user.stored()).length, 1);
  });
});

test("killed again and again while mail keeps coming: every mail is there once, to the byte", async () => {
  const all: string[] = [];
  async function deliver(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const message = mail(`k${all.length}`, randomBytes(3000).toString("base64"));
      all.push(message);
      await user.deliver(message);
      // The sender did not hear our answer and sends it again.
      if (all.length % 10 === 0) await user.deliver(message);
    }
  }
  await deliver(150);
  let killed = 0;
  /** What a sync takes that nobody kills, as this machine is now. */
  let usualMilliseconds = 600;
  for (let round = 0; round < 14 || (killed < 6 && round < 60); round++) {
    const began = performance.now();
    const running = user.start(["sync"]);
    // From before the login to after the last deletion.
    const timer = setTimeout(() => running.kill(), (0.2 + Math.random() * 0.9) * usualMilliseconds);
    const { signal } = await running.done;
    clearTimeout(timer);
    if (signal === "SIGKILL") killed += 1;
    else usualMilliseconds = performance.now() - began;
    // A mail program moves what it has seen.
    for (const name of (await readdir(join(user.maildir, "new")).catch(() => [])).slice(0, 20)) {
      await rename(join(user.maildir, "new", name), join(user.maildir, "cur", `${name}:2,S`));
    }
    await deliver(20);
  }
  const last = await user.run(["sync", "--json"]);
  assert.equal(last.status, 0, last.stderr);
  assertStored(await user.stored(), all);
  assert.deepEqual(await user.onServer(), []);
  assert.ok(killed >= 6, `${killed} runs were killed`);
});

test("names of stored files are digests of what came from the server", async () => {
  const file = seal([user.recipient], composeSealedMail(TRACE, Buffer.from(mail(1))));
  await user.deposit(file);
  await user.run(["sync"]);
  const [name = ""] = await readdir(join(user.maildir, "new"));
  assert.equal(basename(name, ".shoal"), createHash("sha256").update(file).digest("hex"));
});
