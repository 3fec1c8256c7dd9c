/** What a person sees of the mailbox's proof: `shoal sync`, `alerts` and `doctor`, against real sshd. */

import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { sealKeys } from "#core/account/derive.ts";
import { parseRecipient, seal } from "#core/age/age.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { exec } from "#host/exec.ts";
import { AccountMachines, type Computer, type Ran } from "#test/account-machines.ts";
import { TRACE } from "#test/mail-user.ts";

/** Debian's openssh-tests. */
const TOKEN = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";
const DAY_SECONDS = 86_400;

let machines: AccountMachines;
let laptop: Computer;

beforeEach(async () => {
  machines = await AccountMachines.start();
  laptop = await machines.computer("laptop");
});
afterEach(() => machines.stop());

async function admitted(...args: string[]): Promise<void> {
  const created = await laptop.run([
    ...["account", "create", "alice@example.org", ...machines.options],
    ...["--recovery", laptop.path("usb"), ...args],
  ]);
  assert.equal(created.status, 0, created.stderr);
  await machines.accept(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
}

/** Delivers messages to all devices and shows them; numbers are their subjects. @param time Unix seconds */
async function deliver(count: number, time = Math.floor(Date.now() / 1000), first = 0): Promise<Entry[]> {
  const { standing } = machines;
  assert.ok(standing !== null);
  const recipients = sealKeys(standing).map((key) => parseRecipient(key));
  const files = Array.from({ length: count }, (_, i) => {
    const message = `Message-ID: <${first + i}-${time}@example.com>\nSubject: ${first + i}\n\nHello\n`;
    return seal(recipients, composeSealedMail(TRACE, Buffer.from(message)));
  });
  const entries = await machines.ledger.deliver(standing.id, files, time);
  await machines.ledger.publish(standing);
  return entries;
}

const mailOf = (entry: Entry): string => join(machines.fetchFolder, "mail", mailName(entry));

async function onServer(folder: "mail" | "del"): Promise<string[]> {
  return (await readdir(join(machines.fetchFolder, folder))).sort();
}

async function stored(computer = laptop): Promise<number> {
  return (await readdir(join(computer.home, "Mail/shoal/new")).catch(() => [])).length;
}

interface Told {
  stored: number;
  deleted: number;
  failed: unknown[];
  findings: { code: string; seq?: number; file?: string; advice: string }[];
  alerts: number;
  expiredUnseen: number;
}

async function sync(status: number, computer = laptop, env = {}, ...args: string[]): Promise<Ran & Told> {
  const ran = await computer.run(["sync", "--json", ...args], env);
  assert.equal(ran.status, status, ran.stderr);
  return { ...ran, ...(JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "") as Told) };
}

/** Another device of the account. */
async function second(): Promise<Computer> {
  const phone = await machines.computer("phone");
  const init = await phone.run(["init", "alice@example.org", ...machines.options]);
  assert.equal(init.status, 0, init.stderr);
  const added = await laptop.run(["account", "add-device", init.stdout.trim(), "--yes"]);
  assert.equal(added.status, 0, added.stderr);
  assert.equal((await phone.run(added.stdout.trim().split(" ").slice(1))).status, 0);
  return phone;
}

