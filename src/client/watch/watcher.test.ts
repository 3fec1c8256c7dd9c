import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, HostError } from "#core/errors.ts";
import { SftpStatusError, STATUS } from "#host/sftp.ts";
import { Looker, type LookingSftp, type Sight } from "./look.ts";
import { ROUND_SECONDS, type WatchClock, type WatchEvent, Watcher } from "./watcher.ts";

const PATHS = { head: "/ledger/head", signers: "", entries: "", mail: "/mail", del: "" };

/** A server's folder, and what is asked of it. */
class Server implements LookingSftp {
  readonly asked: string[] = [];
  head: { text: string; mtime: number } | null = { text: headOf(1, "a", 100), mtime: 7 };
  folderTime = 1;

  async lstat(path: string): Promise<{ size: number; mtimeSeconds: number }> {
    this.asked.push(`lstat ${path}`);
    if (path === "/mail") return { size: 0, mtimeSeconds: this.folderTime };
    if (this.head === null) throw new SftpStatusError(STATUS.noSuchFile, "no head");
    return { size: this.head.text.length, mtimeSeconds: this.head.mtime };
  }

  async readFile(path: string): Promise<Buffer> {
    this.asked.push(`read ${path}`);
    return Buffer.from(this.head?.text ?? "");
  }
}

function headOf(last: number, hash: string, time: number): string {
  return `shoal-mailbox-head/v1\nlast ${last} ${hash}\nbase 0 x\nstate 1 y 5\ntime ${time}\nnext ${time + 300}\n`;
}

describe("a look", () => {
  test("is one request while nothing changes", async () => {
    const server = new Server();
    const looker = new Looker(PATHS);
    const { news } = await looker.look(server);
    await looker.look(server);
    server.asked.length = 0;
    for (let count = 0; count < 5; count++) assert.equal((await looker.look(server)).news, news);
    assert.deepEqual(
      server.asked,
      Array.from({ length: 5 }, () => "lstat /ledger/head"),
    );
  });

  test("tells deliveries and states from heartbeats", async () => {
    const server = new Server();
    const looker = new Looker(PATHS);
    const { news } = await looker.look(server);
    server.head = { text: headOf(1, "a", 400), mtime: 8 };
    const beat = await looker.look(server);
    assert.equal(beat.news, news);
    assert.equal(beat.next, 700);
    server.head = { text: headOf(2, "b", 400), mtime: 9 };
    assert.notEqual((await looker.look(server)).news, news);
  });

  test("a head that can't be read is news for a round, and so is its return", async () => {
    const server = new Server();
    const looker = new Looker(PATHS);
    const { news } = await looker.look(server);
    const refusals: Partial<Server>[] = [
      { lstat: () => Promise.reject(new SftpStatusError(STATUS.permissionDenied, "not permitted")) },
      { readFile: () => Promise.reject(new FormatError("TOO-LARGE", "too large")) },
    ];
    server.head = { text: headOf(1, "a", 100), mtime: 9 };
    for (const refusal of refusals) {
      Object.assign(server, refusal);
      const unreadable = await looker.look(server);
      assert.notEqual(unreadable.news, news);
      assert.deepEqual(await looker.look(server), unreadable);
      for (const name of Object.keys(refusal)) Reflect.deleteProperty(server, name);
      assert.equal((await looker.look(server)).news, news);
    }
  });

  test("sees a head that came within the same second and is as long", async () => {
    const server = new Server();
    const looker = new Looker(PATHS);
    await looker.look(server);
    server.head = { text: headOf(2, "b", 100), mtime: 8 };
    const { news } = await looker.look(server);
    server.head = { text: headOf(3, "c", 100), mtime: 8 };
    assert.notEqual((await looker.look(server)).news, news);
  });

  test("goes by the folder where there is no ledger", async () => {
    const server = new Server();
    server.head = null;
    const looker = new Looker(PATHS);
    const { news, next } = await looker.look(server);
    assert.equal(next, null);
    assert.equal((await looker.look(server)).news, news);
    server.folderTime = 2;
    assert.notEqual((await looker.look(server)).news, news);
  });
});

