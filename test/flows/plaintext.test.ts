/** No plaintext at rest: mails with marks flow, wait, crash and resume, and no server has a trace of the marks on any disk. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { cellsDown } from "#fleet/cell/cells.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings } from "#test/marks/search.ts";
import { searchStage } from "#test/marks/stage-search.ts";
import { submitAll, waitForEmptyQueue } from "#test/world/send.ts";
import { exim, post, strangers } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";

const stage = flowStage({ name: "marks", net: 171, people: ["alice"] });
/** One mark is enough: each mail adds its number. */
const mark = makeMark();

/** The mark in every place and encoding in which a mail can carry a word. */
function markedMail(number: number): { envelope: { from: string; to: string[] }; message: Buffer } {
  const word = `${mark}${number}`;
  const quoted = [...word].map((letter) => `=${letter.charCodeAt(0).toString(16).toUpperCase()}`).join("");
  const lines = [
    `From: "${word}" <carol@post.example>`,
    "To: alice@shoal.example",
    `Subject: about ${word}`,
    `Message-ID: <${word}@post.example>`,
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="part"',
    "",
    "--part",
    "Content-Type: text/plain",
    "",
    `the word is ${word}`,
    "--part",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    quoted,
    "--part",
    `Content-Type: application/octet-stream; name="${word}.bin"`,
    "Content-Transfer-Encoding: base64",
    "",
    ...(Buffer.from(`${"x".repeat(number % 3)}${word.repeat(200)}`)
      .toString("base64")
      .match(/.{1,76}/g) ?? []),
    "--part--",
    "",
  ];
  return {
    envelope: { from: "carol@post.example", to: ["alice@shoal.example"] },
    message: Buffer.from(lines.join("\r\n")),
  };
}

async function clean(when: string): Promise<void> {
  const result = await searchStage(stage(), [mark]);
  assert.deepEqual(describeFindings(result), [], when);
  assert.ok(result.filesSearched > 1000, `${result.filesSearched} files searched ${when}`);
}

async function inShell(machine: string, script: string): Promise<string> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-c", script]);
  assert.equal(status, 0, `${machine}: ${script}: ${stderr}`);
  return stdout.toString("utf8");
}

async function until(what: string, seconds: number, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < deadline, `${what} within ${seconds} s`);
    await sleep(200);
  }
}

const queueLength = async (): Promise<number> => (await inShell("in", "smtpctl show queue")).split("\n").length - 1;
const onFetch = async (): Promise<number> => Number(await inShell("fetch", "find /srv/mail -name '*.age' | wc -l"));

test("mail that waits in the queue is sealed", async () => {
  // Nobody takes what smtpd hands on, so it has to keep it and to try again.
  await inShell("in", "sv down courier");
  await submitAll(stage().exec, post, [0, 1, 2, 3].map(markedMail));
  await submitAll(stage().exec, exim, [4, 5].map(markedMail));
  for (const stranger of strangers) await waitForEmptyQueue(stage().exec, stranger, 60);
  assert.equal(await queueLength(), 6);
  await inShell("in", "smtpctl schedule all");
  await clean("while mail waits in the queue");
});

test("nothing is left in clear by processes that are killed in the middle of a message", async () => {
  const big = markedMail(6);
  const body = Buffer.from(`${`${mark}6 `.repeat(4)}\r\n`.repeat(40_000));
  const sent = submitAll(
    stage().exec,
    post,
    [7, 8, 9].map(markedMail).concat({ ...big, message: Buffer.concat([big.message, body]) }),
  );
  for (let round = 0; round < 6; round++) {
    await sleep(300);
    // By name as the kernel has it: smtpd's processes, seal, front, rspamd's filter.
    const killer = `for p in /proc/[0-9]*; do case "$(tr '\\0' ' ' < $p/cmdline 2>/dev/null)" in *${["smtpd", "shoal-seal", "shoal-front", "filter-rspamd"][round % 4]}*) kill -9 \${p#/proc/} 2>/dev/null;; esac; done; true`;
    await inShell("in", killer);
  }
  await sent;
  await waitForEmptyQueue(stage().exec, post, 90);
  await clean("after kills");
});

test("a machine that goes down with mail in its queue keeps it sealed and delivers it when it is back", async () => {
  const { fleet } = stage();
  await cellsDown(fleet.name);
  await clean("with all machines down");
  await stage().up();
  await until("all mail on fetch", 90, async () => {
    await inShell("in", "smtpctl schedule all || true");
    return (await onFetch()) >= 10 && (await queueLength()) === 0;
  });
  await clean("after delivery");

  await stage().as("alice", "shoal sync");
  for (let number = 0; number < 10; number++) {
    const found = await stage().as("alice", `cat ~/Mail/shoal/new/* | grep -c 'Subject: about ${mark}${number}$'`);
    assert.equal(found.trim(), "1", `mail ${number} arrived once`);
  }
  await clean("after the owner took it");
});

test("the search finds what it looks for, on every machine and in every kind of place", async () => {
  const packed = gzipSync(`a log line with ${mark}\n`).toString("base64");
  const plants: [machine: string, script: string, file: string][] = [
    ["in", `echo 'about ${mark}' > /var/spool/smtpd/planted`, "planted"],
    ["in", `echo ${packed} | base64 -d > /run/log/smtpd/planted.gz`, "planted.gz"],
    ["in", `printf '%s' ${Buffer.from(`xx${mark}`).toString("base64")} > /dev/shm/planted64`, "planted64"],
    ["spam-in", `echo ${mark.toUpperCase()} > /tmp/planted-tmp`, "planted-tmp"],
    ["spam-in", `echo x > /var/lib/rspamd/${mark}`, mark],
    [
      "fetch",
      `printf '%s' '${[...mark].map((letter) => `=${letter.charCodeAt(0).toString(16)}`).join("")}' > /srv/mail/alice/incoming/planted-qp`,
      "planted-qp",
    ],
  ];
  for (const [machine, script] of plants) await inShell(machine, script);
  const { hits } = await searchStage(stage(), [mark]);
  for (const [machine, , file] of plants)
    assert.ok(
      hits.some((hit) => hit.file.endsWith(file)),
      `${file} on ${machine} is found`,
    );
});