describe("honest", () => {
  test("mail comes home, a signed record says so, and the other device is not alarmed", async () => {
    await admitted();
    const phone = await second();
    await deliver(3);
    const first = await sync(0);
    assert.deepEqual([first.stored, first.deleted, first.findings, first.alerts], [3, 3, [], 0]);
    const [record = "", done] = await onServer("del");
    assert.match(record, /^[0-9a-f]{16}-1$/);
    assert.equal(done, `${record}.done`);
    const text = await readFile(join(machines.fetchFolder, "del", record), "latin1");
    assert.equal(text.match(/^\d+ [0-9a-f]{64}$/gm)?.length, 3);
    assert.deepEqual((await sync(0, phone)).findings, []);
    await deliver(1, undefined, 10);
    assert.equal((await sync(0, phone)).stored, 1);
    assert.deepEqual((await sync(0)).findings, []);
    assert.deepEqual(await onServer("mail"), []);
  });

  test("what a device could not finish the other one finishes, without opening it", async () => {
    await admitted();
    const phone = await second();
    const entries = await deliver(2);
    const copyOf = (entry: Entry): string => join(machines.fetch.folder, mailName(entry));
    for (const entry of entries) await copyFile(mailOf(entry), copyOf(entry));
    await sync(0);
    // As if it had died behind the record.
    for (const entry of entries) await rename(copyOf(entry), mailOf(entry));
    for (const name of await onServer("del")) {
      if (name.endsWith(".done")) await rm(join(machines.fetchFolder, "del", name));
    }
    const { stored: opened, deleted, findings } = await sync(0, phone);
    assert.deepEqual([opened, deleted, findings], [0, 2, []]);
    assert.deepEqual(await onServer("mail"), []);
    assert.equal((await onServer("del")).filter((name) => name.endsWith(".done")).length, 1);
  });

  test("--keep leaves all as it is; later it is removed and not stored again", async () => {
    await admitted();
    await deliver(2);
    assert.deepEqual((await sync(0, laptop, {}, "--keep")).stored, 2);
    assert.deepEqual([(await onServer("mail")).length, await onServer("del")], [2, []]);
    const later = await sync(0);
    assert.deepEqual([later.stored, later.deleted, await stored()], [0, 2, 2]);
  });

  test("records are put together", async () => {
    await admitted();
    for (let round = 0; round < 7; round++) {
      await deliver(1, undefined, round);
      await sync(0);
    }
    const names = (await onServer("del")).filter((name) => !name.endsWith(".done"));
    assert.ok(names.length < 4, String(names));
    const [newest] = names.sort((a, b) => Number(b.split("-")[1]) - Number(a.split("-")[1]));
    assert.match(newest ?? "", /-7$/);
  });

  test("a new account has no head yet, and nothing is said; once there was one, that is over", async () => {
    await admitted();
    await rm(join(machines.fetchFolder, "ledger"), { recursive: true });
    const { stderr } = await sync(0);
    assert.doesNotMatch(stderr, /alarm|notice|error|hint/);
    await machines.ledger.publish(machines.standing ?? assert.fail());
    assert.deepEqual((await sync(0)).findings, []);
    await rm(join(machines.fetchFolder, "ledger"), { recursive: true });
    assert.equal((await sync(76)).findings[0]?.code, "BAD-HEAD");
  });

  test("away for weeks: it says how much expired, once", async () => {
    await admitted();
    const now = Math.floor(Date.now() / 1000);
    await deliver(1, now - 20 * DAY_SECONDS);
    await sync(0);
    const missed = await deliver(3, now - 15 * DAY_SECONDS, 5);
    for (const entry of missed) await rm(mailOf(entry));
    const { expiredUnseen, stderr, findings } = await sync(0);
    assert.deepEqual([expiredUnseen, findings], [3, []]);
    assert.match(stderr, /3 messages came and expired/);
    assert.equal((await sync(0)).expiredUnseen, 0);
  });
});

