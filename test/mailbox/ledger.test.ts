/** The ledger's mailboxes with a real sshd: what is told when, who may sign, and what a lost store may not do. */

import assert from "node:assert/strict";
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withNewSigner } from "#core/mailbox/signers.ts";
import { NOBODY, until } from "#test/accounts/programs.ts";
import { makeKey } from "#test/owner.ts";
import { childrenOf } from "./children.ts";
import { LedgerMachine, type LedgerMachineOptions } from "./ledger-machine.ts";

async function withLedger(
  options: LedgerMachineOptions,
  run: (machine: LedgerMachine) => Promise<void>,
): Promise<void> {
  const machine = await LedgerMachine.start(options);
  try {
    await run(machine);
  } finally {
    await machine.stop();
  }
}

/** Waits until a mailbox shows so many entries, and nothing is wrong with it. */
async function untilShown(machine: LedgerMachine, name: string, last: number): Promise<void> {
  await until(
    () => machine.audit(name).head?.last.seq === last,
    () => JSON.stringify(machine.audit(name).findings) + machine.program.log,
  );
  assert.deepEqual(machine.audit(name).findings, []);
}

test("a delivery is known, durable, shown and genuine; the same digest is the same entry", async () => {
  await withLedger({}, async (machine) => {
    const courier = machine.courier();
    await untilShown(machine, "alice", 0);
    const mail = machine.deposit("alice");
    const { account, digest } = mail;
    assert.equal((await courier.ask({ kind: "known", account, digest })).kind, "lack");
    const answers = await Promise.all([1, 2, 3].map(() => courier.append(mail)));
    assert.deepEqual(answers, [1, 1, 1]);
    assert.deepEqual(await courier.ask({ kind: "known", account, digest }), { kind: "have", tag: 5, seq: 1 });
    await untilShown(machine, "alice", 1);
    assert.equal(await courier.append(machine.deposit("alice")), 2);
    await untilShown(machine, "alice", 2);
    assert.equal(machine.audit("alice").mayOpen.length, 2);
    await untilShown(machine, "bob", 0);
    const other = await courier.ask({ kind: "known", account: machine.owner("bob").id, digest });
    assert.equal(other.kind, "lack", "mailboxes know nothing of each other");
    const unknown = await courier.ask({ kind: "append", ...mail, account: "AAAAAAAAAAAAAAAAAAAAAA" });
    assert.ok(unknown.kind === "refused" && unknown.code === "UNKNOWN-ACCOUNT", JSON.stringify(unknown));
    const { mailboxes, lost, machines, signer } = await machine.status();
    assert.deepEqual([mailboxes, lost, machines[0]?.connected], [2, [], true]);
    assert.ok((signer.listedUntil ?? 0) > Date.now() / 1000);
  });
});

test("no head before the operator has listed the key, and none but by the operator's word", async () => {
  await withLedger({ certified: false }, async (machine) => {
    await machine.program.start();
    const courier = machine.courier();
    assert.equal(await courier.append(machine.deposit("alice")), 1, "what comes is kept meanwhile");
    await sleep(300);
    assert.equal(existsSync(machine.path("alice", "ledger/head")), false);
    const { publicKey, listedUntil, list } = await machine.signer();
    assert.deepEqual([listedUntil, list], [null, null]);
    const now = Math.floor(Date.now() / 1000);
    const added = { domain: "example.org", key: publicKey, now, validForSeconds: 86_400 };
    const refused = async (signed: Buffer, code: string): Promise<void> => {
      const { status, stdout } = await machine.run("certify", signed);
      assert.deepEqual([status, stdout.split(" ")[0]], [1, code]);
    };
    await refused(machine.sign(withNewSigner(null, added, 0), makeKey()), "SIGNER");
    const foreign = { ...added, key: makeKey().publicKey.line };
    await refused(machine.sign(withNewSigner(null, foreign, 0)), "SIGNER");
    await refused(machine.sign(withNewSigner(null, { ...added, validForSeconds: 60 }, 0)), "SIGNER");
    await refused(Buffer.from("nonsense"), "SIGNER");
    const list1 = await machine.certify();
    await untilShown(machine, "alice", 1);
    await refused(machine.sign(withNewSigner(null, added, 0)), "STATUS");
    // The next list reaches readers before a head that needs it.
    const list2 = await machine.certify(list1);
    await until(
      () => readFileSync(machine.path("bob", "ledger/signers")).includes(`# time ${list2.time}`),
      () => "",
    );
    await machine.program.kill();
    await machine.program.start();
    assert.equal((await machine.signer()).publicKey, publicKey, "the key outlives the program");
    assert.ok(((await machine.signer()).listedUntil ?? 0) > now);
  });
});

