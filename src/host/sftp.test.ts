import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FormatError, HostError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";
import { OPEN, SftpConnection, SftpStatusError, STATUS } from "./sftp.ts";

describe("against OpenSSH's server", () => {
  let sshd: TestSshd;
  let sftp: SftpConnection;
  let folder: string;

  before(async () => {
    sshd = await startSshd();
    folder = join(sshd.folder, "files");
    await mkdir(folder);
    sftp = await SftpConnection.open(sshd.target);
  });

  after(async () => {
    await sftp.end();
    await sshd.stop();
  });

  test("lists a folder of more names than one answer holds", async () => {
    const many = join(folder, "many");
    await mkdir(many);
    const wanted = Array.from({ length: 350 }, (_, i) => `file ${i} \u00e9`);
    for (const [i, name] of wanted.entries()) await writeFile(join(many, name), Buffer.alloc(i));
    const found = await sftp.list(many);
    assert.deepEqual(found.map(({ name }) => name).sort(), wanted.sort());
    for (const { name, size } of found) assert.equal(size, Number(name.split(" ")[1]));
    const { mtimeMs } = await stat(join(many, "file 7 \u00e9"));
    assert.equal(found.find(({ name }) => name.startsWith("file 7 "))?.mtimeSeconds, Math.floor(mtimeMs / 1000));
  });

  test("what is no plain file has no size, and is read without being opened", async () => {
    const odd = join(folder, "odd");
    await mkdir(join(odd, "folder"), { recursive: true });
    await symlink("folder", join(odd, "link"));
    await exec("mkfifo", [join(odd, "pipe")]);
    const found = await sftp.list(odd);
    assert.deepEqual(found.map(({ name, size }) => `${name} ${size}`).sort(), ["folder 0", "link 0", "pipe 0"]);
    for (const { name, size } of found) assert.equal((await sftp.readFile(join(odd, name), 100, size)).length, 0);
  });

  test("leaving a listing early leaves the connection usable", async () => {
    for await (const batch of sftp.entries(folder)) if (batch.length > 0) break;
    assert.deepEqual(await sftp.list("/var/empty-does-not-exist").catch((error: SftpStatusError) => error.status), 2);
  });

  for (const size of [0, 1, 32_768, 255 * 1024, 255 * 1024 + 1, 5_000_000]) {
    test(`writes, makes durable and reads back ${size} bytes`, async () => {
      const path = join(folder, `content-${size}`);
      const content = randomBytes(size);
      const handle = await sftp.open(path, OPEN.write | OPEN.create | OPEN.exclusive, { mode: 0o640 });
      await Promise.all([sftp.write(handle, 0, content), sftp.fsync(handle), sftp.close(handle)]);
      assert.ok(content.equals(await readFile(path)));
      assert.equal((await sftp.lstat(path)).size, size);
      assert.equal(((await sftp.lstat(path)).mode ?? 0) & 0o777, 0o640);
      assert.ok(content.equals(await sftp.readFile(path, size)), "without a known size");
      assert.ok(content.equals(await sftp.readFile(path, size, size)), "with a known size");
      assert.ok(content.equals(await sftp.readFile(path, size + 70_000, size + 70_000)), "shorter than announced");
    });
  }

  test("writing in reverse order gives the same file", async () => {
    const path = join(folder, "reverse");
    const content = randomBytes(1_000_000);
    const handle = await sftp.open(path, OPEN.write | OPEN.create);
    const parts: Promise<void>[] = [];
    for (let at = 900_000; at >= 0; at -= 100_000)
      parts.push(sftp.write(handle, at, content.subarray(at, at + 100_000)));
    await Promise.all(parts);
    await sftp.close(handle);
    assert.ok(content.equals(await readFile(path)));
  });

  test("five hundred files at once, each with its own content", async () => {
    const crowd = join(folder, "crowd");
    await sftp.mkdir(crowd);
    const digests = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const content = randomBytes(3000 + i);
        const handle = await sftp.open(join(crowd, String(i)), OPEN.write | OPEN.create | OPEN.exclusive);
        await Promise.all([sftp.write(handle, 0, content), sftp.close(handle)]);
        return createHash("sha256").update(content).digest("hex");
      }),
    );
    await Promise.all(
      digests.map(async (digest, i) => {
        const content = await sftp.readFile(join(crowd, String(i)), 10_000, 3000 + i);
        assert.equal(createHash("sha256").update(content).digest("hex"), digest);
      }),
    );
    await Promise.all(digests.map((_, i) => sftp.remove(join(crowd, String(i)))));
    assert.deepEqual(await readdir(crowd), []);
  });

  test("a hard link never replaces a file", async () => {
    const [from, to] = [join(folder, "from"), join(folder, "to")];
    await writeFile(from, "a");
    await sftp.hardlink(from, to);
    await writeFile(from, "b");
    assert.equal(await readFile(to, "utf8"), "b");
    await assert.rejects(sftp.hardlink(from, to), (error: SftpStatusError) => error.status === STATUS.failure);
  });

  test("statuses arrive as numbers", async () => {
    const missing = join(folder, "missing");
    for (const request of [sftp.lstat(missing), sftp.remove(missing), sftp.readFile(missing, 10)]) {
      await assert.rejects(request, (error: unknown) => {
        assert.ok(error instanceof SftpStatusError);
        assert.equal(error.status, STATUS.noSuchFile);
        return true;
      });
    }
  });

  test("lstat does not follow links", async () => {
    await symlink("/etc/passwd", join(folder, "link"));
    assert.equal(((await sftp.lstat(join(folder, "link"))).mode ?? 0) & 0o170000, 0o120000);
  });

  test("a file above the limit is not fetched", async () => {
    await writeFile(join(folder, "big"), Buffer.alloc(1001));
    await assert.rejects(sftp.readFile(join(folder, "big"), 1000), { code: "TOO-LARGE" });
    await assert.rejects(sftp.readFile(join(folder, "big"), 1000, 1001), { code: "TOO-LARGE" });
  });

  test("when ssh dies every request fails and says why", async () => {
    const doomed = await SftpConnection.open(sshd.target);
    const requests = Array.from({ length: 50 }, () => doomed.list(folder));
    doomed.kill();
    for (const result of await Promise.allSettled(requests)) {
      assert.equal(result.status, "rejected");
      assert.ok(result.reason instanceof HostError && result.reason.code === "NETWORK");
    }
    await assert.rejects(doomed.lstat("/"), { code: "NETWORK" });
  });
});