describe("not honest", () => {
  test("a file that was removed by hand stays on the list until it is acknowledged", async () => {
    await admitted();
    const [gone] = await deliver(2);
    assert.ok(gone !== undefined);
    await rm(mailOf(gone));
    const first = await sync(76);
    assert.equal(first.stored, 1);
    assert.deepEqual(
      first.findings.map(({ code, seq }) => `${code} ${seq}`),
      [`MISSING ${gone.seq}`],
    );
    assert.match(first.stderr, /alarm 1: MISSING: Message 1, .* has vanished without a signed note/);
    assert.match(first.stderr, /hint: if you removed it by hand, acknowledge this/);
    assert.equal((await sync(76)).alerts, 1);

    const listed = await laptop.run(["alerts"]);
    assert.equal(listed.status, 76);
    assert.match(listed.stdout, /^1 {2}MISSING \(alarm, found .*\n {3}Message 1, .*\n {3}do: /);
    for (const wrong of ["2", "0", "x"]) {
      assert.equal((await laptop.run(["alerts", "--acknowledge", wrong])).status, 64);
    }
    assert.equal((await laptop.run(["alerts", "--acknowledge", "1"])).status, 0);
    assert.deepEqual((await sync(0)).findings, []);
    const none = await laptop.run(["alerts"]);
    assert.deepEqual([none.status, none.stdout], [0, ""]);
  });

  test("what was changed is not opened, the rest comes, and the alert outlives the fault", async () => {
    await admitted();
    const [changed] = await deliver(3);
    assert.ok(changed !== undefined);
    const good = await readFile(mailOf(changed));
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(9000) ^ 1, 9000);
    await writeFile(mailOf(changed), bad);
    const first = await sync(76);
    assert.deepEqual([first.stored, first.deleted, first.failed], [2, 2, []]);
    assert.deepEqual(
      first.findings.map(({ code }) => code),
      ["MODIFIED"],
    );
    await writeFile(mailOf(changed), good);
    const again = await sync(0);
    assert.deepEqual([again.stored, again.findings, again.alerts], [1, [], 1]);
    assert.match(again.stderr, /1 alert of before is not acknowledged/);
    assert.equal((await laptop.run(["alerts", "--acknowledge", "all"])).status, 0);
    assert.equal((await sync(0)).alerts, 0);
  });

  test("a mailbox that is older than what was seen is not opened, and can't be acknowledged away", async () => {
    await admitted();
    const now = Math.floor(Date.now() / 1000);
    await deliver(1, now - 60);
    const ledger = join(machines.fetchFolder, "ledger");
    const old = join(machines.fetch.folder, "old");
    await exec("cp", ["-r", ledger, old]);
    const [fresh] = await deliver(1, now, 1);
    assert.ok(fresh !== undefined);
    await sync(0, laptop, {}, "--keep");
    await rm(ledger, { recursive: true });
    await rename(old, ledger);
    const rolled = await sync(76);
    assert.deepEqual([rolled.stored, rolled.deleted, (await onServer("mail")).length], [0, 0, 2]);
    assert.deepEqual(
      rolled.findings.map(({ code }) => code),
      ["ROLLBACK"],
    );
    assert.equal((await laptop.run(["alerts", "--acknowledge", "all"])).status, 0);
    assert.equal((await sync(76)).alerts, 1);
  });

  test("names by a server can't steer the terminal", async () => {
    await admitted();
    await mkdir(join(machines.fetchFolder, "mail"), { recursive: true });
    await writeFile(join(machines.fetchFolder, "mail", "\u001b[2Jx"), "");
    const ran = await sync(76);
    assert.match(ran.stderr, /UNSIGNED "\\x1b\[2Jx"/);
    const { stdout } = await laptop.run(["alerts"]);
    assert.ok(!`${stdout}${ran.stdout}${ran.stderr}`.includes("\u001b"));
  });
});

