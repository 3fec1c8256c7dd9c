/**
 * The main job, watched: a fleet of separate machines comes up, strangers' real mail servers deliver to it, the owner's
 * client fetches, opens and shows the mail, and no disk of the servers holds a word of it.
 *
 *   npm run demo                  watch, then everything is taken down
 *   npm run demo -- --keep        leave it running, to send and read mail yourself
 *   npm run demo -- --as alice    a shell on the users' computer, while it runs
 *   npm run demo -- --down        end what --keep left running
 *   npm run -s demo -- --json     the last line of standard output is JSON
 */

import { spawn } from "node:child_process";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { cellCommand } from "#fleet/cell/cell.ts";
import { destroyCells } from "#fleet/cell/cells.ts";
import { siteMachines } from "#fleet/plan.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings } from "#test/marks/search.ts";
import { searchStage } from "#test/marks/stage-search.ts";
import { until } from "#test/until.ts";
import { deliveries, sendmail, waitForEmptyQueue } from "#test/world/send.ts";
import { openStage, type Stage } from "#test/world/stage.ts";
import { exim, post, strangers } from "#test/world/world.ts";

const { values } = parseArgs({
  options: { json: { type: "boolean" }, keep: { type: "boolean" }, down: { type: "boolean" }, as: { type: "string" } },
});
/** For going on by hand; git ignores it. */
const folder = "demo";
const started = performance.now();

function tell(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5);
  process.stderr.write(`${seconds} s  ${text}\n`);
}

function step(text: string): void {
  process.stderr.write(`\n        ${text}\n`);
}

/** Waits until something is true, looking twice a second. */
const fileCount = ["sh", "-c", "find /srv/mail -name '*.age' | wc -l"];

/** @returns what was shown, for programs */
async function show(stage: Stage): Promise<object> {
  const mails = [
    { stranger: post, from: "carol@post.example", to: "alice@shoal.example", mark: makeMark() },
    { stranger: exim, from: "dave@exim.example", to: "alice@shoal.example", mark: makeMark() },
    { stranger: post, from: "carol@post.example", to: "bob@shoal.example", mark: makeMark() },
  ];

  step("1. Strangers send mail: a real Postfix at post.example, a real Exim at exim.example.");
  for (const { stranger, from, to, mark } of mails) {
    const message = `From: ${from}\nTo: ${to}\nSubject: For your eyes: ${mark}\n\nThe secret word is ${mark}.\n`;
    await sendmail(stage.exec, stranger, { from, to: [to] }, message);
    tell(`${from} -> ${to}, with the secret word ${mark}`);
  }
  for (const stranger of strangers) await waitForEmptyQueue(stage.exec, stranger);
  let accepted = 0;
  for (const stranger of strangers) {
    const tries = await deliveries(stage.exec, stranger);
    accepted += tries.filter(({ status }) => status === "sent").length;
  }
  tell(`accepted, as the strangers' logs say: ${accepted} of ${mails.length}`);

  step("2. On fetch it lies sealed.");
  let delivered = 0;
  await until("sealed mail on fetch", async () => {
    const { stdout } = await stage.exec("fetch", fileCount);
    delivered = Number(stdout.toString("utf8"));
    return delivered >= accepted;
  });
  const list = await stage.exec("fetch", [
    "sh",
    "-c",
    "cd /srv/mail && ls -ln */mail/*.age | awk '{print $1, $5, substr($9, 1, 40) \"...age\"}'; cat alice/mail/*.age | head -n 2",
  ]);
  for (const line of list.stdout
    .toString("latin1")
    .replaceAll(/[^\n\x20-\x7e]+/g, " ")
    .trimEnd()
    .split("\n"))
    tell(line.slice(0, 110));

  step("3. Everything that the servers could have written to is searched for the secret words, in every encoding.");
  const search = await searchStage(
    stage,
    mails.map(({ mark }) => mark),
  );
  const findings = describeFindings(search);
  tell(`${search.filesSearched} files, ${(search.bytesSearched / 1e6).toFixed(0)} MB: ${search.hits.length} hits`);
  for (const line of findings) tell(line);

  step("4. The owners fetch it over SFTP, open it, and read.");
  let opened = 0;
  for (const person of ["alice", "bob"]) {
    tell(`${person}$ shoal sync`);
    const summary = JSON.parse((await stage.as(person, "shoal sync --json")).trim().split("\n").at(-1) ?? "{}") as {
      stored?: number;
    };
    tell(`${summary.stored} new`);
    const own = mails.filter(({ to }) => to.startsWith(`${person}@`));
    for (let number = 1; number <= own.length; number++) {
      const shown = await stage.as(person, `shoal show ${number}`);
      if (number === 1) for (const line of shown.trimEnd().split("\n")) tell(`  ${line}`);
      opened += own.filter(({ mark }) => shown.includes(`The secret word is ${mark}.`)).length;
    }
  }
  const { stdout } = await stage.exec("fetch", fileCount);
  tell(`opened: ${opened}; left on the server: ${Number(stdout.toString("utf8"))}`);

  const result = {
    accepted,
    delivered,
    opened,
    plaintextHits: search.hits.length,
    filesSearched: search.filesSearched,
    roles: siteMachines(stage.fleet, stage.fleet.live).map(({ name }) => name),
    seconds: Math.round((performance.now() - started) / 100) / 10,
  };
  step(`Done in ${result.seconds} s.`);
  if (accepted !== mails.length || delivered !== accepted || opened !== accepted || findings.length > 0) {
    throw new Error(`the demo did not show what it promises: ${JSON.stringify(result)}`);
  }
  return result;
}

