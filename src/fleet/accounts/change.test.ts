import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Accounts } from "#core/account/accounts.ts";
import type { RecordFrame } from "#core/account/feed.ts";
import { splitSigned } from "#core/account/signed-text.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { MAX_SIGNERS_BYTES, parseSigners, verifySigners } from "#core/mailbox/signers.ts";
import { certify, certifyWhenDue } from "#fleet/ledger/certify.ts";
import { exec } from "#host/exec.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { addAccounts } from "./add-accounts.ts";
import type { Addition } from "./additions.ts";
import { changeDirectory, changeOperators, type Ledger, type Operator, settle, waitUntilTaken } from "./change.ts";
import { createDirectory } from "./create-directory.ts";
import { describeDirectory } from "./directory-verbs.ts";
import type { Reply, Submission } from "./ledger-machine.ts";
import { OperatorCopy } from "./operator-copy.ts";
import { fingerprintOf, nextOperators } from "./operators.ts";
import { publicLineOf } from "./sign.ts";

const domain = "shoal.example";
const now = 1_800_000_000;
let folder: string;
let fleetFile: string;
let id: string;
let count = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-change-"));
  for (const name of ["operator", "second", "stranger"]) {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, name)]);
  }
});

after(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  fleetFile = join(folder, `fleet${++count}.yaml`);
  id = await createDirectory({ fleetFile, domain, keyFiles: [key("operator"), key("second")], now });
});

function key(name: string): string {
  return join(folder, name);
}

/** Keeps what a ledger would keep, in memory. */
class FakeLedger implements Ledger {
  readonly accounts = new Accounts(domain, id);
  readonly records: RecordFrame[] = [];
  late: string[] = [];
  /** Its own key, and the list that it has. */
  signerKey = lineOf(makeKey());
  list: Buffer | null = null;
  /** Loses the connection before it takes this record. */
  breaksAt = Number.POSITIVE_INFINITY;

  dump(): Promise<RecordFrame[]> {
    return Promise.resolve([...this.records]);
  }

  submit(submissions: readonly Submission[]): Promise<Reply[]> {
    const replies: Reply[] = [];
    for (const { of, signed } of submissions) {
      if (this.records.length === this.breaksAt) return Promise.reject(new TypeError("cut"));
      try {
        if (of === "directory") this.accounts.takeDirectory(signed, now, now);
        else this.accounts.takeState(parseProposal(signed), now, now);
        this.records.push({ kind: "record", of, accepted: now, signed });
        replies.push({ code: "ACCEPTED", text: "taken" });
      } catch (error) {
        if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError))
          throw error;
        replies.push({ code: error.code, text: error.message });
      }
    }
    return Promise.resolve(replies);
  }

  signer(): ReturnType<Ledger["signer"]> {
    const { operators = [] } = this.accounts.directory.latest?.record ?? {};
    const isListed = this.list !== null && isSignedBy(this.list, operators);
    const signers = this.list === null ? [] : parseSigners(splitSigned(this.list, MAX_SIGNERS_BYTES).body).signers;
    const own = isListed ? signers.find((signer) => signer.key === this.signerKey) : undefined;
    return Promise.resolve({ publicKey: this.signerKey, listedUntil: own?.until ?? null, list: this.list });
  }

  certify(signed: Buffer): ReturnType<Ledger["certify"]> {
    const { operators = [] } = this.accounts.directory.latest?.record ?? {};
    if (!isSignedBy(signed, operators)) return Promise.resolve({ code: "SIGNER", text: "no operator" });
    this.list = signed;
    return Promise.resolve({ code: "ACCEPTED", text: "taken" });
  }

  standings(): ReturnType<Ledger["standings"]> {
    return Promise.resolve(this.late.map((machine) => ({ machine, isCurrent: false, why: "not connected" })));
  }
}

function isSignedBy(list: Buffer, operators: readonly string[]): boolean {
  try {
    verifySigners(list, domain, new Set(operators));
    return true;
  } catch (error) {
    if (error instanceof PolicyError) return false;
    throw error;
  }
}

async function operatorWith(ledger: Ledger, keyFile = key("operator")): Promise<Operator> {
  const copy = await OperatorCopy.read(fleetFile, domain, id);
  return { copy, ledger, keyFiles: [keyFile], now: () => now, say: () => undefined };
}

function addition(name: string, owner = new Owner(domain, now)): Addition {
  return { name, genesis: owner.genesis, quotaBytes: 1_000_000, fetch: 1 };
}

