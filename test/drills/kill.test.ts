/**
 * Nothing lost, nothing doubled: 1,000 mails from two strangers reach their owners while every kind of process of every
 * role is killed, links are cut and disks are full. And every mailbox holds to its last line against the list that the ledger
 * signed, which names each of these mails once.
 *
 * `DRILL_SEED` repeats a drill, `DRILL_MAILS` and `DRILL_SECONDS` (over which mails are handed to the strangers) make it
 * shorter or longer.
 */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseEntries } from "#core/mailbox/entries.ts";
import { cellPlaces } from "#fleet/cell/places.ts";
import { Chance } from "#test/drills/chance.ts";
import { Chaos } from "#test/drills/chaos.ts";
import { differences, drillMails } from "#test/drills/drill-mail.ts";
import { type DrillStage, openDrillStage } from "#test/drills/drill-stage.ts";
import { inChaosPlan } from "#test/drills/in-chaos.ts";
import { Strangers } from "#test/drills/strangers.ts";
import { SyncLoop } from "#test/drills/sync-loop.ts";
import { until } from "#test/until.ts";
import { asPerson } from "#test/world/stage.ts";

const seed = Number(process.env["DRILL_SEED"] ?? Math.floor(Math.random() * 1_000_000_000));
const mailCount = Number(process.env["DRILL_MAILS"] ?? 1000);
const spreadSeconds = Number(process.env["DRILL_SECONDS"] ?? 45);
const people = ["alice", "bob"];
/** Within that time after the last blow everything must be delivered, by the machines' own schedules. */
const calmSeconds = 400;

/** What devices had stored before the drill. */
const earlier = new Map<string, readonly string[]>();

let drill: DrillStage<"in" | "fetch">;

before(async () => {
  drill = await openDrillStage("kill", ["in", "fetch"]);
});

after(() => drill?.close());

test("a message whose sender did not hear the answer, and sent it again, is stored once", async () => {
  const { stage } = drill;
  const message = "Message-ID: <again@world.example>\nSubject: again\n\nOnce.\n";
  const send = `swaks --server in.mail.shoal.example --from ada@world.example --to alice@shoal.example --data -`;
  for (const time of ["first", "second"]) {
    // A machine that has just started answers 451 until it knows how full the mailboxes are.
    await until(`it is accepted for the ${time} time`, async () => {
      return (await stage.exec("user", asPerson("alice", send), { input: message })).status === 0;
    });
  }
  await until("two sealed files", async () => {
    const { listed } = JSON.parse(await stage.as("alice", "shoal sync --keep --json")) as { listed: number };
    return listed === 2;
  });
  await stage.as("alice", "shoal sync");
  assert.equal((await storedMails("alice")).length, 1);
  assert.equal(await sentAgain("alice"), 1);
  earlier.set("alice", await digestsOf("alice"));
  await stage.as("alice", "rm -r Mail/shoal/new .local/state/shoal/default/journal");
});

