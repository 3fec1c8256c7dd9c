import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { parseChain, verifySteps } from "#core/account/chain.ts";
import { toOperator } from "#core/account/feed.ts";
import { parseRecipients } from "#core/recipients.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { Operator } from "./operator.ts";
import { DOMAIN, NOBODY, Programs, until } from "./programs.ts";

const now = Math.floor(Date.now() / 1000);
const operator = new Operator(DOMAIN, now);
const alice = new Owner(DOMAIN, now);
const bob = new Owner(DOMAIN, now);
const programs = new Programs(operator.id, ["keys", "in", "fetch"]);
const keysOf = (role: "fetch" | "keys", name: string): string | null =>
  programs.read(role, `etc/ssh/authorized_keys/${name}`);
const result = (name: string): string | null => programs.read("keys", `srv/${name}/answer/result`);
const isSettled = (): Promise<boolean> => programs.isSettled();

before(async () => {
  await Promise.all([programs.ledger, programs.keys, ...programs.machines.values()].map((program) => program.start()));
});
after(() => programs.stop());

test("records reach every machine and become its files", async () => {
  const codes = await programs.submit(
    { of: "directory", signed: operator.first },
    {
      of: "directory",
      signed: operator.add(
        new Map([
          ["alice", alice],
          ["bob", bob],
        ]),
      ),
    },
    { of: "state", signed: alice.genesis },
    { of: "state", signed: alice.genesis },
  );
  assert.deepEqual(codes, ["ACCEPTED", "ACCEPTED", "ACCEPTED", "ACCEPTED"]);
  await until(isSettled);
  const { byName } = parseRecipients(programs.read("in", "recipients") ?? "");
  assert.deepEqual(byName.get("alice")?.seal, [lineOf(alice.device)]);
  assert.deepEqual(byName.get("bob")?.seal, []);
  assert.equal(keysOf("fetch", "alice"), `restrict ${lineOf(alice.device)}\n`);
  assert.equal(keysOf("fetch", "bob"), null);
  const owners = [lineOf(alice.master), lineOf(alice.recovery)].sort();
  assert.equal(keysOf("keys", "alice"), owners.map((key) => `restrict ${key}\n`).join(""));
  const chain = parseChain(Buffer.from(programs.read("fetch", "srv/alice/account/chain") ?? "", "latin1"));
  assert.equal(verifySteps(chain, DOMAIN, null)?.hash, alice.standing.hash);
  assert.equal(programs.read("keys", "srv/alice/account/chain"), programs.read("fetch", "srv/alice/account/chain"));
  assert.match(
    programs.read("fetch", "etc/passwd") ?? "",
    /^root:.*\nshoal-keys:.*\ndeposit:.*\nmailboxes:.*\nalice:x:20000:20000::\/:\/usr\/sbin\/nologin\nbob:x:20001:/,
  );
  assert.match(programs.read("fetch", "etc/shadow") ?? "", /\nalice:\*:20000:0:99999:7:::\nbob:/);
  const modes = ["", "/mail", "/incoming", "/ledger", "/del", "/account", "/account/chain"].map((path) => {
    const { mode, uid, gid } = lstatSync(programs.path("fetch", `srv/alice${path}`));
    return `${(mode & 0o7777).toString(8)} ${uid} ${gid}`;
  });
  assert.deepEqual(modes, [
    ...["751 0 20000", "1730 20000 900", "1730 0 900", "2750 903 20000", "700 20000 20000"],
    ...["755 0 0", "644 0 0"],
  ]);
  const handIn = ["", "/proposal", "/answer", "/account"].map((path) => {
    const { mode, uid, gid } = lstatSync(programs.path("keys", `srv/alice${path}`));
    return `${(mode & 0o7777).toString(8)} ${uid} ${gid}`;
  });
  assert.deepEqual(handIn, ["755 0 0", `620 ${NOBODY} 20000`, `755 ${NOBODY} ${NOBODY}`, "755 0 0"]);
});

test("a state that its owner hands in is judged, and on every machine within two seconds", async () => {
  const device = makeKey();
  const signed = alice.advance({ devices: [{ auth: true, seal: true, key: lineOf(device) }] });
  const began = performance.now();
  writeFileSync(programs.path("keys", "srv/alice/proposal"), signed);
  await until(() => keysOf("fetch", "alice") === `restrict ${lineOf(device)}\n`);
  await until(() => (programs.read("in", "recipients") ?? "").includes(lineOf(device)));
  await until(
    () => (result("alice") ?? "").includes("ACCEPTED"),
    () => programs.keys.log,
  );
  assert.ok(performance.now() - began < 2000, `${performance.now() - began} ms`);
  assert.match(
    result("alice") ?? "",
    /^shoal-result\/v1\nfile [A-Za-z0-9+/]{43}=\ncode ACCEPTED\nversion 2\ntext version 2 was accepted\n$/,
  );
});

