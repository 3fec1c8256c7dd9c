/** What a taken ledger says to a machine: the machine keeps what it has verified, and goes on. */

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { type AcceptFrame, fromAccept, type LedgerFrame } from "#core/account/feed.ts";
import type { FeedConnection } from "#host/feed-connection.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { Operator } from "./operator.ts";
import { DOMAIN, Programs, until } from "./programs.ts";

const now = Math.floor(Date.now() / 1000);
const operator = new Operator(DOMAIN, now);
const alice = new Owner(DOMAIN, now);
const bob = new Owner(DOMAIN, now);
const programs = new Programs(operator.id, ["fetch"]);
const fetch = programs.machines.get("fetch") ?? assert.fail();
const keysOf = (name: string): string | null => programs.read("fetch", `etc/ssh/authorized_keys/${name}`);
const state = (signed: Buffer, accepted = now): LedgerFrame => ({ kind: "record", of: "state", accepted, signed });
const directory = (signed: Buffer): LedgerFrame => ({ kind: "record", of: "directory", accepted: now, signed });

async function connected(): Promise<{ line: FeedConnection<AcceptFrame>; haves: AcceptFrame[] }> {
  const line = await programs.connect("fetch", fromAccept());
  const haves: AcceptFrame[] = [];
  while (haves.at(-1)?.kind !== "ready") haves.push(...((await line.next()) ?? assert.fail("ended")));
  return { line, haves };
}

/** Says frames on a connection of their own; gives the answers: `took`, or the code. */
async function says(...frames: LedgerFrame[]): Promise<string[]> {
  const { line } = await connected();
  await line.send(...frames);
  const answers: AcceptFrame[] = [];
  while (answers.length < frames.length) answers.push(...((await line.next()) ?? assert.fail("ended")));
  line.close();
  return answers.map((answer) => (answer.kind === "refused" ? answer.code : answer.kind));
}

before(() => fetch.start());
after(() => programs.stop());

test("takes what verifies", async () => {
  const added = operator.add(
    new Map([
      ["alice", alice],
      ["bob", bob],
    ]),
  );
  const frames = [directory(operator.first), directory(added), state(alice.genesis), state(alice.genesis)];
  assert.deepEqual(await says(...frames), ["took", "took", "took", "took"]);
  assert.equal(keysOf("alice"), `restrict ${lineOf(alice.device)}\n`);
});

test("refuses what does not, and changes nothing", async () => {
  const before = keysOf("alice");
  const thief = makeKey();
  const devices = [{ auth: true, seal: true, key: lineOf(thief) }];
  const stranger = new Operator(DOMAIN, now);
  const noise = Buffer.from(alice.propose({ devices }));
  noise[noise.length - 60] = (noise[noise.length - 60] ?? 0) ^ 1;
  const codes = await says(
    state(alice.propose({ devices }, [thief])),
    state(alice.propose({ version: 7, devices })),
    state(alice.propose({ devices }), now - 1),
    state(alice.propose({ devices }), now + 100_000),
    state(new Owner(DOMAIN, now).genesis),
    state(new Owner("example.net", now).genesis),
    state(Buffer.from(alice.propose({ devices }).toString("latin1").replace("\nmaster ", "\nmaster  "), "latin1")),
    directory(stranger.first),
    directory(
      Buffer.from(
        stranger
          .record([{ kind: "remove", name: "alice" }])
          .toString("latin1")
          .replace("version 2", "version 3"),
        "latin1",
      ),
    ),
  );
  const expected = [
    "SIGNER",
    "VERSION",
    "TIME",
    "CLOCK",
    "ACCOUNT-UNKNOWN",
    "ACCOUNT-UNKNOWN",
    "KEY",
    "VERSION",
    "PREV",
  ];
  assert.deepEqual(codes, expected);
  assert.match((await says(state(noise)))[0] ?? "", /^(SIGNATURE|SSHSIG|SIGNED)$/);
  assert.equal(keysOf("alice"), before);
});

