/** shoal-courier as a process between a driver that plays smtpd and a real sshd with the fences of `fetch`. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { makeEnvelope, printEnvelopes } from "#core/mail/envelopes.ts";
import { parseUsage, type Usage } from "#core/usage.ts";
import { freePort } from "#test/sshd.ts";
import { startFetch, type TestFetch } from "./in-fetch.ts";
import { ledgerProgram, TestLedger } from "./in-ledger.ts";
import { pause, RawClient } from "./in-raw-client.ts";
import { inside, startInRoot, type TestRoot } from "./in-root.ts";

const id = "niUaW71aJ-nWDDa9BF5RjA";
let fetch: TestFetch;
let courier: TestRoot;
let port = 0;
let log = "";
let ledger: TestLedger;

before(async () => {
  fetch = await startFetch();
  port = await freePort();
  ledger = await TestLedger.start();
  const accounts = ["alice", "bob"].map((name) => `account ${name} ${id} 1 1000000000 fetch\nseal age1x\n`).join("");
  const machine = { host: "127.0.0.1", depositUser: "deposit", usageUser: "usage", identity: "/etc/shoal/key" };
  const files = { identity: "/etc/shoal/key", knownHosts: "/etc/shoal/known_hosts" };
  const allowed = ["--allow-fs-read=/etc/shoal", `--allow-fs-read=${inside.repository}`, "--allow-fs-read=/run/shoal"];
  courier = await startInRoot({
    command: [
      "chroot",
      "--userspec=nobody:nogroup",
      "/",
      inside.node,
      "--permission",
      ...allowed,
      "--allow-fs-write=/run/shoal",
      "--allow-net",
      "--allow-child-process",
      `${inside.repository}/src/roles/in/courier/main.ts`,
      "/etc/shoal/courier.json",
    ],
    stdio: ["ignore", "pipe", "pipe"],
    files: {
      "/etc/shoal/key": fetch.identity,
      "/etc/shoal/to-ledger": ledgerProgram(inside.node, ledger.port),
      "/etc/shoal/known_hosts": fetch.knownHosts,
      "/etc/shoal/recipients": `shoal-recipients/v1\ndomain example.org\n${accounts}account carol ${id} 1 1 elsewhere\nseal age1x\n`,
      "/etc/shoal/courier.json": JSON.stringify({
        listen: { address: "127.0.0.1", port },
        recipientsFile: "/etc/shoal/recipients",
        usageFile: "/run/shoal/usage",
        ledger: { host: "127.0.0.1", port: 22, user: "append", ...files, program: "/etc/shoal/to-ledger" },
        fetch: [{ machine: "fetch", port: fetch.port, knownHosts: "/etc/shoal/known_hosts", ...machine }],
        maxMessageBytes: 30_000_000,
        patienceSeconds: 5,
        usageSeconds: 0.5,
      }),
    },
    before:
      "mkdir -p /run/shoal && chown nobody /run/shoal /etc/shoal/key && chmod 600 /etc/shoal/key && chmod 755 /etc/shoal/to-ledger",
  });
  const ready = new Promise<void>((resolve, reject) => {
    courier.child.once("exit", () => reject(new Error(log)));
    courier.child.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes("ready")) resolve();
    });
  });
  await ready;
});

after(async () => {
  await courier.stop();
  await fetch.stop();
  await ledger.stop();
});

afterEach(() => {
  ledger.fault = () => "answer";
});

/** Hands a container over as smtpd does, and gives the last answer. */
async function relay(recipients: readonly string[], lines: readonly string[], client?: RawClient): Promise<string> {
  const connection = client ?? (await RawClient.connect(port));
  if (client === undefined) {
    assert.match(await connection.reply(), /^220 /);
    assert.match(await connection.command("EHLO mx.example.org"), /^250 /);
  }
  assert.match(await connection.command("MAIL FROM:<a@sender.example>"), /^250 /);
  let answer = "";
  for (const recipient of recipients) answer = await connection.command(`RCPT TO:<${recipient}>`);
  if (answer.startsWith("250")) {
    assert.match(await connection.command("DATA"), /^354 /);
    connection.send(`Date: today\r\n${lines.map((line) => `${line}\r\n`).join("")}.\r\n`);
    answer = await connection.reply();
  }
  if (client === undefined) connection.close();
  return answer;
}

function container(...mails: readonly [name: string, file: Buffer][]): string[] {
  return printEnvelopes(mails.map(([name, file]) => makeEnvelope({ name, account: id, version: 1 }, file)));
}

