/** Mail in against the same OpenSMTPD delivering plaintext to a Maildir, in one run on one machine, in turns. */

import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cellPlaces } from "#fleet/cell/places.ts";
import { exists } from "#host/files.ts";
import { untilAccepting } from "#test/world/smtp-probe.ts";
import { openStage, type Stage } from "#test/world/stage.ts";
import { plainMachine } from "./plain-machine.ts";

const mailBytes = 10_000;
const rounds = 3;

export type Figures = Record<string, number>;

interface Arm {
  /** Address whose port 25 takes the mail. */
  address: string;
  /** Folder of the host in which each delivered mail is one file. */
  folder: string;
  /** The mailbox's list beside it, where there is one: a line for each mail. */
  list?: string;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function emptied(folder: string): Promise<void> {
  if (await exists(folder)) for (const name of await readdir(folder)) await rm(join(folder, name));
}

async function filesIn(folder: string): Promise<number> {
  return (await exists(folder)) ? (await readdir(folder)).length : 0;
}

async function linesIn(list: string | undefined): Promise<number> {
  if (list === undefined || !(await exists(list))) return 0;
  return (await readFile(list, "latin1")).split("\n").length - 1;
}

/** Mails per second from the first connection until the last mail is a durable file, and listed where mail is listed. */
async function measure(stage: Stage, arm: Arm, mails: number, sessions: number, keepOpen: boolean): Promise<number> {
  await emptied(arm.folder);
  const listedBefore = await linesIn(arm.list);
  const started = performance.now();
  const load = [
    "smtp-source",
    ...(keepOpen ? ["-d"] : []),
    "-l",
    String(mailBytes),
    "-m",
    String(mails),
    "-s",
    String(sessions),
  ];
  const sent = stage.exec(
    "post",
    [...load, "-f", "carol@post.example", "-t", "alice@shoal.example", `${arm.address}:25`],
    { timeoutSeconds: 300 },
  );
  let done = false;
  const sending = sent.finally(() => {
    done = true;
  });
  for (;;) {
    const count = await filesIn(arm.folder);
    const isListed = async (): Promise<boolean> =>
      arm.list === undefined || (await linesIn(arm.list)) - listedBefore >= mails;
    if (count >= mails && (await isListed())) break;
    const seconds = (performance.now() - started) / 1000;
    if (seconds > 300) throw new Error(`${count} of ${mails} mails after ${seconds.toFixed(0)} s`);
    if (done && (await sent).status !== 0) throw new Error(`smtp-source failed: ${(await sent).stderr}`);
    await sleep(20);
  }
  const perSecond = mails / ((performance.now() - started) / 1000);
  const { status, stderr } = await sending;
  if (status !== 0) throw new Error(`smtp-source failed: ${stderr}`);
  return perSecond;
}

async function withStage<Result>(
  run: (stage: Stage, arms: { shoal: Arm; plain: Arm }) => Promise<Result>,
): Promise<Result> {
  const net = 141;
  const stage = await openStage({
    name: "bench",
    net,
    people: ["alice"],
    changes: [["quota: 100 MB", "quota: 100 GB"]],
    moreWorld: (network) => ({ machines: [plainMachine({ address: `${network}.99`, nameServer: `${network}.53` })] }),
    onProgress: (text) => process.stderr.write(`bench: ${text}\n`),
  });
  try {
    const fetch = cellPlaces(stage.fleet.name, "alpha-fetch");
    const mailbox = join(fetch.keep, "srv_mail/alice");
    const plain = cellPlaces(stage.world, "plain");
    return await run(stage, {
      shoal: { address: stage.address("in"), folder: join(mailbox, "mail"), list: join(mailbox, "ledger/entries") },
      plain: { address: `10.${net + 1}.0.99`, folder: join(plain.keep, "srv_alice/Maildir/new") },
    });
  } finally {
    await stage.close();
  }
}

/** Takes rspamd out of the chain of `in`, so that what is measured is our own path. */
async function withoutRspamd(stage: Stage): Promise<void> {
  const edit = `sed -i 's/{ "rspamd", "seal" }/{ "seal" }/; /^filter "rspamd"/d' /etc/smtpd.conf && sv restart smtpd`;
  const { status, stderr } = await stage.exec("in", ["sh", "-ec", edit]);
  if (status !== 0) throw new Error(`can't take rspamd out: ${stderr}`);
  await untilAccepting(stage.address("in"), "alice@shoal.example");
}

/** 10 KB mails over 10 open sessions. Both sides without a spam filter; what rspamd costs ours is told beside it. */
export async function benchInbound(): Promise<Figures> {
  return await withStage(async (stage, { shoal, plain }) => {
    const filtered: number[] = [];
    await measure(stage, shoal, 200, 10, true);
    for (let round = 0; round < rounds; round++) filtered.push(await measure(stage, shoal, 500, 10, true));
    await withoutRspamd(stage);
    await measure(stage, shoal, 300, 10, true);
    await measure(stage, plain, 300, 10, true);
    const own: number[] = [];
    const peer: number[] = [];
    for (let round = 0; round < rounds; round++) {
      own.push(await measure(stage, shoal, 2000, 10, true));
      peer.push(await measure(stage, plain, 2000, 10, true));
    }
    const figures = {
      shoalPerSecond: median(own),
      plainPerSecond: median(peer),
      shoalWithRspamdPerSecond: median(filtered),
    };
    return { ...figures, ratio: figures.shoalPerSecond / figures.plainPerSecond, mailBytes, sessions: 10, rounds };
  });
}

/** 20 senders at once, a new connection for each mail. */
export async function benchConnections(): Promise<Figures> {
  return await withStage(async (stage, { shoal, plain }) => {
    await withoutRspamd(stage);
    await measure(stage, shoal, 200, 20, false);
    const own: number[] = [];
    const peer: number[] = [];
    for (let round = 0; round < rounds; round++) {
      own.push(await measure(stage, shoal, 1500, 20, false));
      peer.push(await measure(stage, plain, 150, 20, false));
    }
    const figures = { shoalPerSecond: median(own), plainPerSecond: median(peer) };
    return { ...figures, ratio: figures.shoalPerSecond / figures.plainPerSecond, mailBytes, senders: 20, rounds };
  });
}