test("a directory is begun once; its copy verifies and its first record has the id", async () => {
  const { copy } = await operatorWith(new FakeLedger());
  assert.equal(copy.directory.latest?.record.operators.length, 2);
  await assert.rejects(createDirectory({ fleetFile, domain, keyFiles: [key("operator")], now }), { code: "USAGE" });
  assert.equal((await OperatorCopy.read(fleetFile, domain, id)).records.length, 1);
  await assert.rejects(OperatorCopy.read(fleetFile, "other.example", id), { code: "DOMAIN" });
  await assert.rejects(OperatorCopy.read(fleetFile, domain, "AAAAAAAAAAAAAAAAAAAAAA"), { code: "ACCOUNT" });
});

test("an account is added: its name in the directory, its state at the ledger, either operator's key does", async () => {
  const ledger = new FakeLedger();
  assert.deepEqual(await addAccounts(await operatorWith(ledger), [addition("alice")]), []);
  assert.deepEqual(
    await addAccounts(await operatorWith(ledger, key("second")), [addition("bob"), addition("carol")]),
    [],
  );
  assert.equal(ledger.accounts.directory.latest?.record.version, 3);
  assert.deepEqual([...ledger.accounts.directory.entries.keys()], ["alice", "bob", "carol"]);
  assert.equal(ledger.accounts.standings.size, 3);
  const { copy } = await operatorWith(ledger);
  assert.equal(copy.directory.latest?.hash, ledger.accounts.directory.latest?.hash);
});

test("another key signs nothing, and nothing is kept or sent of it", async () => {
  const ledger = new FakeLedger();
  const operator = await operatorWith(ledger, key("stranger"));
  await assert.rejects(addAccounts(operator, [addition("alice")]), { code: "SIGNER" });
  assert.equal((await operatorWith(ledger)).copy.records.length, 1);
  assert.deepEqual(
    ledger.records.map(({ of }) => of),
    ["directory"],
  );
});

test("what can't be is refused before anything is signed", async () => {
  const ledger = new FakeLedger();
  await addAccounts(await operatorWith(ledger), [addition("alice")]);
  const cases: [Addition[], string][] = [
    [[addition("alice")], "NAME-TAKEN"],
    [[addition("root")], "NAME"],
    [[addition("Alice")], "NAME"],
    [[addition("dave", new Owner("other.example", now))], "DOMAIN"],
    [[addition("dave", new Owner(domain, now + 3600))], "TIME"],
  ];
  const twin = new Owner(domain, now);
  cases.push([[addition("dave", twin), addition("erin", twin)], "ACCOUNT-TAKEN"]);
  const unsigned = Buffer.from(twin.genesis.subarray(0, twin.genesis.indexOf("-----BEGIN")));
  cases.push([[{ ...addition("dave"), genesis: unsigned }], "POSSESSION"]);
  for (const [additions, code] of cases) {
    await assert.rejects(addAccounts(await operatorWith(ledger), additions), { code }, code);
  }
  await assert.rejects(changeDirectory(await operatorWith(ledger), [{ kind: "remove", name: "dave" }]), {
    code: "NAME-UNKNOWN",
  });
  assert.equal(ledger.records.length, 3);
  assert.equal((await operatorWith(ledger)).copy.records.length, 2);
});

test("an addition that was cut short at any record is made good by the same command", async () => {
  for (let breaksAt = 0; breaksAt <= 3; breaksAt++) {
    fleetFile = join(folder, `cut${breaksAt}.yaml`);
    id = await createDirectory({ fleetFile, domain, keyFiles: [key("operator")], now });
    const ledger = new FakeLedger();
    ledger.breaksAt = breaksAt;
    const additions = [addition("alice"), addition("bob")];
    await assert.rejects(addAccounts(await operatorWith(ledger), additions), TypeError);
    ledger.breaksAt = Number.POSITIVE_INFINITY;
    assert.deepEqual(await addAccounts(await operatorWith(ledger), additions), []);
    assert.equal(ledger.accounts.standings.size, 2, `cut at ${breaksAt}`);
    assert.equal(ledger.records.length, 4, "nothing is there twice");
  }
});

test("a ledger that knows less gets it again, and one that knows more tells it", async () => {
  const ledger = new FakeLedger();
  await addAccounts(await operatorWith(ledger), [addition("alice")]);
  const fresh = new FakeLedger();
  await settle(await operatorWith(fresh));
  assert.equal(fresh.accounts.directory.latest?.hash, ledger.accounts.directory.latest?.hash);

  const saved = await readFile(OperatorCopy.pathFor(fleetFile));
  await addAccounts(await operatorWith(ledger), [addition("bob")]);
  await writeFile(OperatorCopy.pathFor(fleetFile), saved);
  const operator = await operatorWith(ledger);
  await settle(operator);
  assert.equal(operator.copy.records.length, 3);
  assert.equal((await operatorWith(ledger)).copy.records.length, 3, "durable");
});