test("what is refused is told, and changes nothing", async () => {
  const before = keysOf("keys", "alice");
  writeFileSync(programs.path("keys", "srv/bob/proposal"), alice.genesis);
  await until(() => (result("bob") ?? "").includes("code ACCOUNT\nversion -\n"));
  writeFileSync(programs.path("keys", "srv/alice/proposal"), "nonsense\n");
  await until(() => (result("alice") ?? "").includes("code STATE\nversion -\n"));
  writeFileSync(programs.path("keys", "srv/alice/proposal"), alice.propose({}, [alice.device]));
  await until(() => (result("alice") ?? "").includes("code SIGNER\nversion 2\n"));
  writeFileSync(programs.path("keys", "srv/bob/proposal"), bob.genesis);
  await until(() => (result("bob") ?? "").includes("code ACCEPTED\nversion 1\n"));
  assert.equal(keysOf("keys", "alice"), before);
});

test("suspended accounts are shut, resumed ones open, removed ones gone", async () => {
  await until(isSettled);
  const open = keysOf("fetch", "bob");
  assert.notEqual(open, "");
  await programs.submit({ of: "directory", signed: operator.record([{ kind: "suspend", name: "bob" }]) });
  await until(isSettled);
  assert.equal(keysOf("fetch", "bob"), "");
  assert.notEqual(keysOf("keys", "bob"), "");
  assert.deepEqual(parseRecipients(programs.read("in", "recipients") ?? "").byName.get("bob")?.seal, []);
  await programs.submit({ of: "directory", signed: operator.record([{ kind: "resume", name: "bob" }]) });
  await until(isSettled);
  assert.equal(keysOf("fetch", "bob"), open);
  await programs.submit({ of: "directory", signed: operator.record([{ kind: "remove", name: "bob" }]) });
  await until(isSettled);
  assert.equal(keysOf("fetch", "bob"), null);
  assert.equal(keysOf("keys", "bob"), null);
  assert.equal(existsSync(programs.path("keys", "srv/bob")), false);
  assert.equal(existsSync(programs.path("fetch", "srv/bob/mail")), true);
  assert.ok(!(programs.read("in", "recipients") ?? "").includes("bob"));
  assert.ok(!(programs.read("keys", "etc/shadow") ?? "").includes("bob"));
  assert.deepEqual(await programs.submit({ of: "state", signed: bob.genesis }), ["ACCOUNT-REMOVED"]);
});

test("the operator's commands", async () => {
  const frames = [{ kind: "submit", of: "state", signed: alice.genesis } as const];
  const refused = await programs.run("ledger", "submit", { frames });
  assert.equal(refused.status, 1);
  assert.match(refused.stdout.toString(), /^shoal-feed\/v1\nanswer VERSION .*\n$/);
  const latest = programs.read("fetch", "srv/alice/account/chain") ?? "";
  const signed = parseChain(Buffer.from(latest, "latin1")).at(-1)?.signed ?? Buffer.alloc(0);
  const repeated = await programs.run("ledger", "submit", { frames: [{ kind: "submit", of: "state", signed }] });
  assert.equal(repeated.status, 0);
  const status = await programs.run("ledger", "status");
  assert.match(status.stdout.toString(), /^\{"directory":5,.*\}\n$/);
});

test("every store dumps the same records, and a ledger is made of one again", async () => {
  const { stdout } = await programs.run("ledger", "dump");
  for (const role of ["keys", "in", "fetch"] as const) {
    assert.ok((await programs.run("accept", "dump", { role })).stdout.equals(stdout), role);
  }
  const frames = toOperator().push(stdout);
  assert.equal(frames.at(-1)?.kind, "end");
  assert.equal(frames.length, 5 + 2 + 1);
  // Only into an empty store, and not under a ledger that runs.
  assert.equal((await programs.run("ledger", "restore", { frames })).status, 75);
  await programs.ledger.kill();
  assert.equal((await programs.run("ledger", "restore", { frames })).status, 64);
  rmSync(programs.path("ledger", "accounts.db"));
  assert.equal((await programs.run("ledger", "restore", { frames: frames.slice(0, -1) })).status, 65);
  assert.equal((await programs.run("ledger", "restore", { frames })).status, 0);
  await programs.ledger.start();
  await until(isSettled);
  assert.ok((await programs.run("ledger", "dump")).stdout.equals(stdout));
});

test("no file is left behind beside those that were replaced", () => {
  for (const folder of ["etc", "etc/ssh/authorized_keys", "srv/alice", "srv/alice/account"]) {
    const left = readdirSync(programs.path("keys", folder)).filter((name) => name.startsWith("."));
    assert.deepEqual(left, [], folder);
  }
});