test("a folder that is missing, changed or put back to an older state is written anew", async () => {
  await withLedger({ heartbeatSeconds: 2 }, async (machine) => {
    const courier = machine.courier();
    for (let mails = 0; mails < 3; mails++) await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 3);
    const file = (name: string): string => machine.path("alice", `ledger/${name}`);
    const old = (name: string): string => join(machine.folder, `old-${name}`);
    for (const name of ["head", "entries", "signers"]) copyFileSync(file(name), old(name));
    await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 4);
    // Somebody puts a backup of the machine in place while the connection stands.
    for (const name of ["head", "entries"]) copyFileSync(old(name), file(name));
    await untilShown(machine, "alice", 4);
    rmSync(machine.path("alice", "ledger"), { recursive: true });
    await sleep(200);
    const seq = courier.append(machine.deposit("alice"));
    assert.equal(await seq, 5, "what is durable here does not wait for the other machine");
    await until(
      async () => ((await machine.status()).machines[0]?.failed ?? 0) === 1,
      () => "",
    );
    machine.addFolders("alice");
    await untilShown(machine, "alice", 5);
    writeFileSync(file(".head.00c0ffee"), "what a dead connection left");
    await machine.program.kill();
    await machine.program.start();
    await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 6);
    assert.equal(existsSync(file(".head.00c0ffee")), false);
  });
});

test("heads come in time where nothing happens, and stand still when the clock goes back", async () => {
  await withLedger({ heartbeatSeconds: 2 }, async (machine) => {
    const timeOf = (name: string): number => machine.audit(name).head?.time ?? 0;
    await untilShown(machine, "alice", 0);
    const first = timeOf("alice");
    await until(
      () => timeOf("alice") > first + 2 && timeOf("bob") > first + 2,
      () => machine.program.log,
    );
    const { memory } = machine.audit("alice");
    machine.shiftClock(-3000);
    const before = timeOf("alice");
    const courier = machine.courier();
    await courier.append(machine.deposit("alice"));
    await until(
      () => machine.audit("alice").head?.last.seq === 1,
      () => "",
    );
    await machine.program.kill();
    await machine.program.start();
    await courier.append(machine.deposit("alice"));
    await until(
      () => machine.audit("alice").head?.last.seq === 2,
      () => "",
    );
    assert.ok(timeOf("alice") >= before);
    const { findings } = machine.audit("alice", memory);
    assert.deepEqual(
      findings.filter(({ code }) => code !== "STALE"),
      [],
    );
    machine.shiftClock(0);
    await until(
      () => timeOf("alice") > before + 1,
      () => "",
    );
    assert.deepEqual(machine.audit("alice", memory).findings, []);
  });
});

