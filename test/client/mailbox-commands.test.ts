/** `shoal delete`, `verify`, `watch` and `account remove-device` as their user types them, against a real sshd. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parseRecipient, seal } from "#core/age/age.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { verifyDeletion } from "#core/mailbox/deletion.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { exec, tryExec } from "#host/exec.ts";
import { AccountMachines, type Computer, type Ran } from "#test/account-machines.ts";
import { TRACE } from "#test/mail-user.ts";
import { until } from "#test/until.ts";

let machines: AccountMachines;
let laptop: Computer;
let count = 0;

beforeEach(async () => {
  machines = await AccountMachines.start();
  laptop = await machines.computer("laptop");
  await ok(laptop, "account", "create", "alice@example.org", ...machines.options, "--recovery", laptop.path("usb"));
  await machines.accept(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
});
afterEach(() => machines.stop());

async function ok(computer: Computer, ...args: string[]): Promise<Ran> {
  const ran = await computer.run(args);
  assert.equal(ran.status, 0, `${args.join(" ")}\n${ran.stderr}`);
  return ran;
}

/** Delivers so many mails to all devices of the account, and publishes. @param before that something else happens */
async function deliver(mails: number, before?: (entries: Entry[]) => Promise<void>): Promise<Entry[]> {
  const { standing, ledger } = machines;
  assert.ok(standing !== null);
  const recipients = standing.state.devices.map(({ key }) => parseRecipient(key));
  const files = Array.from({ length: mails }, () => {
    count += 1;
    const message = Buffer.from(`Message-ID: <${count}@x>\nSubject: mail ${count}\n\nHello ${count}\n`);
    return seal(recipients, composeSealedMail({ ...TRACE, time: TRACE.time + count }, message));
  });
  const entries = await ledger.deliver(standing.id, files);
  await before?.(entries);
  await ledger.publish(standing);
  return entries;
}

async function onServer(folder: "mail" | "del"): Promise<string[]> {
  return (await readdir(join(machines.fetchFolder, folder))).sort();
}

/** The deletion records, each by the device's key, which ssh-keygen finds good. */
async function records(): Promise<{ name: string; key: string; seqs: number[]; isDone: boolean }[]> {
  const names = await onServer("del");
  return await Promise.all(
    names
      .filter((name) => !name.endsWith(".done"))
      .map(async (name) => {
        const { record, key } = verifyDeletion(
          await readFile(join(machines.fetchFolder, "del", name)),
          machines.domain,
        );
        return { name, key, seqs: record.deleted.map(({ seq }) => seq), isDone: names.includes(`${name}.done`) };
      }),
  );
}

/** A second device, which knows the account. */
async function phone(): Promise<Computer> {
  const computer = await machines.computer("phone");
  const { stderr, stdout } = await ok(computer, "init", "alice@example.org", ...machines.options);
  const line = /shoal-device:\S+/.exec(stdout + stderr)?.[0] ?? "";
  await ok(laptop, "account", "add-device", line, "--yes");
  await ok(computer, "account", "trust", machines.standing?.id ?? "");
  return computer;
}

async function deviceKey(computer: Computer): Promise<string> {
  return (await readFile(join(computer.config, "id_ed25519.pub"), "utf8")).split(" ").slice(0, 2).join(" ");
}

