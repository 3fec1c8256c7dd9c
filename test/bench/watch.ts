/**
 * What `shoal watch` costs the server: CPU time and memory of all its sshd processes, while so many watchers look as often as
 * they do by default, against the same sessions when nobody asks for anything. Watchers here share one process, as nobody's
 * would; their ssh, the sshd and its sftp are the real ones. The machine is not told what the ssh of the watchers cost.
 */

import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Looker } from "#client/watch/look.ts";
import { Watcher } from "#client/watch/watcher.ts";
import { SftpConnection } from "#host/sftp.ts";
import { TestLedger } from "#test/mailbox-server.ts";
import { Owner } from "#test/owner.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";

const SESSIONS = 200;
/** sshd takes only so many at once that have not logged in. */
const LOGINS_AT_ONCE = 10;
/** Of `shoal watch`. */
const EVERY_SECONDS = 5;
const MEASURED_SECONDS = 60;
/** Heads are renewed as often; here all see one and the same. */
const HEARTBEAT_SECONDS = 300;
const DELIVERIES = 3;
const DOMAIN = "example.org";
/** As on `fetch`. */
const REQUESTS = "open,read,write,fsync,close,lstat,stat,fstat,opendir,readdir,remove,realpath,limits,expand-path";

export async function benchWatch(): Promise<Record<string, number>> {
  const sshd = await startSshd([`ForceCommand internal-sftp -u 0377 -p ${REQUESTS}`]);
  const connections: SftpConnection[] = [];
  const watchers: Watcher[] = [];
  try {
    const now = Math.floor(Date.now() / 1000);
    const owner = new Owner(DOMAIN, now);
    const folder = join(sshd.folder, "account");
    await mkdir(join(folder, "mail"), { recursive: true });
    const ledger = new TestLedger(DOMAIN, folder);
    await ledger.publish(owner.standing);
    tell(`${SESSIONS} sessions`);
    await openAll(sshd, connections);

    tell(`idle, ${MEASURED_SECONDS} s`);
    const idle = await measure(sshd, MEASURED_SECONDS, async () => undefined);

    const seen = new Seen();
    for (const sftp of connections) watchers.push(startWatcher(sftp, folder, seen));
    await seen.all(SESSIONS);
    tell(`watching, ${MEASURED_SECONDS} s`);
    const watching = await measure(sshd, MEASURED_SECONDS, async () => {
      // The share of a heartbeat that falls into this time.
      await pause((MEASURED_SECONDS / 2) * 1000);
      if (MEASURED_SECONDS * 2 > HEARTBEAT_SECONDS) await ledger.publish(owner.standing);
    });
    const beat = await measure(sshd, 3 * EVERY_SECONDS, async () => await ledger.publish(owner.standing));

    const seconds: number[] = [];
    for (let count = 1; count <= DELIVERIES; count++) {
      await ledger.deliver(owner.id, [Buffer.from(`mail ${count}`)]);
      seen.reset();
      await ledger.publish(owner.standing);
      seconds.push(...(await seen.all(SESSIONS)));
    }
    seconds.sort((a, b) => a - b);

    const scale = 1000 / SESSIONS;
    const lookCpu = watching.cpuSeconds - idle.cpuSeconds;
    const quiet = (lookCpu / MEASURED_SECONDS) * 3 * EVERY_SECONDS;
    const beatCpu = Math.max(0, beat.cpuSeconds - (idle.cpuSeconds / MEASURED_SECONDS) * 3 * EVERY_SECONDS - quiet);
    return {
      sessions: SESSIONS,
      scaledTo: 1000,
      everySeconds: EVERY_SECONDS,
      idleCpuPercent: (idle.cpuSeconds / MEASURED_SECONDS) * scale * 100,
      watchCpuPercent: (watching.cpuSeconds / MEASURED_SECONDS + beatCpu / HEARTBEAT_SECONDS) * scale * 100,
      watchCpuSecondsAMinute: (watching.cpuSeconds / MEASURED_SECONDS) * 60 * scale,
      microsecondsALook: (lookCpu / ((SESSIONS * MEASURED_SECONDS) / EVERY_SECONDS)) * 1e6,
      millisecondsAHeartbeat: (beatCpu / SESSIONS) * 1000,
      idleMegabytes: idle.megabytes * scale,
      watchMegabytes: watching.megabytes * scale,
      memoryRatio: watching.megabytes / idle.megabytes,
      secondsToSeeMedian: seconds[Math.floor(seconds.length / 2)] ?? Number.NaN,
      secondsToSeeMost: seconds.at(-1) ?? Number.NaN,
    };
  } finally {
    for (const watcher of watchers) watcher.end();
    for (const sftp of connections) sftp.kill();
    await sshd.stop();
  }
}

