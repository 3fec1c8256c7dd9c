/**
 * Signed mailboxes: durable appends a second, beside the plainest way to make the same lines durable; heads of many mailboxes over
 * SFTP; what an audit costs a device.
 */

import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { joinSigned } from "#core/account/signed-text.ts";
import { audit } from "#core/mailbox/audit.ts";
import { firstPoint, nextPoint } from "#core/mailbox/chain.ts";
import { printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { signHead } from "#core/mailbox/head.ts";
import { printSigners, signersNamespace, withNewSigner } from "#core/mailbox/signers.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { exec } from "#host/exec.ts";
import { Mailboxes } from "#roles/ledger/mailboxes/mailboxes.ts";
import { NamedStates } from "#roles/ledger/mailboxes/named-states.ts";
import { Publisher } from "#roles/ledger/mailboxes/publisher.ts";
import { Readiness } from "#roles/ledger/mailboxes/readiness.ts";
import { Signer } from "#roles/ledger/mailboxes/signer.ts";
import { MailboxStore } from "#roles/ledger/mailboxes/store.ts";
import { DOMAIN, LedgerMachine } from "#test/mailbox/ledger-machine.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { startSshd } from "#test/sshd.ts";

const MAILBOXES = 50;
const LIVE_MAILS = 700;
const TICKS_A_SECOND = 100;

type Figures = Record<string, number>;

function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Lines a second, each written and synced before the next: what a log without any idea does. */
function plainAppends(folder: string, lines: number): number {
  const file = openSync(join(folder, "plain"), "w");
  const started = performance.now();
  for (let line = 1; line <= lines; line++) {
    writeSync(file, `${line} 1790000000 1209600 17112 ${randomBytes(32).toString("hex")} 2\n`);
    fdatasyncSync(file);
  }
  const perSecond = lines / ((performance.now() - started) / 1000);
  closeSync(file);
  return perSecond;
}

/** Answers of the running program a second, over its socket, with so many requests open; publishing goes on meanwhile. */
async function appends(machine: LedgerMachine, inFlight: number, total: number): Promise<number> {
  const courier = machine.courier();
  const ids = [...machine.owners.values()].map(({ id }) => id);
  let left = total;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const account = ids[left % ids.length] ?? "";
      await courier.append({ account, digest: randomBytes(32).toString("hex"), size: 17_112, version: 1 });
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, one));
  const perSecond = total / ((performance.now() - started) / 1000);
  courier.close();
  return perSecond;
}

async function benchAppends(): Promise<Figures> {
  const names = Array.from({ length: MAILBOXES }, (_, index) => `a${index}`);
  const machine = await LedgerMachine.start({ names });
  try {
    await appends(machine, 128, 5000);
    const rates: Record<1 | 16 | 128, number[]> = { 1: [], 16: [], 128: [] };
    const plain: number[] = [];
    for (let round = 0; round < 3; round++) {
      tell(`appends, round ${round + 1}`);
      plain.push(plainAppends(machine.folder, 2000));
      rates[1].push(await appends(machine, 1, 500));
      rates[16].push(await appends(machine, 16, 5000));
      rates[128].push(await appends(machine, 128, 20_000));
    }
    const [plainAppendsPerSecond, appends128] = [median(plain), median(rates[128])];
    return {
      appends1: median(rates[1]),
      appends16: median(rates[16]),
      appends128,
      plainAppendsPerSecond,
      appendRatio: appends128 / plainAppendsPerSecond,
    };
  } finally {
    await machine.stop();
  }
}