test("nonsense ends the connection, and nothing else", async () => {
  for (const bytes of ["state 1 99999999\n", "\n", "state 1 5\nabcde", "x".repeat(5000), "GET / HTTP/1.1\r\n\r\n"]) {
    const raw = await programs.raw("fetch");
    raw.write(`shoal-feed/v1\n${bytes}`);
    await new Promise((resolve) => raw.once("close", resolve).resume());
  }
  const { line, haves } = await connected();
  assert.equal(haves.length, 3);
  line.close();
});

test("a flood of refused records takes neither the memory nor the log", async () => {
  const { line } = await connected();
  const bad = state(alice.propose({ version: 9 }));
  let answers = 0;
  const reading = (async () => {
    for (let frames = await line.next(); frames !== null; frames = await line.next()) answers += frames.length;
  })();
  const end = performance.now() + 1500;
  while (performance.now() < end) await line.send(bad, bad, bad, bad, bad, bad, bad, bad);
  line.close();
  await reading;
  assert.ok(answers > 100);
  assert.ok(fetch.log.length < 40_000, "the log is bounded");
  const rss = Number(/VmRSS:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${fetch.pid}/status`, "latin1"))?.[1]);
  assert.ok(rss < 400_000, `${rss} kB`);
  assert.deepEqual(await says(state(bob.genesis)), ["took"]);
});

test("a newer connection takes the place of one that hangs", async () => {
  const hanging = await connected();
  const { line } = await connected();
  await until(async () => (await hanging.line.next(10).catch(() => null)) === null);
  line.close();
});

test("an account that moves away loses its login and keeps its mail", async () => {
  const moved = operator.record([{ kind: "set", name: "bob", quotaBytes: 1000, fetch: 2 }]);
  assert.notEqual(keysOf("bob"), null);
  assert.deepEqual(await says(directory(moved)), ["took"]);
  assert.equal(keysOf("bob"), null);
  assert.ok(!(programs.read("fetch", "etc/passwd") ?? "").includes("bob"));
  assert.ok(existsSync(programs.path("fetch", "srv/bob/mail")));
});

test("files that were changed behind its back are right again after a start; the machine's own stay", async () => {
  await fetch.kill();
  const passwd = programs.read("fetch", "etc/passwd") ?? "";
  writeFileSync(
    programs.path("fetch", "etc/passwd"),
    `${passwd}intruder:x:20077:20077::/:/bin/sh\nlate:x:905:905::/:/bin/sh\n`,
  );
  const folder = "etc/ssh/authorized_keys";
  for (const name of ["alice", "intruder", "late", "deposit"]) {
    writeFileSync(programs.path("fetch", `${folder}/${name}`), "restrict ssh-ed25519 AAAA\n");
  }
  writeFileSync(programs.path("fetch", "srv/alice/account/chain"), "");
  await fetch.start();
  assert.equal(keysOf("alice"), `restrict ${lineOf(alice.device)}\n`);
  assert.equal(keysOf("intruder"), null);
  assert.equal(keysOf("late"), "restrict ssh-ed25519 AAAA\n");
  assert.equal(keysOf("deposit"), "restrict ssh-ed25519 AAAA\n");
  assert.ok(!(programs.read("fetch", "etc/passwd") ?? "").includes("intruder"));
  assert.ok((programs.read("fetch", "etc/passwd") ?? "").includes("late"));
  assert.match(programs.read("fetch", "srv/alice/account/chain") ?? "", /^accepted /);
});

test("a damaged store is set aside, the files stay, and the ledger fills it again", async () => {
  await fetch.kill();
  rmSync(programs.path("fetch", "accounts.db-wal"));
  writeFileSync(programs.path("fetch", "accounts.db"), "x".repeat(10_000));
  await fetch.start();
  assert.match(fetch.log, /is damaged.*everything is asked for anew/);
  assert.equal(keysOf("alice"), `restrict ${lineOf(alice.device)}\n`);
  const { line, haves } = await connected();
  line.close();
  assert.deepEqual(haves[0], { kind: "have", account: null, version: 0, hash: null });
  assert.ok(existsSync(programs.path("fetch", "accounts.db.damaged")));
  assert.deepEqual(await says(directory(operator.first)), ["took"]);
});