test("a ledger with another record is a fork, and nothing is signed on top of it", async () => {
  const saved = await readFile(OperatorCopy.pathFor(fleetFile));
  const ledger = new FakeLedger();
  await addAccounts(await operatorWith(ledger), [addition("alice")]);
  await writeFile(OperatorCopy.pathFor(fleetFile), saved);
  const other = new FakeLedger();
  await addAccounts(await operatorWith(other), [addition("mallory")]);
  const operator = await operatorWith(ledger);
  await assert.rejects(addAccounts(operator, [addition("bob")]), (error) => {
    return error instanceof VerifyError && error.code === "FORK" && error.message.includes("version 2");
  });
  assert.equal((await operatorWith(ledger)).copy.records.length, 2);
  assert.equal(ledger.records.length, 3);
});

test("a ledger that invents a record is not believed", async () => {
  const ledger = new FakeLedger();
  await addAccounts(await operatorWith(ledger), [addition("alice")]);
  const [, record] = ledger.records;
  assert.ok(record !== undefined);
  const text = record.signed.toString("latin1");
  const invented = text
    .replace("version 2", "version 3")
    .replace(/prev \S+/, `prev ${ledger.accounts.directory.latest?.hash}`);
  ledger.records.splice(2, 0, { ...record, signed: Buffer.from(invented, "latin1") });
  await assert.rejects(settle(await operatorWith(ledger)), { code: "SIGNATURE" });
  assert.equal((await operatorWith(ledger)).copy.records.length, 2);
});

test("machines that do not take it are named when the time is over", async () => {
  const ledger = new FakeLedger();
  assert.deepEqual(await waitUntilTaken(ledger, 5), []);
  ledger.late = ["alpha-in"];
  assert.deepEqual(await waitUntilTaken(ledger, 0.2), ["alpha-in (not connected)"]);
  setTimeout(() => (ledger.late = []), 150);
  assert.deepEqual(await waitUntilTaken(ledger, 5), []);
});

test("what the ledger refuses is told", async () => {
  const ledger = new FakeLedger();
  const owner = new Owner(domain, now);
  await addAccounts(await operatorWith(ledger), [addition("alice", owner)]);
  const operator = await operatorWith(ledger);
  await assert.rejects(changeDirectory(operator, [], [new Owner(domain, now).genesis]), (error) => {
    return error instanceof PolicyError && error.code === "REFUSED" && error.message.includes("ACCOUNT-UNKNOWN");
  });
});

/** Without the first key, with the others of these. */
async function replaceOperator(operator: Operator, removed: string, added: string): Promise<string[]> {
  await settle(operator);
  const before = operator.copy.directory.latest?.record.operators ?? [];
  const fingerprint = fingerprintOf(await publicLineOf(key(removed)));
  return nextOperators(before, [await publicLineOf(key(added))], [fingerprint]);
}

test("a stolen operator key is replaced: the other one and the new one sign, and the old one signs nothing more", async () => {
  const ledger = new FakeLedger();
  await addAccounts(await operatorWith(ledger), [addition("alice")]);
  const operator = { ...(await operatorWith(ledger)), keyFiles: [key("second"), key("stranger")] };
  assert.deepEqual(await changeOperators(operator, await replaceOperator(operator, "operator", "stranger")), []);
  await assert.rejects(addAccounts(await operatorWith(ledger), [addition("bob")]), { code: "SIGNER" });
  await addAccounts(await operatorWith(ledger, key("stranger")), [addition("carol")]);
  assert.equal(ledger.accounts.directory.latest?.record.version, 4);
  const { copy } = await operatorWith(ledger);
  assert.equal(copy.directory.latest?.hash, ledger.accounts.directory.latest?.hash);
  const expected = [await publicLineOf(key("second")), await publicLineOf(key("stranger"))].sort();
  const lines = expected.map((line) => `operator ${fingerprintOf(line)} ${line}\n`).join("");
  assert.equal(
    describeDirectory(copy.directory),
    `directory ${id}\nversion 4\n${lines}active 2\nsuspended 0\nremoved 0\n`,
  );
});

test("operators are changed by an old key and each new one together, or nothing is kept", async () => {
  const agent = process.env["SSH_AUTH_SOCK"];
  delete process.env["SSH_AUTH_SOCK"];
  try {
    const ledger = new FakeLedger();
    for (const keyFiles of [[key("second")], [key("stranger")], []]) {
      const operator = { ...(await operatorWith(ledger)), keyFiles };
      const next = await replaceOperator(operator, "operator", "stranger");
      await assert.rejects(changeOperators(operator, next), { code: "SIGNER" });
    }
    assert.equal((await operatorWith(ledger)).copy.records.length, 1);
    assert.equal(ledger.records.length, 1);
  } finally {
    if (agent !== undefined) process.env["SSH_AUTH_SOCK"] = agent;
  }
});

