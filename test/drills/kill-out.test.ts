/**
 * Accepted means delivered or bounced, once: mail leaves `out` while every process there is killed, links are cut, its disk is
 * full, and names lie, stall and vanish.
 *
 * `DRILL_SEED` repeats a drill, `DRILL_MAILS` and `DRILL_SECONDS` (over which mails are sent) make it shorter or longer.
 */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cellPlaces } from "#fleet/cell/places.ts";
import { Chance } from "#test/drills/chance.ts";
import { Chaos } from "#test/drills/chaos.ts";
import { type DrillStage, openDrillStage } from "#test/drills/drill-stage.ts";
import { diskWarningMilliseconds, outChaosPlan } from "#test/drills/out-chaos.ts";
import {
  type Fates,
  fatesOf,
  type OutMail,
  outcomeOf,
  outMails,
  people,
  type Said,
  sendAll,
} from "#test/drills/out-mail.ts";
import { until } from "#test/until.ts";
import { tlsCertificate } from "#test/world/machine-parts.ts";
import { inbox } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { exim, post } from "#test/world/world.ts";

const seed = Number(process.env["DRILL_SEED"] ?? Math.floor(Math.random() * 1_000_000_000));
const mailCount = Number(process.env["DRILL_MAILS"] ?? 200);
const spreadSeconds = Number(process.env["DRILL_SECONDS"] ?? 30);
/** Within that time after the last blow everything must be delivered. */
const calmSeconds = 400;

let drill: DrillStage<"out">;

before(async () => {
  drill = await openDrillStage("killout", ["out"], {
    changes: [
      ["  ledger: 1\n", "  ledger: 1\n  out: 1\n"],
      ["  recipients: 100\n", "  recipients: 100\n  messages-per-day: 10000\n"],
    ],
  });
});

after(() => drill?.close());

async function asRoot(machine: string, script: string, input: Uint8Array | string = ""): Promise<string> {
  const { status, stdout, stderr } = await drill.stage.exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

/** `out` trusts Postfix, and Postfix has one user less. */
async function setUp(): Promise<void> {
  const rule = "smtpd_recipient_restrictions = check_recipient_access regexp:{{/^nobody@/ 550 5.1.1 no such user}}\n";
  await asRoot("post", "sv down postfix; postfix stop || true; cat >> /etc/postfix/main.cf; sv up postfix", rule);
  const certificate = await asRoot("post", `cat ${tlsCertificate}`);
  await asRoot("out", "cat >> /etc/ssl/certs/ca-certificates.crt; sv restart smtpd submit", certificate);
  await until("somebody can send", async () => (await send("limits", "")).status === 0);
}

const ssh =
  "ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=3 " +
  "-o ServerAliveCountMax=2 alice@out.mail.shoal.example";

async function send(command: string, input: string): Promise<Said> {
  const { status, stdout, stderr } = await drill.stage.exec("user", asPerson("alice", `exec ${ssh} ${command}`), {
    input,
  });
  return { status, out: stdout.toString("latin1"), err: stderr };
}

/** smtpd gives ways that failed pauses, and mails longer ones. */
const hurry =
  "for id in $(smtpctl show routes | cut -d. -f1); do smtpctl resume route $id; done; smtpctl schedule all >/dev/null";

async function queued(): Promise<string[]> {
  return (await asRoot("out", "smtpctl show queue")).split("\n").filter((line) => line !== "");
}

/** All mail that a person has fetched. */
async function fetched(person: string): Promise<Buffer[]> {
  await drill.stage.as(person, "shoal sync");
  const folder = join(cellPlaces(drill.stage.world, "user").keep, `home_${person}`, "Mail/shoal/new");
  return await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))));
}

test("a full disk refuses mail, and takes nothing from what waits", async () => {
  await setUp();
  const { out: disk } = drill.disks;
  const small = "From: alice@shoal.example\nSubject: small\n\nnot much\n";
  await asRoot("exim", "sv down exim");
  const waiting = await send(`send-anyway ${people.untrusted}`, small);
  assert.equal(waiting.status, 0, waiting.err);
  assert.equal((await queued()).length, 1);
  await disk.fill(diskWarningMilliseconds);
  try {
    const refused = await send(`send-anyway ${people.trusted}`, small);
    assert.equal(refused.status, 75);
    assert.match(refused.err, /no room/);
    await asRoot("exim", "sv up exim");
    await asRoot("out", `timeout 1 sh -c '${hurry}' || true`);
    await sleep(3000);
    assert.deepEqual(await inbox(drill.stage.exec, exim), []);
  } finally {
    await disk.empty();
  }
  await until("something comes", async () => {
    await asRoot("out", hurry);
    return (await inbox(drill.stage.exec, exim)).length > 0;
  });
  const [mail, ...more] = await inbox(drill.stage.exec, exim);
  assert.equal(more.length, 0);
  assert.ok(mail?.includes("not much"), String(mail));
  await asRoot("exim", "rm -r /var/mail/inbox/Maildir/new");
});

