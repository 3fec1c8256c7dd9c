/** No server holds a word of a message: while mail waits, after crashes, after delivery. And the search would find it. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stopCell } from "#fleet/cell/cell.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings } from "#test/marks/search.ts";
import { searchStage } from "#test/marks/stage-search.ts";
import { until } from "#test/until.ts";
import { queue, sendmail, submitAll, waitForEmptyQueue } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { exim, post, strangers } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";

const stage = flowStage();

const marks = {
  subject: makeMark(),
  text: makeMark(),
  quotedPrintable: makeMark(),
  base64: makeMark(),
  attachmentName: makeMark(),
};
const allMarks = Object.values(marks);

let sent = 0;

/** A message with every mark in it; the marks are followed by the message's number. */
function markedMail(): string {
  const number = String(sent).padStart(4, "0");
  sent += 1;
  const hex = marks.quotedPrintable.split("").map((letter) => `=${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  const lines = [
    "From: Ada <ada@post.example>",
    "To: Alice <alice@shoal.example>",
    `Subject: ${marks.subject} ${number}`,
    "Date: Sun, 22 Nov 2026 02:00:00 +0000",
    `Message-ID: <${number}.${sent}@post.example>`,
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    `Grüße ${marks.text} ${number}`,
    // Fills more than one block of whatever it is written to.
    ...Array.from({ length: 200 }, (_, line) => `${line} ${marks.text.toUpperCase()}`),
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    `${hex.slice(0, 12).join("")}=`,
    `${hex.slice(12).join("")} and ${marks.quotedPrintable.slice(0, 9)}=`,
    marks.quotedPrintable.slice(9),
    "--b",
    `Content-Type: application/octet-stream; name="${marks.attachmentName}.txt"`,
    `Content-Disposition: attachment; filename="${marks.attachmentName}.txt"`,
    "Content-Transfer-Encoding: base64",
    "",
    ...(Buffer.from(`${"x".repeat(100)} ${marks.base64} ${number}`)
      .toString("base64")
      .match(/.{1,76}/g) ?? []),
    "--b--",
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}

/** Hands marked mails to both strangers. */
async function sendMarked(each: number): Promise<void> {
  const run = stage().exec;
  for (const stranger of strangers) {
    const envelope = { from: `ada@${stranger.domain}`, to: ["alice@shoal.example"] };
    const mails = Array.from({ length: each }, () => ({ envelope, message: Buffer.from(markedMail()) }));
    await submitAll(run, stranger, mails);
  }
}

/** Message ids in smtpd's queue on `in`. */
async function queuedOnIn(): Promise<number> {
  const { status, stdout, stderr } = await stage().exec("in", ["smtpctl", "show", "queue"]);
  assert.equal(status, 0, stderr);
  return stdout.toString("utf8").split("\n").filter(Boolean).length;
}

/** Sealed files in alice's mailbox. */
async function sealedFiles(): Promise<number> {
  const { stdout } = await stage().exec("fetch", ["sh", "-c", "ls /srv/mail/alice/mail | grep -c '\\.age$'"]);
  return Number(stdout.toString("utf8"));
}

async function nothingInClear(scope: "all" | "written" = "written"): Promise<void> {
  const result = await searchStage(stage(), allMarks, scope);
  assert.deepEqual(describeFindings(result), []);
  assert.ok(result.filesSearched > (scope === "all" ? 10_000 : 300), `${result.filesSearched} files searched`);
}

/** Ends processes of a machine without a word; their supervisor starts them again. */
async function killAll(machine: string, pattern: string): Promise<void> {
  const script =
    "for file in /proc/[0-9]*/cmdline; do pid=${file%/cmdline}; pid=${pid#/proc/}; " +
    '[ $pid != $$ ] && grep -aqs -- "$1" $file && kill -9 $pid && echo $pid; done';
  const { stdout, stderr } = await stage().exec(machine, ["sh", "-c", script, "sh", pattern]);
  assert.match(stdout.toString("utf8"), /^\d+\n/, `nothing like "${pattern}" runs on ${machine} ${stderr}`);
}

describe("no server holds a word of a message", () => {
  test("while mail is delivered and lies in the mailbox", async () => {
    await sendMarked(10);
    for (const stranger of strangers) await waitForEmptyQueue(stage().exec, stranger);
    await until("20 mails are in the mailbox", async () => (await sealedFiles()) === 20);
    await nothingInClear("all");
  });

  test("while mail waits in the queue of `in` and is tried again", async () => {
    await stopCell(stage().fleet.name, "alpha-fetch");
    await sendMarked(10);
    await until("20 mails are in the queue", async () => (await queuedOnIn()) === 20);
    assert.equal((await stage().exec("in", ["smtpctl", "schedule", "all"])).status, 0);
    await sleep(1000);
    await nothingInClear();
    assert.equal(await queuedOnIn(), 20);
  });

  test("after every program was killed in the middle of its work", async () => {
    const sending = sendMarked(10);
    for (const [machine, pattern] of [
      ["in", "shoal-seal.mjs"],
      ["spam-in", "rspamd:"],
      ["in", "shoal-front.mjs"],
      ["in", "shoal-courier.mjs"],
      ["in", "smtpd"],
    ] as const) {
      await sleep(300);
      await killAll(machine, pattern);
    }
    await sending;
    await nothingInClear();
    await until("40 mails are in the queue", async () => (await queuedOnIn()) === 40);
    await nothingInClear();
  });

  test("after the machine with the queue went down, and came up again, and delivered", async () => {
    await stopCell(stage().fleet.name, "alpha-in");
    await sendmail(
      stage().exec,
      post,
      { from: "ada@post.example", to: ["alice@shoal.example"] },
      markedMail().replaceAll("\r", ""),
    );
    assert.equal((await queue(stage().exec, post)).length, 1);
    assert.deepEqual((await stage().up()).sort(), ["alpha-fetch", "alpha-in"]);
    for (const stranger of [post, exim]) await waitForEmptyQueue(stage().exec, stranger);
    assert.equal((await stage().exec("in", ["smtpctl", "schedule", "all"])).status, 0);
    await until("the queue is empty", async () => (await queuedOnIn()) === 0);
    await nothingInClear();
  });

  const planted: Readonly<Record<string, readonly string[]>> = {
    in: ["/var/spool/smtpd/queue/planted", "/run/log/smtpd/@planted.gz", "/dev/shm/planted", "/tmp/planted"],
    "spam-in": ["/var/lib/rspamd/planted", "/run/log/rspamd/@planted.gz", "/dev/shm/planted"],
    fetch: ["/srv/mail/alice/mail/planted", "/run/log/sshd/@planted.gz", "/dev/shm/planted", "/var/log/planted"],
    keys: ["/srv/keys/alice/answer/planted", "/run/accept/planted", "/var/lib/shoal/accounts/planted"],
    ledger: ["/var/lib/shoal/ledger/planted", "/run/log/ledger/@planted.gz", "/dev/shm/planted"],
  };

  test("and the same search finds what is planted in each of them", async () => {
    const plantedMarks: string[] = [];
    const deleted: string[] = [];
    for (const [machine, paths] of Object.entries(planted)) {
      for (const path of paths) {
        const mark = makeMark();
        plantedMarks.push(mark);
        const write = path.endsWith(".gz") ? `gzip > '${path}'` : `cat > '${path}'`;
        const { status, stderr } = await stage().exec(machine, ["sh", "-c", write], {
          input: `some text ${mark} more`,
        });
        assert.equal(status, 0, stderr);
        // What is not of the deposit is taken away every minute.
        if (path.startsWith("/srv/mail/")) await stage().exec(machine, ["chown", "deposit", path]);
      }
      // Gone from its folder, and still on the disk for as long as somebody holds it.
      const mark = makeMark();
      deleted.push(mark);
      const hold = `exec 3<> /var/tmp/held; echo ${mark} >&3; rm /var/tmp/held; sleep 300 </dev/null >/dev/null 2>&1 &`;
      await stage().exec(machine, ["sh", "-c", hold]);
    }
    const { hits } = await searchStage(stage(), [...plantedMarks, ...deleted], "written");
    for (const mark of [...plantedMarks, ...deleted]) assert.ok(hits.some((hit) => hit.mark === mark));
    for (const [machine, paths] of Object.entries(planted)) await stage().exec(machine, ["rm", ...paths]);
  });

  test("and every mail arrives, once, and what its owner removes has no other name on the disk", async () => {
    const kept = async (folder: string): Promise<string> => {
      const { stdout } = await stage().exec("fetch", ["find", `/srv/mail/alice/${folder}`, "-type", "f"]);
      return stdout.toString("utf8");
    };
    // It runs each minute by itself.
    await stage().exec("fetch", ["sv", "restart", "/etc/service/schedule-incoming"]);
    await until("finished deposits have one name", async () => (await kept("incoming")) === "");
    assert.notEqual(await kept("mail"), "");
    await stage().as("alice", "shoal sync");
    for (const folder of ["mail", "incoming"]) assert.equal(await kept(folder), "");
    const { stdout } = await stage().exec("user", asPerson("alice", "cat Mail/shoal/new/*"));
    const text = stdout.toString("utf8");
    const numbers = [...text.matchAll(new RegExp(`^Subject: ${marks.subject} (\\d{4})$`, "gm"))].map(
      ([, number]) => number,
    );
    assert.equal(new Set(numbers).size, sent);
    assert.ok(text.includes(marks.text) && text.includes(`filename="${marks.attachmentName}.txt"`));
    // A stranger whose session was cut before it heard "accepted" rightly sends again.
    assert.ok(numbers.length - sent <= 10, `${numbers.length} mails for ${sent}`);
  });
});