/** Names and contents of an account's mail. */
async function mailbox(account: string): Promise<Map<string, Buffer>> {
  const folder = join(await fetch.mail(), account, "mail");
  const names = await readdir(folder);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

function nameOf(file: Buffer): string {
  return `${createHash("sha256").update(file).digest("hex")}.age`;
}

test("each account's file is there under its digest when 250 is said, and once", async () => {
  const [first, second] = [randomBytes(20_000), randomBytes(600_000)];
  const lines = container(["alice", first], ["bob", second]);
  const recipients = ["alice@example.org", "Alice+x@example.org", "bob@example.org"];
  assert.match(await relay(recipients, lines), /^250 /);
  assert.deepEqual(await mailbox("alice"), new Map([[nameOf(first), first]]));
  assert.deepEqual(await mailbox("bob"), new Map([[nameOf(second), second]]));
  // smtpd comes again when it missed the answer.
  assert.match(await relay(recipients, lines), /^250 /);
  assert.equal((await mailbox("alice")).size, 1);
  const modes = await fetch.run(`stat -c '%a %U %G' /srv/mail/alice/mail/${nameOf(first)}`);
  assert.equal(modes, "444 deposit deposit\n");
});

function digestOf(file: Buffer): string {
  return nameOf(file).replace(".age", "");
}

const listed = (file: Buffer): number => ledger.listed.filter((key) => key === `${id} ${digestOf(file)}`).length;

test("each is listed once, with its size and state, and what its owner removed since is not put back", async () => {
  const file = randomBytes(30_000);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^250 /);
  assert.equal(listed(file), 1);
  const asked = ledger.requests.filter(({ digest }) => digest === digestOf(file));
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ["known", "append"],
  );
  await fetch.run(`rm /srv/mail/alice/mail/${nameOf(file)}`);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^250 /);
  assert.equal((await mailbox("alice")).has(nameOf(file)), false);
  assert.equal(listed(file), 1);
});

test("without the ledger's word nothing is put into a mailbox, and smtpd is to come again", async () => {
  const file = randomBytes(1000);
  for (const fault of [
    () => undefined,
    ({ tag }: { tag: number }) => ({ kind: "refused" as const, tag, code: "LOST", text: "not now" }),
  ]) {
    ledger.fault = fault;
    assert.match(await relay(["bob@example.org"], container(["bob", file])), /^451 /);
    assert.equal((await mailbox("bob")).has(nameOf(file)), false);
  }
  ledger.fault = () => "answer";
  assert.match(await relay(["bob@example.org"], container(["bob", file])), /^250 /);
  assert.equal(listed(file), 1);
});

test("what is in the mailbox and could not be listed is 451, and listed as soon as it can be, whether smtpd comes or not", async () => {
  const file = randomBytes(1000);
  ledger.fault = ({ kind }) => (kind === "append" ? null : "answer");
  assert.match(await relay(["bob@example.org"], container(["bob", file])), /^451 /);
  assert.equal((await mailbox("bob")).has(nameOf(file)), true);
  ledger.fault = () => "answer";
  for (let turn = 0; turn < 4000 && listed(file) === 0; turn += 1) await pause(25);
  assert.equal(listed(file), 1);
  assert.match(await relay(["bob@example.org"], container(["bob", file])), /^250 /);
  assert.equal(listed(file), 1);
});

test("mail that was sealed to another account of the name is not delivered", async () => {
  const file = randomBytes(1000);
  const other = printEnvelopes([makeEnvelope({ name: "bob", account: "5hRvN0wEZ4ZHZ1fZvGfnVw", version: 1 }, file)]);
  assert.match(await relay(["bob@example.org"], other), /^451 /);
  assert.equal((await mailbox("bob")).has(nameOf(file)), false);
});

test("what can't be delivered is for later, and never refused for good", async () => {
  const file = randomBytes(100);
  const good = container(["alice", file]);
  const cases: [string, string[], string[]][] = [
    ["no such account", ["nobody@example.org"], good],
    ["a foreign domain", ["alice@example.net"], good],
    ["a machine that is not known", ["carol@example.org"], container(["carol", file])],
    ["no envelope for the account", ["bob@example.org"], good],
    ["no container", ["alice@example.org"], ["Subject: plain", "", "text"]],
    ["a digest that is wrong", ["alice@example.org"], good.map((line) => line.replace(/^(to .*)[0-9a-f]$/, "$1x"))],
    ["cut off", ["alice@example.org"], good.slice(0, -1)],
    ["too large", ["alice@example.org"], container(["alice", randomBytes(25_000_000)])],
  ];
  for (const [what, recipients, lines] of cases) assert.match(await relay(recipients, lines), /^451 /, what);
  const client = await RawClient.connect(port);
  await client.reply();
  for (const line of ["DATA", "nonsense", "", "RCPT", "RCPT TO:<>"]) assert.match(await client.command(line), /^451 /);
  client.close();
  assert.equal((await mailbox("alice")).has(nameOf(file)), false);
  // One recipient that can't be taken does not keep the others from their mail.
  const both = await RawClient.connect(port);
  await both.reply();
  await both.command("MAIL FROM:<>");
  assert.match(await both.command("RCPT TO:<nobody@example.org>"), /^451 /);
  assert.match(await both.command("RCPT TO:<alice@example.org>"), /^250 /);
  await both.command("DATA");
  both.send(`${good.map((line) => `${line}\r\n`).join("")}.\r\n`);
  assert.match(await both.reply(), /^250 /);
  both.close();
  assert.equal((await mailbox("alice")).has(nameOf(file)), true);
});

