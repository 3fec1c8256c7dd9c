/** What the courier asks of the ledger, and what becomes of deposits when the ledger fails in every way it can. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { makeEnvelope } from "#core/mail/envelopes.ts";
import { Ledger, type Listed } from "#roles/in/courier/ledger.ts";
import { ledgerProgram, TestLedger } from "./in-ledger.ts";
import { pause } from "./in-raw-client.ts";

const account = "niUaW71aJ-nWDDa9BF5RjA";
let folder = "";
let program = "";
let fake: TestLedger;
let ledger: Ledger;
/** The same trouble is told once. */
const log: string[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-courier-"));
  program = join(folder, "ssh");
  fake = await TestLedger.start();
  await writeFile(program, ledgerProgram(process.execPath, fake.port));
  await chmod(program, 0o755);
  const files = { identity: "/nowhere", knownHosts: "/nowhere" };
  ledger = new Ledger({ host: "127.0.0.1", port: 22, user: "append", ...files, program }, (text) => log.push(text));
  ledger.keep().catch(assert.fail);
});

after(async () => {
  await fake.stop();
  await rm(folder, { recursive: true, force: true });
  // The courier keeps its connection for ever.
  setTimeout(() => process.exit(), 100).unref();
});

afterEach(async () => {
  fake.fault = () => "answer";
  fake.delayMilliseconds = 0;
  await until(() => ledger.pending === 0);
});

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 4000 && !holds(); turn += 1) await pause(25);
  assert.ok(holds());
}

function mail(): Listed & { key: string } {
  const envelope = makeEnvelope({ name: "alice", account, version: 3 }, randomBytes(100));
  return { ...envelope, key: `${account} ${envelope.sha256}` };
}

const soon = (): number => Date.now() + 15_000;
const count = (key: string): number => fake.listed.filter((each) => each === key).length;

test("what is not listed is lacking, then listed with its size and state, and then known", async () => {
  const one = mail();
  assert.equal(await ledger.isKnown(one, soon()), false);
  await ledger.append(one, soon());
  assert.equal(await ledger.isKnown(one, soon()), true);
  await ledger.append(one, soon());
  assert.equal(count(one.key), 1);
  const asked = fake.requests.find(({ kind, digest }) => kind === "append" && digest === one.sha256);
  assert.deepEqual(asked, { kind: "append", tag: asked?.tag, account, digest: one.sha256, size: 100, version: 3 });
});

test("thousands at once are asked side by side on one connection", async () => {
  fake.delayMilliseconds = 100;
  const mails = Array.from({ length: 3000 }, mail);
  await Promise.all(mails.map((one) => ledger.append(one, Date.now() + 60_000)));
  for (const { key } of mails) assert.ok(fake.listed.includes(key));
  assert.equal(ledger.pending, 0);
});

test("an answer that is cut off in the middle, again and again: asked anew, listed once", async () => {
  const mails = Array.from({ length: 20 }, mail);
  let cuts = 0;
  // On each connection the third, from the next one on.
  fake.cut();
  await until(() => !ledger.isUp);
  fake.fault = ({ tag }) => {
    if (tag !== 3) return "answer";
    cuts += 1;
    return null;
  };
  await Promise.all(mails.map((one) => ledger.append(one, Date.now() + 60_000)));
  for (const { key } of mails) assert.equal(count(key), 1);
  assert.ok(cuts >= 9, `cut ${cuts} times`);
});

test("a ledger that goes away: whoever waits is told in time, and the deposit is listed when it is back", async () => {
  const one = mail();
  fake.fault = () => undefined;
  const began = Date.now();
  await assert.rejects(ledger.isKnown(one, Date.now() + 500), { code: "NETWORK" });
  await assert.rejects(ledger.append(one, Date.now() + 500), { code: "NETWORK" });
  assert.ok(Date.now() - began >= 1000);
  const { port } = fake;
  await fake.stop();
  await until(() => !ledger.isUp);
  const other = mail();
  await assert.rejects(ledger.append(other, Date.now() + 300), { code: "NETWORK" });
  assert.equal(ledger.pending, 2);
  fake = await TestLedger.start(port);
  await until(() => ledger.pending === 0);
  for (const { key } of [one, other]) assert.equal(count(key), 1);
  assert.ok(
    log.some((text) => /^ledger: .*deposits wait for it$/.test(text)),
    log.join("\n"),
  );
  // Of what nobody waited for any more nothing was asked again.
  assert.deepEqual(
    fake.requests.map(({ kind }) => kind),
    ["append", "append"],
  );
});

test("what is refused is told at once, and a deposit is tried until it is taken", async () => {
  const one = mail();
  fake.fault = ({ tag }) => ({ kind: "refused", tag, code: "DISK", text: "the ledger's disk is full" });
  await assert.rejects(ledger.isKnown(one, soon()), { code: "BUSY", message: /DISK: the ledger's disk is full/ });
  await assert.rejects(ledger.append(one, soon()), { code: "BUSY" });
  assert.equal(ledger.pending, 1);
  fake.fault = () => "answer";
  await until(() => count(one.key) === 1);
});

test("smtpd comes again while a deposit waits: both are answered by the one that is listed", async () => {
  const one = mail();
  fake.delayMilliseconds = 300;
  await Promise.all([ledger.append(one, soon()), ledger.append(one, soon())]);
  assert.equal(fake.requests.filter(({ digest }) => digest === one.sha256).length, 1);
});

test("a ledger that talks nonsense is not believed and not left alone", async () => {
  const one = mail();
  const nonsense: (() => "answer" | { kind: "lack" | "have"; tag: number; seq: number })[] = [
    () => ({ kind: "have", tag: 999_999, seq: 1 }),
    () => ({ kind: "lack", tag: 999_999, seq: 1 }),
  ];
  fake.fault = () => nonsense.shift()?.() ?? "answer";
  await ledger.append(one, soon());
  assert.equal(count(one.key), 1);
  assert.ok(log.some((text) => text.includes("answers nothing that was asked")));
});