function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

async function openAll(sshd: TestSshd, connections: SftpConnection[]): Promise<void> {
  const target = { ...sshd.target, connectTimeoutSeconds: 120 };
  while (connections.length < SESSIONS) {
    const some = Array.from({ length: LOGINS_AT_ONCE }, () => SftpConnection.open(target));
    connections.push(...(await Promise.all(some)));
  }
}

/** Collects when the watchers saw something new. */
class Seen {
  #times: number[] = [];
  #since = performance.now();

  reset(): void {
    this.#times = [];
    this.#since = performance.now();
  }

  note(): void {
    this.#times.push((performance.now() - this.#since) / 1000);
  }

  /** Waits for so many. @returns seconds from the reset, of each */
  async all(count: number): Promise<readonly number[]> {
    while (this.#times.length < count) await pause(50);
    return this.#times;
  }
}

function startWatcher(sftp: SftpConnection, folder: string, seen: Seen): Watcher {
  const paths = { head: join(folder, "ledger/head"), signers: "", entries: "", mail: join(folder, "mail"), del: "" };
  const watcher = new Watcher({
    connect: () => Promise.resolve(sftp),
    looker: new Looker(paths),
    round: () => {
      seen.note();
      return Promise.resolve(true);
    },
    tell: (event) => {
      if (event.kind === "lost" && !sftp.lost) throw event.error;
    },
    everySeconds: EVERY_SECONDS,
    clock: { now: () => Date.now(), random: () => Math.random(), sleep: pause },
  });
  void watcher.run();
  return watcher;
}

interface Cost {
  /** Of all processes of the server, while it was measured. */
  readonly cpuSeconds: number;
  /** At its end; what processes share is counted once. */
  readonly megabytes: number;
}

async function measure(sshd: TestSshd, seconds: number, work: () => Promise<void>): Promise<Cost> {
  const before = await processesOf(sshd);
  const cpuBefore = await cpuSecondsOf(before);
  await Promise.all([pause(seconds * 1000), work()]);
  const after = await processesOf(sshd);
  if (after.length !== before.length) throw new Error(`${before.length} processes became ${after.length}`);
  const cpuSeconds = (await cpuSecondsOf(after)) - cpuBefore;
  return { cpuSeconds, megabytes: (await kilobytesOf(after)) / 1024 };
}

/** The listener and all that descends from it. */
async function processesOf({ folder }: TestSshd): Promise<number[]> {
  const parents = new Map<number, number>();
  let listener = 0;
  for (const name of await readdir("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const parent = /\) . ([0-9]+)/.exec(stat)?.[1];
    if (parent === undefined) continue;
    parents.set(Number(name), Number(parent));
    const command = await readFile(`/proc/${name}/cmdline`, "latin1").catch(() => "");
    if (command.includes(`${folder}/sshd_config`) && command.includes("-D")) listener = Number(name);
  }
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === listener) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(isOurs);
}

/** In nanoseconds the kernel counts them, not in ticks. */
async function cpuSecondsOf(pids: readonly number[]): Promise<number> {
  let nanoseconds = 0;
  for (const pid of pids) nanoseconds += Number((await readFile(`/proc/${pid}/schedstat`, "utf8")).split(" ")[0]);
  return nanoseconds / 1e9;
}

async function kilobytesOf(pids: readonly number[]): Promise<number> {
  let kilobytes = 0;
  for (const pid of pids) {
    kilobytes += Number(/^Pss: +([0-9]+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  }
  return kilobytes;
}
