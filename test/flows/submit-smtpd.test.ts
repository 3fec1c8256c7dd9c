import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { SubmitConfigInput } from "#roles/out/config.ts";
import { asUser } from "#test/as-user.ts";
import { freePort } from "#test/sshd.ts";
import { type FakeSmtpd, startFakeSmtpd } from "#test/submit/fake-smtpd.ts";
import { type SshStage, startSubmitSshd } from "#test/submit/ssh-stage.ts";
import { bundle } from "#tools/build.ts";
import { TestSmtpd } from "./in-smtpd.ts";

/** Debian's nobody. */
const USER = 65_534;

let folder: string;
let world: FakeSmtpd;
let smtpd: TestSmtpd;
let ssh: SshStage;
let program: ChildProcess;
let mail: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-out-"));
  await chmod(folder, 0o755);
  world = await startFakeSmtpd();
  const ports = { strict: await freePort(), anyway: await freePort(), dane: await freePort() };
  const config = [
    ...Object.entries(ports).map(([tag, port]) => `listen on 127.0.0.1 port ${port} tag ${tag}`),
    `action "out" relay host "smtp+notls://127.0.0.1:${world.port}"`,
    'match from any for domain "refused.example" reject',
    'match from any for any action "out"',
  ];
  smtpd = await TestSmtpd.start({ config: `${config.join("\n")}\n`, port: ports.strict });
  const state = join(folder, "state");
  await mkdir(state);
  await chown(state, USER, USER);
  await writeFile(join(folder, "key"), Buffer.alloc(32, 9));
  const submit: SubmitConfigInput = {
    domain: "example.org",
    hostname: "out.mail.example.org",
    socket: join(state, "socket"),
    store: join(state, "limits.db"),
    threadKey: join(folder, "key"),
    resolver: { address: "127.0.0.1", port: await freePort() },
    queue: state,
    smtpd: ports,
    limits: { messagesPerDay: 100_000, newRecipientsPerDay: 1000, recipients: 100, messageBytes: 36_700_160 },
  };
  await writeFile(join(folder, "submit.json"), JSON.stringify(submit));
  const { path } = await bundle("shoal-submit", folder);
  await startProgram(path);
  ssh = await startSubmitSshd(folder, submit.socket);
  mail = `From: ${ssh.login}@example.org\nTo: bob@example.org\nSubject: hi\n\nhello\n`;
});

after(async () => {
  await endProgram();
  await ssh.stop();
  await smtpd.stop();
  await world.stop();
  await rm(folder, { recursive: true, force: true });
});

async function startProgram(path = join(folder, "shoal-submit.mjs")): Promise<void> {
  const [command = "", ...args] = asUser(USER, folder, [process.execPath, path, "serve", join(folder, "submit.json")]);
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
  });
  program = child;
  let log = "";
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error(`shoal-submit did not start: ${log}`)));
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes("ready")) resolve();
    });
  });
}

async function endProgram(): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const ended = new Promise((resolve) => program.once("exit", resolve));
  program.kill("SIGKILL");
  await ended;
}

async function arrives(subject: string): Promise<number> {
  const count = (): number => world.taken.filter(({ message }) => message.includes(`Subject: ${subject}\r\n`)).length;
  for (let turn = 0; turn < 2000 && count() === 0; turn += 1) await sleep(50);
  return count();
}

function residentBytes(pid: number | undefined, field: "VmHWM" | "VmRSS"): number {
  const text = readFileSync(`/proc/${pid}/status`, "latin1");
  return 1024 * Number(new RegExp(`^${field}:\\s*([0-9]+)`, "m").exec(text)?.[1]);
}