describe("shoal delete", () => {
  test("removes what is named, with a note that the device signed, and nobody is alarmed", async () => {
    const other = await phone();
    const [a, b, c, d] = await deliver(4);
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
    await ok(laptop, "sync", "--keep");
    await ok(other, "sync", "--keep");
    const listed = JSON.parse((await ok(laptop, "list", "--json")).stdout) as {
      number: number;
      id: string;
      file: string;
    }[];
    const numberOf = (entry: Entry): string => String(listed.find(({ id }) => id === entry.digest)?.number);
    const fileOf = (entry: Entry): string => listed.find(({ id }) => id === entry.digest)?.file ?? "";
    const { stdout } = await ok(laptop, "delete", numberOf(a), b.digest.slice(0, 10), fileOf(c), "--json");
    const { removed } = JSON.parse(stdout) as { removed: { seq: number }[] };
    assert.deepEqual(
      removed.map(({ seq }) => seq),
      [a.seq, b.seq, c.seq],
    );
    assert.deepEqual(await onServer("mail"), [mailName(d)]);
    const found = await records();
    assert.deepEqual(
      found.map(({ key, seqs, isDone }) => [key, seqs, isDone]),
      [[await deviceKey(laptop), [a.seq, b.seq, c.seq], true]],
    );
    const name = found[0]?.name ?? "";
    const text = await readFile(join(machines.fetchFolder, "del", name), "latin1");
    const begin = text.indexOf("-----BEGIN");
    await writeFile(laptop.path("sig"), text.slice(begin));
    await writeFile(laptop.path("devices"), `device ${await deviceKey(laptop)}\n`);
    const check = ["-Y", "verify", "-f", laptop.path("devices"), "-I", "device", "-n", "mailbox-delete.v1@example.org"];
    await exec("ssh-keygen", [...check, "-s", laptop.path("sig")], { input: text.slice(0, begin) });
    for (const computer of [laptop, other]) {
      await ok(computer, "sync", "--keep");
      assert.match((await ok(computer, "verify")).stdout, /3 were removed by your devices\nresult {4}everything holds/);
    }
    assert.equal((await ok(laptop, "list", "--json")).stdout.split('"number"').length, 5, "the Maildir keeps all");
  });

  test("a key that an agent holds, and that opens no mail, is enough", async () => {
    const [a] = await deliver(2);
    await ok(laptop, "sync", "--keep");
    const key = join(laptop.config, "id_ed25519");
    const socket = laptop.path("agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    const env = { SSH_AUTH_SOCK: socket };
    try {
      const add = async (): Promise<boolean> =>
        (await tryExec("ssh-add", ["-q", key], { env: { ...laptop.env, ...env } })).status === 0;
      await until("the agent has the key", add);
      await rm(key);
      const profile = join(laptop.config, "profile.json");
      await writeFile(profile, (await readFile(profile, "utf8")).replace('id_ed25519"', 'id_ed25519.pub"'));
      const ran = await laptop.run(["delete", `@${a?.seq}`], env);
      assert.equal(ran.status, 0, ran.stderr);
      assert.match(ran.stderr, /1 removed from the server/);
      assert.equal((await records()).length, 1);
    } finally {
      agent.kill();
    }
  });

  test("what is not there is not noted, what fits nothing or two is refused, and what does not hold is left alone", async () => {
    const [a] = await deliver(2);
    assert.ok(a !== undefined);
    await rm(join(machines.fetchFolder, "mail", mailName(a)));
    const gone = await laptop.run(["delete", `@${a.seq}`]);
    assert.equal(gone.status, 76, gone.stderr);
    assert.match(gone.stderr, /MISSING/);
    assert.match(gone.stderr, /@1 is not on the server any more/);
    assert.deepEqual(await records(), [], "a note would explain away who took it");
    for (const wanted of ["@99", "ffffffff", "zzzz", "7", "./nothing.eml"]) {
      assert.equal((await laptop.run(["delete", wanted])).status, 64, wanted);
    }
    await writeFile(join(machines.fetchFolder, "ledger/head"), "nothing");
    const closed = await laptop.run(["delete", "@2"]);
    assert.equal(closed.status, 76);
    assert.match(closed.stderr, /BAD-HEAD.*\n[^]*nothing was removed/);
    assert.equal((await onServer("mail")).length, 1);
    assert.equal((await laptop.run(["delete"])).status, 64);
  });
});

describe("shoal verify", () => {
  test("tells of each file, from scratch, and changes nothing", async () => {
    const [a, b] = await deliver(3);
    assert.ok(a !== undefined && b !== undefined);
    await ok(laptop, "sync", "--keep");
    const memory = join(laptop.state, "../mailbox/memory");
    const before = await readFile(memory, "latin1");
    assert.match(
      (await ok(laptop, "verify")).stdout,
      /mail {6}3 are there as they were delivered\nresult {4}everything holds\n$/,
    );
    const path = join(machines.fetchFolder, "mail", mailName(b));
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    await writeFile(path, bytes);
    const { status, stdout } = await laptop.run(["verify", "--json"]);
    assert.equal(status, 76, stdout);
    const told = JSON.parse(stdout) as {
      findings: { code: string; seq: number }[];
      entries: { seq: number; state: string }[];
    };
    assert.deepEqual(
      told.findings.map(({ code, seq }) => [code, seq]),
      [["MODIFIED", b.seq]],
    );
    assert.deepEqual(
      told.entries.map(({ state }) => state),
      ["genuine", "MODIFIED", "genuine"],
    );
    assert.equal(await readFile(memory, "latin1"), before);
  });

  test("writes a proof that somebody else checks, and reads a copy that sftp made", async () => {
    const [a] = await deliver(2);
    assert.ok(a !== undefined);
    await ok(laptop, "sync", "--keep");
    await ok(laptop, "verify", "--export", "proof.tar", `@${a.seq}`);
    const stranger = await machines.computer("stranger");
    await writeFile(stranger.path("operator"), machines.ledger.operatorLine);
    const id = machines.standing?.id ?? "";
    const bundle = laptop.path("proof.tar");
    const proved = await ok(stranger, "verify", "--bundle", bundle, "--operator", "operator", "--account", id);
    assert.match(
      proved.stdout,
      new RegExp(`^delivery {2}${a.seq}, .*${a.digest}, the sealed file is in the bundle$`, "m"),
    );
    assert.match(
      (await ok(laptop, "verify", "--bundle", bundle)).stdout,
      /all of that is proved/,
      "by its own profile",
    );

    const { fetch, fetchFolder } = machines;
    const login = [
      "-i",
      join(laptop.config, "id_ed25519"),
      "-P",
      String(fetch.port),
      "-o",
      `UserKnownHostsFile=${fetch.knownHostsFile}`,
    ];
    const target = `${fetch.user}@127.0.0.1:${fetchFolder}`;
    await exec("sftp", ["-q", "-o", "IdentityAgent=none", ...login, "-r", target, stranger.path("copy")]);
    const copied = await ok(stranger, "verify", "--from", "copy", "--operator", "operator", "--account", id);
    assert.match(copied.stdout, /mail {6}2 are there as they were delivered\nresult {4}everything holds/);
  });

  test("says what is missing to begin with", async () => {
    await writeFile(machines.knownHosts, (await readFile(machines.knownHosts, "utf8")).replace(/^operator.*\n/m, ""));
    const { status, stderr } = await laptop.run(["verify"]);
    assert.equal(status, 78, stderr);
    assert.match(stderr, /operator\.example\.org/);
  });
});

describe("shoal account remove-device", () => {
  test("signs again what the device removed, so that nothing turns into an alarm", async () => {
    const other = await phone();
    const [a, b] = await deliver(3);
    assert.ok(a !== undefined && b !== undefined);
    await ok(other, "sync", "--keep");
    await ok(other, "delete", `@${a.seq}`, `@${b.seq}`);
    const shown = (await ok(laptop, "account", "show")).stdout;
    const number = /^device {4,}([0-9]+) (?!.*this computer)/m.exec(shown)?.[1] ?? "";
    const { stderr } = await ok(laptop, "account", "remove-device", number, "--yes");
    assert.match(stderr, /signed again what was noted as removed there: 2 of the deliveries/);
    const key = await deviceKey(laptop);
    assert.deepEqual(
      (await records()).filter((one) => one.key === key).map(({ seqs, isDone }) => [seqs, isDone]),
      [[[a.seq, b.seq], true]],
    );
    await ok(laptop, "sync", "--keep");
    const fresh = await machines.computer("fresh");
    await exec("cp", ["-r", `${laptop.home}/.`, fresh.home]);
    await rm(join(fresh.state, "../mailbox"), { recursive: true });
    const verified = await ok(fresh, "verify");
    assert.match(
      verified.stdout,
      /2 were removed by your devices\nresult {4}everything holds/,
      "for who sees it for the first time",
    );
  });

  test("goes on, and says so, where nothing can be signed", async () => {
    const other = await phone();
    const [a] = await deliver(1);
    assert.ok(a !== undefined);
    await ok(other, "sync", "--keep");
    await ok(other, "delete", `@${a.seq}`);
    await writeFile(join(machines.fetchFolder, "ledger/head"), "nothing");
    const number =
      /^device {4,}([0-9]+) (?!.*this computer)/m.exec((await ok(laptop, "account", "show")).stdout)?.[1] ?? "";
    const { stderr, status } = await laptop.run(["account", "remove-device", number, "--yes"]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /could not be signed again/);
    assert.equal(machines.standing?.state.devices.length, 1);
  });
});

describe("shoal watch", () => {
  /** Starts it; `until` waits for a line of its standard output. */
  function watch(...args: string[]): {
    until: (pattern: RegExp) => Promise<string>;
    end: () => Promise<number | null>;
    pid: number;
    stderr: () => string;
  } {
    const main = new URL("../../src/client/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, "watch", "--every", "1", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: laptop.env,
      cwd: laptop.home,
    });
    let [out, err, from] = ["", "", 0];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString("utf8")));
    const ended = new Promise<number | null>((done) => child.once("close", (status) => done(status)));
    return {
      pid: child.pid ?? 0,
      stderr: () => err,
      async until(pattern) {
        const end = Date.now() + 60_000;
        for (;;) {
          const match = pattern.exec(out.slice(from));
          if (match !== null) {
            from += match.index + match[0].length;
            return match[0];
          }
          if (Date.now() > end || child.exitCode !== null) throw new Error(`no ${String(pattern)} in:\n${out}\n${err}`);
          await new Promise((done) => setTimeout(done, 50));
        }
      },
      async end() {
        child.kill("SIGTERM");
        return await ended;
      },
    };
  }

  /** Ends the ssh of a watcher, as a network does that went away. */
  async function cut(pid: number): Promise<void> {
    const { stdout } = await tryExec("pgrep", ["-P", String(pid), "-x", "ssh"]);
    const children = stdout
      .toString("utf8")
      .trim()
      .split("\n")
      .filter((line) => line !== "");
    assert.ok(children.length > 0);
    for (const child of children) process.kill(Number(child), "SIGKILL");
  }

  test("fetches what comes, runs the command, and comes back after a lost connection and a restarted server", async () => {
    const watcher = watch("--json", "--keep", "--exec", 'echo "$SHOAL_NEW" >> came');
    try {
      await watcher.until(/"event":"connected"/);
      await watcher.until(/"event":"sync".*"stored":0/);
      await deliver(2);
      await watcher.until(/"event":"sync".*"stored":2/);
      await cut(watcher.pid);
      await watcher.until(/"event":"lost"/);
      await watcher.until(/"event":"connected"/);
      await deliver(1);
      await watcher.until(/"event":"sync".*"stored":1/);

      const { fetch } = machines;
      await fetch.stopListening();
      await cut(watcher.pid);
      await watcher.until(/"event":"lost".*/);
      await watcher.until(/"event":"lost".*refuses connections/);
      await deliver(1);
      const again = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(fetch.folder, "sshd_config")], { stdio: "ignore" });
      try {
        await watcher.until(/"event":"connected"/);
        await watcher.until(/"event":"sync".*"stored":1/);
        assert.equal(await watcher.end(), 0);
      } finally {
        again.kill("SIGTERM");
      }
      assert.equal(await readFile(laptop.path("came"), "utf8"), "2\n1\n1\n");
    } finally {
      await watcher.end();
    }
  });

  test("says what does not hold, and goes on", async () => {
    await deliver(1);
    const watcher = watch("--json");
    try {
      await watcher.until(/"event":"sync".*"stored":1/);
      await deliver(
        1,
        async ([lost]) => await rm(join(machines.fetchFolder, "mail", mailName(lost ?? { digest: "" }))),
      );
      assert.match(await watcher.until(/"event":"sync".*/), /"stored":0.*"code":"MISSING"/);
      await deliver(1);
      await watcher.until(/"event":"sync".*"stored":1/);
      assert.equal(await watcher.end(), 0);
      assert.match(watcher.stderr(), /^shoal: alarm 1: MISSING: /m);
    } finally {
      await watcher.end();
    }
  });

  test("refuses mistakes at once", async () => {
    for (const args of [["--every", "0"], ["--every", "x"], ["more"], ["--profile", "none"]]) {
      assert.equal((await laptop.run(["watch", ...args])).status, 64, args.join(" "));
    }
  });
});

test("an account that waits for the operator, and an outbox in which nothing waits, are said to be that", async () => {
  const other = await machines.computer("other");
  await ok(other, "account", "create", "bob@example.org", ...machines.options, "--recovery", other.path("usb"));
  const { status, stdout } = await other.run(["doctor"]);
  assert.notEqual(status, 0);
  assert.match(stdout, /ILL +known +account [A-Za-z0-9_-]{22}, made here, is not on the server yet/);
  assert.match((await ok(other, "outbox")).stderr, /the outbox is empty/);
});