test("a machine that is stuck, away or full holds up no answer, and gets all of it later", async () => {
  await withLedger({ heartbeatSeconds: 2, fetchKiB: 400 }, async (machine) => {
    const courier = machine.courier();
    await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 1);
    const [ssh] = childrenOf(machine.program.pid);
    assert.ok(ssh !== undefined);
    process.kill(ssh, "SIGSTOP");
    for (let seq = 2; seq < 10; seq++) assert.equal(await courier.append(machine.deposit("alice")), seq);
    assert.equal(machine.audit("alice").head?.last.seq, 1);
    process.kill(ssh, "SIGCONT");
    await untilShown(machine, "alice", 9);
    // Nothing can be written any more; what is there stays whole.
    const full = machine.path("bob", "mail/full");
    const filler = openSync(full, "w");
    assert.throws(() => {
      for (;;) writeSync(filler, Buffer.alloc(4096));
    }, /ENOSPC/);
    closeSync(filler);
    const lost = machine.deposit("alice", Buffer.alloc(0));
    assert.equal(await courier.append({ ...lost, size: 1 }), 10);
    await until(
      async () => ((await machine.status()).machines[0]?.failed ?? 0) > 0,
      () => machine.program.log,
    );
    const { head } = machine.audit("alice");
    assert.equal(head?.last.seq, 9, "the head that was there is there");
    assert.match(machine.program.log, /can't write|can't open/);
    await machine.program.kill();
    await machine.program.start();
    assert.equal(machine.audit("alice").head?.last.seq, 9);
    rmSync(full);
    rmSync(machine.path("alice", `mail/${lost.digest}.age`));
    const size = machine.deposit("alice", Buffer.from("x"));
    assert.equal(await courier.append(size), 11);
    await until(
      () => machine.audit("alice").head?.last.seq === 11,
      () => machine.program.log,
    );
    const findings = machine.audit("alice").findings.map(({ code, seq }) => [code, seq]);
    assert.deepEqual(findings, [["MISSING", 10]], "the mail that this test took away, and nothing else");
  });
});

test("a ledger that has lost its store, or has an old one, begins no other history", async () => {
  await withLedger({}, async (machine) => {
    const courier = machine.courier();
    const store = join(machine.folder, "mailboxes.db");
    const files = ["", "-wal", "-shm"].map((end) => store + end);
    await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 1);
    await machine.program.kill();
    const copies = files.filter(existsSync).map((file) => [file, `${file}.old`] as const);
    for (const [file, copy] of copies) copyFileSync(file, copy);
    await machine.program.start();
    await courier.append(machine.deposit("alice"));
    await untilShown(machine, "alice", 2);
    await untilShown(machine, "bob", 0);
    const { memory } = machine.audit("alice");
    const mail = machine.deposit("alice");
    const refusedBy = async (how: string): Promise<void> => {
      await machine.program.start();
      const answer = await courier.ask({ kind: "append", ...mail });
      assert.ok(answer.kind === "refused" && answer.code === "LOST", `${how}: ${JSON.stringify(answer)}`);
      const { lost, lostCount } = await machine.status();
      assert.deepEqual([lost.includes(mail.account), lostCount > 0], [true, true]);
      await sleep(300);
      assert.equal(machine.audit("alice", memory).head?.last.seq, 2, how);
      assert.deepEqual(machine.audit("alice", memory).findings, [], how);
      await machine.program.kill();
    };
    await machine.program.kill();
    for (const file of files) rmSync(file, { force: true });
    for (const [file, copy] of copies) {
      copyFileSync(copy, file);
      chownSync(file, NOBODY, NOBODY);
    }
    await refusedBy("an old copy");
    for (const file of files) rmSync(file, { force: true });
    await refusedBy("nothing");
    // The operator has it taken from the machine, as readers would verify it, and it goes on from there.
    await machine.program.start();
    await machine.certify();
    await until(
      async () => (await machine.status()).lostCount === 2,
      () => machine.program.log,
    );
    const { status, stdout } = await machine.run("adopt");
    assert.equal(status, 0, stdout);
    assert.equal(await courier.append(mail), 3);
    await untilShown(machine, "alice", 3);
    assert.deepEqual(machine.audit("alice", memory).findings, []);
    await untilShown(machine, "bob", 0);
    assert.equal((await machine.status()).lostCount, 0);
  });
});