test("nothing lost, nothing doubled", { timeout: 900_000 }, async (context) => {
  const start = performance.now();
  const say = (text: string): void => void process.stderr.write(`${since(start)} s: ${text}\n`);
  say(`DRILL_SEED=${seed}`);
  const { stage } = drill;
  const mails = drillMails(mailCount, new Chance(seed));
  const strangers = new Strangers((machine, command, options) => stage.exec(machine, command, options));
  const chaos = new Chaos(inChaosPlan(drill, drill.stage.fleet.resolver.replace(/\.53$/, "")), new Chance(seed + 1));
  const loops = people.map((person, index) => new SyncLoop(stage, person, new Chance(seed + 2 + index)));
  for (const loop of loops) loop.start();

  let handedOver = false;
  const handing = strangers.handOver(mails, spreadSeconds).finally(() => {
    handedOver = true;
  });
  const blows = chaos.run(() => (handedOver && chaos.missing.length === 0) || context.signal.aborted);
  for (const result of await Promise.allSettled([handing, blows]))
    if (result.status === "rejected") throw result.reason;
  say(`${mails.length} mails handed over`);
  for (const [kind, times] of chaos.counts) say(`${String(times).padStart(4)} ${kind}`);

  const calm = performance.now();
  assert.deepEqual(await stage.up(), [], "no machine had to be replaced");
  say(`all services listen ${since(calm)} s after the last blow`);
  await untilEmpty("the strangers' queues", calm, () => strangers.queues());
  say(`the strangers' queues are empty after ${since(calm)} s`);
  await untilEmpty("smtpd's queue", calm, smtpdQueue);
  say(`smtpd's queue is empty after ${since(calm)} s`);
  for (const loop of loops) await loop.stop();
  for (const person of people) {
    await stage.as(person, "shoal sync");
    assert.match(await stage.as(person, "shoal sync --json"), /"listed":0,/);
  }

  await strangers.readLogs();
  say(`${strangers.abandoned.length} mails may have been dropped by their sender, Exim, unaccepted`);
  for (const [index, person] of people.entries()) {
    const files = await storedMails(person);
    say(
      `${person}: ${files.length} mails; ${loops[index]?.seenBefore} sealed files brought one again, ${await sentAgain(person)} of them sealed anew`,
    );
    say(`${person}: runs of sync by exit status ${JSON.stringify([...(loops[index]?.statuses ?? [])])}`);
    assert.deepEqual(loops[index]?.complaints, []);
    const dropped = new Set(strangers.abandoned.filter((mail) => !strangers.wasAccepted(mail, person)));
    const wrong = differences(person, mails, files, (mail) => dropped.has(mail));
    const histories = mails.filter(({ id }) => wrong.some((text) => text.includes(id)));
    assert.deepEqual(wrong, [], histories.map((mail) => `${mail.id}\n${strangers.history(mail)}`).join("\n"));
    await checkList(person);
  }
  assert.deepEqual(await strangers.refusals(), []);
  assert.deepEqual(chaos.missing, []);
});

/** The mailbox from scratch, as its owner's device sees it, and its list against what the device has stored. */
async function checkList(person: string): Promise<void> {
  const { findings } = JSON.parse(await drill.stage.as(person, "shoal verify --json")) as { findings: unknown[] };
  assert.deepEqual(findings, []);
  const { status, stdout, stderr } = await drill.stage.exec("fetch", ["cat", `/srv/mail/${person}/ledger/entries`]);
  assert.equal(status, 0, stderr);
  const listed = parseEntries(stdout, Number.MAX_SAFE_INTEGER).map(({ digest }) => digest);
  const stored = [...(earlier.get(person) ?? []), ...(await digestsOf(person))];
  assert.deepEqual(listed.toSorted(), stored.toSorted(), "each sealed mail stands in the list once, and nothing else");
}

async function smtpdQueue(): Promise<string[]> {
  const { status, stdout, stderr } = await drill.stage.exec("in", ["smtpctl", "show", "queue"]);
  assert.equal(status, 0, stderr);
  return stdout
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
}

async function untilEmpty(what: string, start: number, list: () => Promise<string[]>): Promise<void> {
  for (;;) {
    const left = await list();
    if (left.length === 0) return;
    assert.ok(performance.now() - start < calmSeconds * 1000, `${what}: ${left.length} left, first ${left[0]}`);
    await sleep(500);
  }
}

/** What is in a person's Maildir. */
async function storedMails(person: string): Promise<Buffer[]> {
  const maildir = join(home(person), "Mail/shoal");
  const folders = await Promise.all(
    ["new", "cur"].map(async (name) =>
      (await readdir(join(maildir, name))).map((file) => readFile(join(maildir, name, file))),
    ),
  );
  return await Promise.all(folders.flat());
}

/** How many sealed files held a message that another had brought before: its sender had not heard our answer. */
async function sentAgain(person: string): Promise<number> {
  const messages = (await journal(person)).map(([, , message]) => message);
  return messages.length - new Set(messages).size;
}

/** Of the sealed files that a person's device has stored. */
async function digestsOf(person: string): Promise<string[]> {
  return (await journal(person)).map(([, digest = ""]) => digest);
}

/** The words of each line of a person's journal: what was stored. */
async function journal(person: string): Promise<string[][]> {
  const text = await readFile(join(home(person), ".local/state/shoal/default/journal"), "latin1");
  return text
    .split("\n")
    .slice(1, -1)
    .map((line) => line.split(" "));
}

/** A person's home folder, as the host sees it. */
function home(person: string): string {
  return join(cellPlaces(drill.stage.world, "user").keep, `home_${person}`);
}

function since(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}
