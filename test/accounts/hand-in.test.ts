/** What users can do to shoal-keys with the one file that they can write, and what a ledger that is away or taken can. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type AnswerFrame, fromKeys, type KeysFrame, type ProposalFrame } from "#core/account/feed.ts";
import type { FeedConnection } from "#host/feed-connection.ts";
import { Owner } from "#test/owner.ts";
import { DOMAIN, NOBODY, Programs, until } from "./programs.ts";

const now = Math.floor(Date.now() / 1000);
const alice = new Owner(DOMAIN, now);
const programs = new Programs("AAAAAAAAAAAAAAAAAAAAAA", ["keys"]);
const path = (name: string, file = "proposal"): string => programs.path("keys", `srv/${name}/${file}`);
const result = (name: string): string => programs.read("keys", `srv/${name}/answer/result`) ?? "";
const code = (name: string): string => /\ncode (\S+)\n/.exec(result(name))?.[1] ?? "";
const hash = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("base64");

function makeAccount(name: string): void {
  mkdirSync(path(name, "answer"), { recursive: true });
  chownSync(path(name, "answer"), NOBODY, NOBODY);
  writeFileSync(path(name), "");
  chownSync(path(name), NOBODY, NOBODY);
  chmodSync(path(name), 0o620);
}

/** A ledger that answers everything with a code, or as told. */
async function ledger(
  answer: (proposal: ProposalFrame) => Partial<AnswerFrame> | null,
): Promise<{ line: FeedConnection<KeysFrame>; asked: ProposalFrame[] }> {
  const line = await programs.connect("keys", fromKeys(), "keys");
  const asked: ProposalFrame[] = [];
  void (async () => {
    for (let frames = await line.next(); frames !== null; frames = await line.next()) {
      for (const frame of frames) {
        if (frame.kind !== "proposal") continue;
        asked.push(frame);
        const said = answer(frame);
        const { number } = frame;
        if (said !== null)
          await line.send({ kind: "answer", number, code: "ACCEPTED", version: 1, text: "yes", ...said });
      }
    }
  })().catch(() => {});
  return { line, asked };
}

before(async () => {
  for (const name of ["alice", "bob", "pipe", "link", "folder"]) makeAccount(name);
  rmSync(path("pipe"));
  execFileSync("mkfifo", ["-m", "666", path("pipe")]);
  rmSync(path("link"));
  writeFileSync(programs.path("keys", "secret"), alice.genesis);
  symlinkSync(programs.path("keys", "secret"), path("link"));
  rmSync(path("folder"));
  mkdirSync(path("folder"));
  await programs.keys.start();
});
after(() => programs.stop());

test("without a ledger the answer is PENDING within two seconds, and comes when it does", async () => {
  const began = performance.now();
  writeFileSync(path("alice"), alice.genesis);
  await until(() => code("alice") === "PENDING");
  assert.ok(performance.now() - began < 2000);
  assert.ok(result("alice").includes(`\nfile ${hash(alice.genesis)}\n`));
  const { line, asked } = await ledger(() => ({}));
  await until(() => code("alice") === "ACCEPTED");
  assert.equal(asked.length, 1);
  assert.ok(asked[0]?.signed.equals(alice.genesis));
  line.close();
});

test("a ledger that goes before it answers is asked again when it is back", async () => {
  const silent = await ledger(() => null);
  appendFileSync(path("alice"), "");
  writeFileSync(path("alice"), alice.genesis);
  await until(() => silent.asked.length === 1);
  await until(() => code("alice") === "PENDING");
  silent.line.close();
  const { line } = await ledger(() => ({ code: "PACE", version: 3, text: "later" }));
  await until(() => result("alice").endsWith("\ncode PACE\nversion 3\ntext later\n"));
  line.close();
});

test("a ledger that lies in the wire loses its connection, and is asked again", async () => {
  const liar = await ledger(({ number }) => ({ number: number + 1 }));
  writeFileSync(path("alice"), alice.genesis);
  await until(
    async () =>
      (await liar.line.send().then(
        () => false,
        () => true,
      )) || (await sleep(20), false),
  );
  const { line } = await ledger(() => ({}));
  await until(() => code("alice") === "ACCEPTED");
  line.close();
});