test("accepted is delivered or bounced, once", { timeout: 600_000 }, async (context) => {
  const start = performance.now();
  const say = (text: string): void => void process.stderr.write(`${since(start)} s: ${text}\n`);
  say(`DRILL_SEED=${seed}`);
  const { stage } = drill;
  // Processes of senders can be killed only while somebody sends.
  const mails = outMails(4 * mailCount, new Chance(seed));
  const chaos = new Chaos(outChaosPlan(drill), new Chance(seed + 1));
  let isSent = false;
  let [answered, taken] = [0, 0];
  const sending = sendAll(mails, {
    count: mailCount,
    goesOn: () => (chaos.missing.length > 0 || taken <= mailCount / 4) && !context.signal.aborted,
    atOnce: 6,
    seconds: spreadSeconds,
    async send({ verb, to, message }) {
      const said = await send([verb, ...to].join(" "), message);
      answered += 1;
      if (said.status === 0) taken += 1;
      return said;
    },
  }).finally(() => {
    isSent = true;
    say("all mails are sent");
  });
  // What is sent behind the last blow makes sure that there is something to tell.
  const isStruck = (): boolean => answered >= mailCount && chaos.missing.length === 0;
  const blows = chaos.run(() => isSent || isStruck() || context.signal.aborted);
  for (const result of await Promise.allSettled([sending, blows]))
    if (result.status === "rejected") throw result.reason;
  for (const [kind, times] of chaos.counts) say(`${String(times).padStart(4)} ${kind}`);

  const calm = performance.now();
  assert.deepEqual(await stage.up(), [], "no machine had to be replaced");
  for (let left = await queued(); left.length > 0; left = await queued()) {
    assert.ok(performance.now() - calm < calmSeconds * 1000, `${left.length} left, first ${left[0]}`);
    // smtpd gives ways that failed pauses, and mails longer ones.
    await asRoot("out", hurry);
    await sleep(500);
  }
  say(`smtpd's queue is empty after ${since(calm)} s`);
  for (let left = "?"; left !== ""; left = await asRoot("in", "smtpctl show queue")) {
    assert.ok(performance.now() - calm < calmSeconds * 1000, `the queue of "in" holds ${left}`);
    await sleep(200);
  }

  const fates = new Map<OutMail, Fates>();
  const counts = new Map<string, number>();
  const answers = await sending;
  for (const [mail, said] of answers) {
    const own = fatesOf(mail, said);
    assert.ok(own !== null, `${mail.id}: ${JSON.stringify(said)}`);
    fates.set(mail, own);
    for (const fate of own.values()) counts.set(fate, (counts.get(fate) ?? 0) + 1);
  }
  for (const [text, times] of reasonsOf(answers.values())) say(`${String(times).padStart(4)} refused: ${text}`);
  const [trusted, untrusted] = [await inbox(stage.exec, post), await inbox(stage.exec, exim)];
  const arrivals = new Map([
    [people.trusted, trusted],
    [people.untrusted, untrusted],
    [people.internal, await fetched("bob")],
  ]);
  const { wrong, again, bounced } = outcomeOf(fates, { mails: arrivals, notices: await fetched("alice") });
  say(`fates of recipients ${JSON.stringify(Object.fromEntries(counts))}; ${bounced} bounced`);
  say(`${again.length} came again, as smtpd had not heard or noted that they had come: ${again.join(", ")}`);
  const told = wrong.map((text) => {
    const mail = mails.find(({ id }) => text.includes(id));
    return mail === undefined ? text : `${text}; its sender was told ${JSON.stringify(answers.get(mail))}`;
  });
  assert.deepEqual(told, []);
  assert.ok((counts.get("accepted") ?? 0) > mailCount / 4, "enough is accepted to tell something");
  assert.ok(bounced > 0, "something bounces");
  assert.deepEqual(chaos.missing, []);
});

function since(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

/** What those heard whose mail was not taken, and how many of them. */
function reasonsOf(said: Iterable<Said>): Map<string, number> {
  const reasons = new Map<string, number>();
  for (const { status, out, err } of said) {
    const text = `${err}${out}`
      .split("\n", 2)
      .join(" / ")
      .replaceAll(/[0-9]+/g, "N");
    if (status !== 0) reasons.set(text, (reasons.get(text) ?? 0) + 1);
  }
  return reasons;
}