test("sshd killed again and again: every mail that was answered 250 is there, whole", async () => {
  const files = Array.from({ length: 40 }, () => randomBytes(300_000));
  const answers = new Map<Buffer, string>();
  let next = 0;
  const senders = Array.from({ length: 4 }, async () => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      answers.set(file, await relay(["bob@example.org"], container(["bob", file])));
    }
  });
  const done = Promise.all(senders);
  const killing = new AbortController();
  let kills = 0;
  const killer = (async () => {
    while (!killing.signal.aborted) {
      await pause(150);
      await fetch.killSessions();
      kills += 1;
    }
  })();
  // A machine that is killed without end is answered with 451 some time; here it comes to itself.
  await Promise.race([done, pause(4000)]);
  killing.abort();
  await killer;
  await done;
  const there = await mailbox("bob");
  for (const [file, answer] of answers) {
    assert.match(answer, /^(250|451) /);
    if (answer.startsWith("250")) assert.ok(there.get(nameOf(file))?.equals(file));
  }
  for (const [name, content] of there) assert.equal(name, nameOf(content));
  assert.ok(kills > 2, `killed ${kills} times`);
  const taken = [...answers.values()].filter((answer) => answer.startsWith("250")).length;
  assert.ok(taken > 30, `${taken} of ${files.length}`);
});

test("a full disk is for later, leaves no half file under a name, and is well again when there is room", async () => {
  await fetch.run("head -c 100m /dev/zero > /srv/filler 2>/dev/null || true");
  const file = randomBytes(400_000);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^451 /);
  assert.equal((await mailbox("alice")).has(nameOf(file)), false);
  await fetch.run("rm /srv/filler");
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^250 /);
  assert.ok((await mailbox("alice")).get(nameOf(file))?.equals(file));
});

test("a name that is taken by another size is never written over", async () => {
  const file = randomBytes(1000);
  await fetch.run(`echo other > /srv/mail/alice/mail/${nameOf(file)}`);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^451 /);
  assert.equal((await mailbox("alice")).get(nameOf(file))?.toString(), "other\n");
});

test("mailbox sizes are what fetch counted and what came since, once each", async () => {
  const file = randomBytes(5000);
  const path = join(await courier.path(), "run/shoal/usage");
  const told = async (bytes: number): Promise<Usage> => {
    let usage: Usage | undefined;
    for (let turn = 0; turn < 1000 && usage?.bytesByAccount.get("alice") !== bytes; turn += 1) {
      await pause(100);
      usage = parseUsage(await readFile(path, "utf8"));
    }
    assert.equal(usage?.bytesByAccount.get("alice"), bytes);
    return usage;
  };
  // Counted long after all deposits so far, and before the next.
  await fetch.run("printf 'shoal-usage/v1\\ntime %s\\nalice 100\\n' $(($(date +%s) + 60)) > /srv/usage/usage");
  await told(100);
  await fetch.run("printf 'shoal-usage/v1\\ntime %s\\nalice 200\\n' $(date +%s) > /srv/usage/usage");
  await told(200);
  assert.match(await relay(["alice@example.org", "alice+again@example.org"], container(["alice", file])), /^250 /);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^250 /);
  const usage = await told(5200);
  assert.ok(Math.abs(usage.time - Date.now() / 1000) < 10);
});

test("while fetch is away a mail waits within its transaction, and then it is for later", async () => {
  const file = randomBytes(1000);
  const { port: fetchPort } = fetch;
  await fetch.stop();
  const began = Date.now();
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^451 /);
  const waited = Date.now() - began;
  assert.ok(waited > 4000 && waited < 10_000, `${waited} ms`);
  // Another machine with another key in its place is not trusted.
  fetch = await startFetch(fetchPort);
  assert.match(await relay(["alice@example.org"], container(["alice", file])), /^451 /);
  assert.match(log, /host key/i);
  assert.equal((await mailbox("alice")).size, 0);
});