test("operators that can't be are refused", async () => {
  const [one, two, other] = await Promise.all(
    ["operator", "second", "stranger"].map((name) => publicLineOf(key(name))),
  );
  assert.ok(one !== undefined && two !== undefined && other !== undefined);
  const { stdout } = await exec("ssh-keygen", ["-l", "-f", key("operator")]);
  assert.equal(stdout.toString("utf8").split(" ")[1], fingerprintOf(one));
  assert.deepEqual(nextOperators([one, two], [other], [two, fingerprintOf(one)]), [other]);
  const cases: [string[], string[]][] = [
    [[], [one, two]],
    [[], [other]],
    [[], [one, fingerprintOf(one)]],
    [[one], []],
    [[one], [one]],
    [[other, other], []],
  ];
  for (const [add, remove] of cases) assert.throws(() => nextOperators([one, two], add, remove), { code: "USAGE" });
});

describe("the list of the keys that sign mailboxes", () => {
  const DAY = 86_400;
  const signersOf = (ledger: FakeLedger): { key: string; from: number; until: number }[] => {
    const operators = ledger.accounts.directory.latest?.record.operators ?? [];
    return [...verifySigners(ledger.list ?? Buffer.alloc(0), domain, new Set(operators)).signers];
  };
  const at = async (ledger: Ledger, time: number, keyFile = key("operator")): Promise<Operator> => ({
    ...(await operatorWith(ledger, keyFile)),
    now: () => time,
  });

  test("is signed with the first account, stays while it counts for two weeks, and then is prolonged", async () => {
    const ledger = new FakeLedger();
    await addAccounts(await operatorWith(ledger), [addition("alice")]);
    assert.deepEqual(signersOf(ledger), [{ key: ledger.signerKey, from: now - 3600, until: now + 60 * DAY }]);
    const first = ledger.list;
    await certifyWhenDue(await at(ledger, now + 46 * DAY));
    assert.equal(ledger.list, first);
    await certifyWhenDue(await at(ledger, now + 46 * DAY + 1));
    assert.deepEqual(signersOf(ledger), [{ key: ledger.signerKey, from: now - 3600, until: now + 106 * DAY + 1 }]);
  });

  test("a ledger with another key joins, and the one before ends six hours later and leaves 30 days after that", async () => {
    const ledger = new FakeLedger();
    await addAccounts(await operatorWith(ledger), [addition("alice")]);
    const before = ledger.signerKey;
    ledger.signerKey = lineOf(makeKey());
    const moved = now + 10 * DAY;
    await certify(await at(ledger, moved));
    assert.deepEqual(
      new Map(signersOf(ledger).map((signer) => [signer.key, signer.until])),
      new Map([
        [before, moved + 6 * 3600],
        [ledger.signerKey, moved + 60 * DAY],
      ]),
    );
    await certify(await at(ledger, moved + 6 * 3600 + 30 * DAY));
    assert.equal(signersOf(ledger).length, 2);
    await certify(await at(ledger, moved + 6 * 3600 + 30 * DAY + 1));
    assert.deepEqual(
      signersOf(ledger).map((signer) => signer.key),
      [ledger.signerKey],
    );
  });

  test("nothing goes on of a list by somebody who is no operator any more", async () => {
    const ledger = new FakeLedger();
    await addAccounts(await operatorWith(ledger), [addition("alice")]);
    const thiefs = lineOf(makeKey());
    const before = ledger.signerKey;
    ledger.signerKey = thiefs;
    const thief = await at(ledger, now + 5 * DAY);
    await certify(thief);
    ledger.signerKey = before;
    const operators = [await publicLineOf(key("second"))];
    await changeOperators(await operatorWith(ledger, key("second")), operators);
    await assert.rejects(certify(await at(ledger, now + DAY, key("operator"))), { code: "SIGNER" });
    await certify(await at(ledger, now + DAY, key("second")));
    assert.deepEqual(signersOf(ledger), [{ key: before, from: now + DAY - 3600, until: now + 61 * DAY }]);
    const { time } = parseSigners(splitSigned(ledger.list ?? Buffer.alloc(0), MAX_SIGNERS_BYTES).body);
    assert.equal(time, now + 5 * DAY + 1, "later than the one before, or nobody would take it");
  });

  test("each operator whose key is named signs, so that who knows one of them alone can tell", async () => {
    const ledger = new FakeLedger();
    await addAccounts(await operatorWith(ledger), [addition("alice")]);
    const one = await publicLineOf(key("operator"));
    const other = await publicLineOf(key("second"));
    assert.throws(() => verifySigners(ledger.list ?? Buffer.alloc(0), domain, new Set([other])), { code: "SIGNER" });
    await certify({ ...(await operatorWith(ledger)), keyFiles: [key("second"), key("operator")] });
    for (const root of [one, other]) verifySigners(ledger.list ?? Buffer.alloc(0), domain, new Set([root]));
  });
});