test("what OpenSMTPD accepts arrives, whatever is in it", async () => {
  const text = "\n.\n..\n.x\nFrom me\nüml\n";
  // What somebody else wrote stays 8-bit.
  for (const [type, expected] of [
    ["text/plain; charset=utf-8", text.replace("ü", "=C3=BC")],
    ["message/rfc822", text],
  ] as const) {
    const subject = type.replace(/;.*/, "");
    const eightBit = `MIME-Version: 1.0\nContent-Type: ${type}\nContent-Transfer-Encoding: 8bit\n`;
    const message = mail.replace("Subject: hi\n\nhello\n", `Subject: ${subject}\n${eightBit}${text}`);
    const sent = await ssh.ssh([], message);
    assert.equal(sent.status, 0, JSON.stringify(sent));
    assert.equal(await arrives(subject), 1);
    const arrived = world.taken.find(({ message: bytes }) => bytes.includes(`Subject: ${subject}`));
    assert.ok(arrived?.message.toString().endsWith(expected.replaceAll("\n", "\r\n")), type);
  }
});

test("what OpenSMTPD refuses is told in its words, and nothing stays there", async () => {
  const refused = await ssh.ssh(["send-anyway", "x@refused.example", "bob@example.org"], mail.replace("hi", "refused"));
  assert.equal(refused.status, 67, JSON.stringify(refused));
  assert.match(refused.err.join(), /x@refused\.example.*550/);
  assert.equal((await smtpd.run("smtpctl", "show", "queue")).trim(), "");
});

test("a domain that the resolver does not answer for is unprotected", async () => {
  const refused = await ssh.ssh(["send", "x@example.net"], mail);
  assert.equal(refused.status, 75);
  assert.equal(refused.out[0], "tls-problem example.net dns-failure -");
});

test("more messages than a session takes, and a large one", async () => {
  for (let turn = 0; turn < 5; turn += 1) {
    const all = await Promise.all(Array.from({ length: 20 }, () => ssh.ssh([], mail)));
    assert.deepEqual(new Set(all.map(({ status }) => status)), new Set([0]), JSON.stringify(all));
  }
  const large = await ssh.ssh([], `${mail.replace("hi", "large")}${`${"x".repeat(75)}\n`.repeat(440_000)}`);
  assert.equal(large.status, 0, JSON.stringify(large));
  assert.equal(await arrives("large"), 1);
});

test("killed at any moment, nothing that was accepted is lost, and everything else is 75", async () => {
  const sent: { subject: string; status: number | null }[] = [];
  const started = performance.now();
  await Promise.all(Array.from({ length: 4 }, () => ssh.ssh([], mail)));
  const usual = performance.now() - started;
  for (let turn = 0; turn < 12; turn += 1) {
    const subjects = Array.from({ length: 4 }, (_, index) => `kill ${turn} ${index}`);
    const all = subjects.map(async (subject) => {
      const { status } = await ssh.ssh([], mail.replace("Subject: hi", `Subject: ${subject}`));
      sent.push({ subject, status });
    });
    // From before the first has come to after the last.
    await sleep(usual * (0.3 + turn * 0.1));
    await endProgram();
    await Promise.all(all);
    await startProgram();
  }
  for (const { status } of sent) assert.ok(status === 0 || status === 75, String(status));
  for (const { subject, status } of sent) if (status === 0) assert.equal(await arrives(subject), 1, subject);
  assert.ok(sent.some(({ status }) => status === 0) && sent.some(({ status }) => status === 75));
});

test("memory is bounded, however much comes at once", async () => {
  const large = `${mail}${`${"x".repeat(75)}\n`.repeat(130_000)}`;
  const idle = residentBytes(program.pid, "VmRSS");
  const all = await Promise.all(Array.from({ length: 12 }, () => ssh.ssh([], large)));
  for (const { status } of all) assert.ok(status === 0 || status === 75);
  assert.ok(all.some(({ status }) => status === 0));
  const peak = residentBytes(program.pid, "VmHWM");
  assert.ok(peak - idle < 700 * 1024 * 1024, `${peak - idle} bytes`);
  assert.ok(existsSync(join(folder, "state/limits.db")));
});