/** What somebody needs who goes on by hand: the definition, alice's key, the host key of `fetch`. */
async function handOver(stage: Stage): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyFile(stage.fleetFile, `${folder}/fleet.yaml`);
  const key = await stage.as("alice", "cat ~/.config/shoal/default/id_ed25519");
  const hosts = await stage.exec("user", ["cat", "/etc/ssh/ssh_known_hosts"]);
  await writeFile(`${folder}/alice`, key, { mode: 0o600 });
  await writeFile(`${folder}/known_hosts`, hosts.stdout);
  step(`It keeps running. This machine is a stranger on its internet (swaks is a Debian package):

  swaks --server ${stage.address("in")} --from you@post.example --to alice@shoal.example --header "Subject: hi"

As alice, with stock tools and no Shoal:

  sftp -i ${folder}/alice -o UserKnownHostsFile=${folder}/known_hosts alice@${stage.address("fetch")}:'mail/*' ${folder}/
  for mail in ${folder}/*.age; do age -d -i ${folder}/alice "$mail"; done

As the operator:

  node_modules/.bin/node dist/shoalctl.mjs status --fleet ${folder}/fleet.yaml
  node_modules/.bin/node dist/shoalctl.mjs exec --fleet ${folder}/fleet.yaml in -- smtpctl show queue

On the users' computer:   npm run demo -- --as alice
Take it down:             npm run demo -- --down`);
}

/** A shell on the users' computer. */
async function beOneOf(person: string): Promise<number> {
  const shell = [
    "chpst",
    "-u",
    person,
    "env",
    `HOME=/home/${person}`,
    `USER=${person}`,
    `TERM=${process.env["TERM"] ?? "dumb"}`,
  ];
  const [program, ...args] = await cellCommand("wdemo", "user", [...shell, "sh", "-c", "cd && exec bash"]);
  const child = spawn(program, args, { stdio: "inherit" });
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

if (values.as !== undefined) {
  process.exitCode = await beOneOf(values.as);
} else if (values.down === true) {
  await destroyCells("demo");
  await destroyCells("wdemo");
  await rm(folder, { recursive: true, force: true });
} else {
  tell(
    "machines of the fleet (in, spam-in, fetch, keys, ledger) and of a test internet; the first time, their images take some minutes",
  );
  const stage = await openStage({ name: "demo", net: 83, onProgress: tell });
  const stop = (): void => {
    void stage.close().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  let result: object;
  try {
    result = await show(stage);
    if (values.keep === true) await handOver(stage);
  } finally {
    if (values.keep !== true) {
      tell("taking everything down");
      await stage.close();
    }
  }
  if (values.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
}