describe("what is missing here", () => {
  test("the operator's key: nothing is opened, and the line is named", async () => {
    await admitted();
    await deliver(1);
    const lines = (await readFile(machines.knownHosts, "utf8")).split("\n");
    const without = lines.filter((line) => line !== "" && !line.startsWith("operator."));
    await writeFile(machines.knownHosts, `${without.join("\n")}\n`);
    const { stderr, status } = await laptop.run(["sync"]);
    assert.equal(status, 78, stderr);
    assert.match(
      stderr,
      /error: no line "operator\.example\.org TYPE KEY" in ".*both_hosts"\nshoal: hint: .*shoalctl known-hosts/,
    );
    assert.deepEqual([await stored(), (await onServer("mail")).length], [0, 1]);
    assert.match((await laptop.run(["doctor"])).stdout, /^ILL {3}operator +no line "operator\.example\.org/);

    const operator = lines.find((line) => line.startsWith("operator.")) ?? "";
    await writeFile(machines.knownHosts, [...without, `@revoked ${operator}`, operator, ""].join("\n"));
    assert.equal((await laptop.run(["sync"])).status, 78, "a key that is revoked is none");
    await writeFile(machines.knownHosts, [...without, operator, ""].join("\n"));
    await exec("ssh-keygen", ["-q", "-H", "-f", machines.knownHosts]);
    assert.equal((await sync(0)).stored, 1, "names may be hashed");
  });

  test("doctor tells how things are", async () => {
    await admitted();
    const now = Math.floor(Date.now() / 1000);
    await deliver(1, now - 4000);
    const before = await laptop.run(["doctor"]);
    assert.equal(before.status, 0, before.stdout + before.stderr);
    await sync(0);
    const { stdout, status } = await laptop.run(["doctor"]);
    assert.equal(status, 0, stdout);
    assert.deepEqual(
      stdout.match(/^(well|ILL ) {2}\S+/gm),
      ["operator", "server", "account", "proof", "known", "memory", "alerts"].map((about) => `well  ${about}`),
    );
    assert.match(stdout, /memory +deliveries up to 1 were seen/);

    await machines.ledger.publish(machines.standing ?? assert.fail(), now - 3000);
    const stale = await laptop.run(["doctor"]);
    assert.equal(stale.status, 75);
    assert.match(stale.stdout, /ILL {3}proof .*\n +do: check this computer's clock/);
    await writeFile(join(machines.fetchFolder, "ledger/head"), "nonsense\n");
    assert.equal((await laptop.run(["doctor"])).status, 76);
    await sync(76);
    assert.match((await laptop.run(["doctor", "--offline"])).stdout, /ILL {3}alerts +1: BAD-HEAD\n/);
    await writeFile(join(laptop.home, "state/shoal/default/mailbox/memory"), "nonsense\n");
    const damaged = await laptop.run(["doctor", "--offline"]);
    assert.match(damaged.stdout, /ILL {3}memory .*damaged/);
    await machines.fetch.stopListening();
    assert.match((await laptop.run(["doctor"])).stdout, /ILL {3}server .*refuses connections/);
  });
});

test("a security key signs the record: without a touch mail is here, and stays there until the next time", async () => {
  const env = { SSH_SK_PROVIDER: TOKEN };
  await exec("ssh-keygen", ["-q", "-t", "ed25519-sk", "-N", "", "-f", laptop.path("token")], {
    env: { ...laptop.env, ...env },
  });
  await exec("age-keygen", ["-o", laptop.path("age")]);
  const identities = ["--identity", laptop.path("token"), "--identity", laptop.path("age")];
  // Debian's ssh goes by this option alone; ssh-keygen goes by the environment.
  await admitted(...identities, "--ssh-option", `SecurityKeyProvider=${TOKEN}`);
  await deliver(2);
  const untouched = await sync(75, laptop, { SSH_SK_PROVIDER: "/nonexistent.so" });
  assert.deepEqual([untouched.stored, untouched.deleted], [2, 0]);
  assert.match(untouched.stderr, /error: ssh-keygen can't sign with/);
  assert.deepEqual([(await onServer("mail")).length, await onServer("del")], [2, []]);
  const touched = await sync(0, laptop, env);
  assert.deepEqual([touched.stored, touched.deleted, touched.findings], [0, 2, []]);
  assert.equal(touched.stderr.match(/touch it when it blinks/g)?.length, 1, "asked once");
  assert.equal(await stored(), 2);
  const quiet = await sync(0, laptop, env);
  assert.doesNotMatch(quiet.stderr, /signing with/, "nothing to sign, nobody asked");
});

test("killed again and again on two devices while mail keeps coming: every mail is there once, and nothing is found", async () => {
  await admitted();
  const phone = await second();
  let sent = 0;
  let killed = 0;
  /** What a sync takes that nobody kills, as this machine is now. */
  let usualMilliseconds = 1000;
  for (let round = 0; round < 12 || (killed < 8 && round < 60); round++) {
    await deliver(15, undefined, sent);
    sent += 15;
    const ends = [laptop, phone].map(async (computer) => {
      const began = performance.now();
      const { kill, done } = computer.start(["sync"]);
      // From before the login to after the mark.
      const timer = setTimeout(kill, (0.2 + Math.random()) * usualMilliseconds);
      const { signal, status, stderr } = await done;
      clearTimeout(timer);
      if (signal === null) {
        assert.equal(status, 0, stderr);
        usualMilliseconds = performance.now() - began;
      }
      assert.doesNotMatch(stderr, /alarm|notice/);
      return signal === "SIGKILL";
    });
    killed += (await Promise.all(ends)).filter(Boolean).length;
  }
  for (const computer of [laptop, phone, laptop, phone]) {
    const { findings, alerts } = await sync(0, computer);
    assert.deepEqual([findings, alerts], [[], 0]);
  }
  assert.deepEqual(await onServer("mail"), []);
  // Both may have stored a mail that neither had removed yet, and none may be missing, or there twice.
  const subjects = await Promise.all([laptop, phone].map(subjectsOf));
  assert.equal(new Set(subjects.flat()).size, sent);
  for (const each of subjects) assert.equal(new Set(each).size, each.length);
  assert.ok(killed >= 8, `${killed} were killed`);
});

async function subjectsOf(computer: Computer): Promise<string[]> {
  const folder = join(computer.home, "Mail/shoal/new");
  const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "latin1")));
  return files.map((text) => /^Subject: (\d+)$/m.exec(text)?.[1] ?? "");
}