test("half an upload waits for its other half", async () => {
  const { line, asked } = await ledger(() => ({}));
  writeFileSync(path("bob"), alice.genesis.subarray(0, 40));
  for (let at = 40; at < alice.genesis.length; at += 300) {
    await sleep(60);
    appendFileSync(path("bob"), alice.genesis.subarray(at, at + 300));
  }
  await until(() => code("bob") === "ACCEPTED");
  assert.equal(asked.length, 1);
  line.close();
});

test("what is not a state is refused here: the ledger never sees it", async () => {
  const { line, asked } = await ledger(() => ({}));
  for (const [bytes, expected] of [
    ["x\n", "STATE"],
    [alice.genesis.subarray(0, -1), "SIGNED"],
    [Buffer.alloc(230_000, "a\n"), "TOO-LARGE"],
    [Buffer.from([0, 255, 10]), "STATE"],
  ] as const) {
    writeFileSync(path("bob"), bytes);
    await until(
      () => code("bob") === expected,
      () => result("bob"),
    );
    assert.ok(/^[\x20-\x7e\n]+$/.test(result("bob")));
  }
  assert.equal(asked.length, 0);
  // Larger than any state, and than memory: told without reading it.
  truncateSync(path("bob"), 40_000_000_000);
  await until(() => result("bob").startsWith("shoal-result/v1\nfile -\ncode TOO-LARGE\n"));
  truncateSync(path("bob"), 0);
  line.close();
});

test("pipes, links and folders in the file's place are left alone", async () => {
  await sleep(500);
  for (const name of ["pipe", "link", "folder"]) assert.equal(result(name), "");
});

test("what is replaced while it is judged: the answer names what it is of, and the newest is judged", async () => {
  let isHolding = true;
  const { line, asked } = await ledger(() => (isHolding ? null : {}));
  const second = alice.propose({});
  writeFileSync(path("alice"), alice.genesis);
  await until(() => asked.length === 1);
  isHolding = false;
  writeFileSync(path("alice"), second);
  await until(() => result("alice").includes(`\nfile ${hash(second)}\ncode ACCEPTED\n`));
  assert.equal(asked.length, 2);
  line.close();
});

test("a flood of one account is judged once a second and delays nobody", async () => {
  const { line, asked } = await ledger(() => ({}));
  const over = new AbortController();
  const flood = (async () => {
    for (let index = 0; !over.signal.aborted; index++) {
      writeFileSync(path("alice"), index % 2 === 0 ? alice.genesis : alice.propose({}));
      await sleep(index % 20 === 0 ? 350 : 5);
    }
  })();
  await sleep(400);
  makeAccount("carol");
  const began = performance.now();
  await sleep(100);
  writeFileSync(path("carol"), alice.genesis);
  await until(() => code("carol") === "ACCEPTED");
  assert.ok(performance.now() - began < 2000);
  await sleep(1500);
  over.abort();
  await flood;
  const floods = asked.filter(({ name }) => name === "alice").length;
  assert.ok(floods <= 5, `${floods} judged`);
  line.close();
});

test("a thousand accounts at once", async () => {
  const names = Array.from({ length: 1000 }, (_, index) => `many${index}`);
  for (const name of names) makeAccount(name);
  const { line, asked } = await ledger(() => ({}));
  await sleep(1000);
  const began = performance.now();
  for (const name of names) writeFileSync(path(name), alice.genesis);
  await until(
    () => names.every((name) => code(name) === "ACCEPTED"),
    () => `${asked.length}`,
  );
  assert.ok(performance.now() - began < 20_000);
  line.close();
});

test("after a start only what was not answered is judged", async () => {
  await programs.keys.kill();
  writeFileSync(path("many7"), alice.propose({}));
  await programs.keys.start();
  const { line, asked } = await ledger(() => ({ code: "PREV" }));
  await until(() => code("many7") === "PREV");
  await sleep(1500);
  assert.deepEqual(
    asked.map(({ name }) => name),
    ["many7"],
  );
  assert.equal(existsSync(path("many7", "answer/.result.new")), false);
  line.close();
});