describe("against a server that lies", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "shoal-liar-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** A program in place of ssh: says `version`, then answers each request with what `answer` (JavaScript) gives. */
  async function liar(name: string, answer: string, version = "0000000502 00000003"): Promise<SftpConnection> {
    const program = join(folder, name.replaceAll(/[^a-z]/g, "-"));
    const source = `#!${process.execPath}
const hex = (text) => Buffer.from(text.replaceAll(" ", ""), "hex");
const u32 = (n) => n.toString(16).padStart(8, "0");
let seen = false, buffered = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  buffered = Buffer.concat([buffered, chunk]);
  while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
    const packet = buffered.subarray(4, 4 + buffered.readUInt32BE(0));
    buffered = buffered.subarray(4 + packet.length);
    if (!seen) { seen = true; process.stdout.write(hex("${version}")); continue; }
    const id = u32(packet.readUInt32BE(1)), type = packet[0];
    if (type === 200) { process.stdout.write(hex("00000011 65" + id + "00000008 00000000 00000000")); continue; }
    const reply = (() => { ${answer} })();
    if (reply !== undefined) process.stdout.write(hex(reply));
  }
});
process.stdin.on("end", () => process.exit(0));
`;
    await writeFile(program, source, { mode: 0o755 });
    return await SftpConnection.open({ host: "liar.example", program });
  }

  const lies: Record<string, string> = {
    "a length of four gigabytes": `return "ffffffff 65";`,
    "a length of zero": `return "00000000";`,
    "a length one above the limit": `return "00040001 65";`,
    "an id that was never sent": `return "00000011 65 0badcafe 00000000 00000000 00000000";`,
    "an answer of another kind": `return "00000009 68" + id + "00000000";`,
    "a packet type nobody knows": `return "00000005 99" + id;`,
    "a string longer than its packet": `return "0000000d 65" + id + "00000003 00001000";`,
    "bytes after the end of the packet": `return "00000012 65" + id + "00000003 00000000 00000000 ff";`,
    "OK without the handle": `return "00000011 65" + id + "00000000 00000000 00000000";`,
    "a handle of 257 bytes": `return "0000010a 66" + id + "00000101" + "00".repeat(257);`,
    "a second version": `return "00000005 02 00000003";`,
  };
  for (const [lie, answer] of Object.entries(lies)) {
    test(`${lie}: refused, and every later request too`, async () => {
      const sftp = await liar(lie, answer);
      await assert.rejects(
        sftp.open("x", OPEN.read),
        (error: unknown) => error instanceof FormatError && error.code === "SFTP",
      );
      await assert.rejects(sftp.remove("y"), { code: "SFTP" });
      await sftp.end();
    });
  }

  const slow: Record<string, [string, RegExp]> = {
    "an answer that does not come": ["return undefined;", /^"liar\.example" did not answer for 120 s$/],
    "an answer that trickles": [
      `process.stdout.write(hex("0003ffff 66")); setInterval(() => process.stdout.write("x"), 5);`,
      /^"liar\.example" took 10 minutes for [0-9]+ bytes$/,
    ],
  };
  for (const [name, [answer, message]] of Object.entries(slow)) {
    test(`${name}: not waited for without end`, async (context) => {
      // The clock goes ten seconds ahead in a tenth of one.
      context.mock.timers.enable({ apis: ["setInterval"] });
      let now = performance.now();
      context.mock.method(performance, "now", () => now);
      const sftp = await liar(name, answer);
      const failures: unknown[] = [];
      sftp.open("x", OPEN.read).catch((error: unknown) => failures.push(error));
      const started = now;
      while (failures.length === 0 && now - started < 3_600_000) {
        now += 10_000;
        await new Promise((resolve) => setTimeout(resolve, 100));
        context.mock.timers.tick(5000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const [failure] = failures;
      assert(failure instanceof HostError);
      assert.equal(failure.code, "TIMEOUT");
      assert.match(failure.message, message);
      assert.ok(now - started <= 620_000);
      await assert.rejects(sftp.remove("y"), { code: "TIMEOUT" });
    });
  }

  const handle = `if (type === 3 || type === 11) return "0000000a 66" + id + "00000001 41";`;
  const names: Record<string, string> = {
    "four billion names": `return "00000009 68" + id + "ffffffff";`,
    "no name at all, and no end": `return "00000009 68" + id + "00000000";`,
    "a name of 256 bytes": `return "00000115 68" + id + "00000001 00000100" + "61".repeat(256) + "00000000 00000000";`,
    "a name with a slash": `return "00000018 68" + id + "00000001 00000003 2e2e2f 00000000 00000000";`,
    "a name with NUL": `return "00000016 68" + id + "00000001 00000001 00 00000000 00000000";`,
    "an empty name": `return "00000015 68" + id + "00000001 00000000 00000000 00000000";`,
    "attributes of an unknown kind": `return "00000016 68" + id + "00000001 00000001 61 00000000 00000010";`,
    "a size beyond any disk": `return "0000001e 68" + id + "00000001 00000001 61 00000000 00000001 ffffffffffffffff";`,
    "more data than asked for": `return "0000000c 67" + id + "00000003 616263";`,
  };
  for (const [lie, answer] of Object.entries(names)) {
    test(lie, async () => {
      const sftp = await liar(lie, handle + answer);
      const request = lie.startsWith("more data") ? sftp.readFile("x", 2, 2) : sftp.list("x");
      await assert.rejects(request, (error: unknown) => error instanceof FormatError && error.code === "SFTP");
      await sftp.end();
    });
  }

  test("another protocol version", async () => {
    await assert.rejects(liar("version", "return undefined;", "0000000502 00000006"), { code: "SFTP" });
  });

  test("text before the protocol, as a chatty login script writes it", async () => {
    const chatty = liar("chatty", "return undefined;", Buffer.from("Welcome to this machine\n").toString("hex"));
    await assert.rejects(chatty, { code: "SFTP" });
  });

  test("a packet cut off by the end of the connection", async () => {
    const sftp = await liar("cut", `setTimeout(() => process.exit(255), 20); return "00000011 65" + id;`);
    await assert.rejects(sftp.remove("x"), { code: "NETWORK" });
  });

  test("data in dribbles, one byte at a time, is put together", async () => {
    const sftp = await liar(
      "dribble",
      `${handle} if (type === 5) { const all = hex("0000000c 67" + id + "00000003 616263");
       for (let i = 0; i < all.length; i++) setTimeout(() => process.stdout.write(all.subarray(i, i + 1)), 2 * i); return; }
       return "00000011 65" + id + "00000000 00000000 00000000";`,
    );
    assert.equal((await sftp.readFile("x", 3, 3)).toString(), "abc");
    await sftp.end();
  });

  test("short reads are completed", async () => {
    const sftp = await liar(
      "short",
      `${handle} if (type === 5) return "0000000a 67" + id + "00000001" + (0x61 + packet[packet.length - 5]).toString(16);
       return "00000011 65" + id + "00000000 00000000 00000000";`,
    );
    assert.equal((await sftp.readFile("x", 3, 3)).toString(), "abc");
    await sftp.end();
  });
});