/** Seconds of processor that a process and those that it has started have used so far. */
function cpuOf(pid: number): number {
  const own = (id: number | string): { parent: number; seconds: number } => {
    const fields = readFileSync(`/proc/${id}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return { parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND };
  };
  const all = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return all.reduce((sum, id) => {
    try {
      const { parent, seconds } = own(id);
      return parent === pid || Number(id) === pid ? sum + seconds : sum;
    } catch {
      // It has ended meanwhile.
      return sum;
    }
  }, 0);
}

/** One round of heads for many mailboxes: seconds, and seconds of processor on the ledger, as fast as it goes. */
async function benchHeads(count: number): Promise<{ wall: number; cpu: number; firstWall: number }> {
  tell(`heads of ${count} mailboxes`);
  const folder = mkdtempSync(join(tmpdir(), "shoal-heads-"));
  const mail = mkdtempSync("/run/shoal-mail-");
  // In memory: making and removing so many folders is not what is measured.
  await exec("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", mail]);
  const sshd = await startSshd([`ChrootDirectory ${mail}`, "ForceCommand internal-sftp -u 0027"]);
  const store = MailboxStore.open(join(folder, "mailboxes.db"));
  const owner = new Owner(DOMAIN, 1_790_000_000);
  const signer = new Signer(makeKey(), store, DOMAIN);
  const mailboxes = new Mailboxes(store, () => Math.floor(Date.now() / 1000));
  const publisher = new Publisher({
    domain: DOMAIN,
    target: sshd.target,
    mailboxes,
    signer,
    states: new NamedStates({ standing: () => owner.standing }),
    readiness: new Readiness(() => undefined),
    heartbeatSeconds: 300,
    nameOf: (account) => account,
    takenBy: () => 1,
    operators: () => [],
    log: tell,
  });
  try {
    const operator = makeKey();
    const now = Math.floor(Date.now() / 1000);
    const added = { domain: DOMAIN, key: lineOf(signer.key), now, validForSeconds: 86_400 };
    const body = printSigners(withNewSigner(null, added, 0));
    const signed = joinSigned({ body, signatures: [signMessage(operator, signersNamespace(DOMAIN), body)] });
    signer.certify(signed, [lineOf(operator)], now);
    for (let index = 0; index < count; index++) {
      const account = `${index}`.padStart(21, "a").concat("A");
      mkdirSync(join(mail, account, "ledger"), { recursive: true });
      publisher.add(account);
    }
    const round = async (): Promise<{ wall: number; cpu: number }> => {
      const [started, before] = [performance.now(), cpuOf(process.pid)];
      while (publisher.status.pending > 0 || !publisher.status.connected) await sleep(20);
      return { wall: (performance.now() - started) / 1000, cpu: cpuOf(process.pid) - before };
    };
    const running = publisher.run();
    const first = await round();
    await sleep(500);
    publisher.noteAll();
    const { wall, cpu } = await round();
    publisher.close();
    await running;
    return { wall, cpu, firstWall: first.wall };
  } finally {
    store.close();
    await sshd.stop();
    await exec("umount", ["-l", mail]);
    for (const path of [mail, folder]) rmSync(path, { recursive: true, force: true });
  }
}

/** Milliseconds of the first audit of a mailbox and of the next one, without reading and hashing files, and its bytes. */
function benchAudit(): Figures {
  const now = 1_790_000_000;
  const owner = new Owner(DOMAIN, now - 86_400);
  const operator = makeKey();
  const key = makeKey();
  const added = { domain: DOMAIN, key: lineOf(key), now: now - 3600, validForSeconds: 86_400 };
  const list = printSigners(withNewSigner(null, added, 0));
  const signers = joinSigned({ body: list, signatures: [signMessage(operator, signersNamespace(DOMAIN), list)] });
  const account = owner.id;
  const keep = 14 * 86_400;
  const entries: Entry[] = Array.from({ length: LIVE_MAILS }, (_, index) => {
    const time = now - LIVE_MAILS + index;
    const digest = createHash("sha256").update(String(index)).digest("hex");
    return { seq: index + 1, time, expiry: time + keep, size: 17_112, digest, version: 1 };
  });
  const last = entries.reduce(nextPoint, firstPoint(account));
  const { state, hash, accepted } = owner.standing;
  const named = { version: state.version, hash, accepted };
  const base = firstPoint(account);
  const head = signHead({ domain: DOMAIN, account, last, base, state: named, time: now, next: now + 600 }, key);
  const shown = {
    ...{ head, signers, entries: printEntries(entries), del: [], standing: owner.standing, now },
    mail: entries.map((entry) => ({ name: mailName(entry), size: entry.size })),
    digests: new Map(entries.map((entry) => [mailName(entry), entry.digest])),
    formerKeys: new Set([lineOf(owner.device)]),
    roots: new Set([lineOf(operator)]),
  };
  const first: number[] = [];
  const daily: number[] = [];
  for (let round = 0; round < 21; round++) {
    const started = performance.now();
    const { memory, findings, mayOpen } = audit({ ...shown, memory: null });
    const between = performance.now();
    audit({ ...shown, memory });
    daily.push(performance.now() - between);
    first.push(between - started);
    if (findings.length > 0 || mayOpen.length !== LIVE_MAILS) throw new Error("the audit has found something");
  }
  const bytes = head.length + signers.length + shown.entries.length;
  return {
    auditMs: first[0] ?? Number.NaN,
    auditWarmMs: median(first),
    dailyAuditMs: median(daily),
    bytesPerMail: bytes / LIVE_MAILS,
  };
}

export async function benchLedger(): Promise<Figures> {
  const audits = benchAudit();
  const added = await benchAppends();
  const few = await benchHeads(10_000);
  const many = await benchHeads(100_000);
  return {
    ...added,
    heads10kSeconds: few.wall,
    heads10kCpuSeconds: few.cpu,
    heads100kSeconds: many.wall,
    heads100kCpuSeconds: many.cpu,
    first100kSeconds: many.firstWall,
    ...audits,
  };
}