/** Plays a watcher through a script: what each look sees, or how it fails; the watcher ends with the script. */
async function play(
  script: readonly (string | Sight | Error | { slept: number } | { pass: number })[],
  rounds: readonly boolean[] = [],
): Promise<{ log: string[]; events: WatchEvent[]; pauses: number[] }> {
  const log: string[] = [];
  const events: WatchEvent[] = [];
  const pauses: number[] = [];
  const steps = [...script];
  const outcomes = [...rounds];
  let [now, slept] = [1_000_000, 0];
  const clock: WatchClock = {
    now: () => now,
    random: () => 0.5,
    async sleep(milliseconds) {
      pauses.push(milliseconds);
      now += milliseconds + slept;
      slept = 0;
    },
  };
  const watcher: Watcher = new Watcher({
    connect: async () => {
      log.push("connect");
      return { lstat: never, readFile: never, kill: () => void log.push("kill") };
    },
    looker: {
      async look() {
        for (;;) {
          const step = steps.shift();
          if (step === undefined) {
            watcher.end();
            return { news: "end", next: null };
          }
          if (step instanceof Error) throw step;
          if (typeof step === "string") return { news: step, next: null };
          if ("news" in step) return step;
          if ("pass" in step) now += step.pass * 1000;
          else slept = step.slept * 1000;
        }
      },
    },
    round: async () => {
      log.push("round");
      return outcomes.shift() ?? true;
    },
    tell: (event) => void events.push(event),
    everySeconds: 5,
    clock,
  });
  await watcher.run();
  return { log: log.slice(0, log.lastIndexOf("round")), events, pauses };
}

async function never(): Promise<never> {
  throw new Error("not asked here");
}

const lost = new HostError("NETWORK", "gone");

describe("a watcher", () => {
  test("has a round done at its start, and for news alone", async () => {
    const { log } = await play(["a", "a", "a", "b", "b"]);
    assert.deepEqual(log, ["connect", "round", "round"]);
  });

  test("has a round done each hour, whatever is seen", async () => {
    const { log } = await play(["a", "a", { pass: ROUND_SECONDS }, "a", "a"]);
    assert.deepEqual(log, ["connect", "round", "round"]);
  });

  test("has a round done that failed, and not at once", async () => {
    const { log, pauses } = await play(["a", "a", "a", "a", "a", "a"], [false]);
    assert.deepEqual(log, ["connect", "round", "round"]);
    assert.ok(pauses.slice(0, 4).reduce((sum, each) => sum + each, 0) >= 20_000);
  });

  test("has a late head told once", async () => {
    const sight = { news: "a", next: 1000 };
    const { log } = await play([sight, sight, { pass: 900 }, sight, sight, sight]);
    assert.deepEqual(log, ["connect", "round", "round"]);
  });

  test("comes back with longer and longer pauses, and without a round where nothing is new", async () => {
    const { log, events } = await play(["a", lost, lost, lost, lost, lost, lost, lost, lost, "a", "a"]);
    assert.deepEqual(
      log.filter((what) => what === "round"),
      ["round"],
    );
    const waits = events.flatMap((event) => (event.kind === "lost" ? [event.againInSeconds] : []));
    assert.deepEqual(waits, [2, 3, 5, 10, 20, 40, 75, 75]);
    assert.equal(log.filter((what) => what === "connect").length, 9);
    assert.equal(log.filter((what) => what === "kill").length, 8, "no connection is left behind");
  });

  test("connects anew at once when the computer has slept", async () => {
    const { log, events } = await play(["a", { slept: 3600 }, "a", "b", "b"]);
    assert.equal(log.filter((what) => what === "connect").length, 2);
    const waits = events.flatMap((event) => (event.kind === "lost" ? [event.againInSeconds] : []));
    assert.deepEqual(waits, [0]);
    assert.ok(log.filter((what) => what === "round").length >= 1);
  });
});
