import assert from "node:assert/strict";
import { test } from "node:test";
import { type DirectoryChange, directoryNamespace, printDirectoryRecord } from "#core/account/directory.ts";
import type { RecordFrame } from "#core/account/feed.ts";
import { chainId, hashOfBody, joinSigned } from "#core/account/signed-text.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { accountUsers, compareAccounts, compareFiles, filesOf, type Serves, verifyDump } from "./audit.ts";

const domain = "shoal.example";
const now = 1_800_000_000;
const operator = makeKey();
const owners = new Map(["alice", "bob", "carol"].map((name) => [name, new Owner(domain, now)]));

/** A dump of a directory with these changes, one record each, and the given states. */
function dumpOf(changes: readonly DirectoryChange[], states: readonly Buffer[]): { id: string; dump: RecordFrame[] } {
  const dump: RecordFrame[] = [];
  let prev: string | null = null;
  let id = "";
  for (const [index, change] of [[], ...changes.map((one) => [one])].entries()) {
    const body: Buffer = printDirectoryRecord({
      domain,
      version: index + 1,
      prev,
      time: now,
      operators: [lineOf(operator)],
      changes: change,
    });
    if (index === 0) id = chainId(body);
    prev = hashOfBody(body);
    const signatures = [signMessage(operator, directoryNamespace(domain), body)];
    dump.push({ kind: "record", of: "directory", accepted: now, signed: joinSigned({ body, signatures }) });
  }
  for (const signed of states) dump.push({ kind: "record", of: "state", accepted: now, signed });
  return { id, dump };
}

function owner(name: string): Owner {
  return owners.get(name) ?? assert.fail(name);
}

const adds = [...owners].map(([name, { id }], index) => {
  return { kind: "add", name, account: id, quotaBytes: 1000, fetch: index === 2 ? 2 : 1 } as const;
});
const all = [...adds, { kind: "suspend", name: "bob" } as const];
const { id, dump } = dumpOf(all, [owner("alice").genesis, owner("bob").genesis]);
const directory = { domain, id };
const ledger = verifyDump("ledger", dump, directory, now);

test("the same records make no finding", () => {
  assert.deepEqual(ledger.findings, []);
  const machine = verifyDump("alpha-in", dump, directory, now);
  assert.deepEqual(compareAccounts(ledger.shown, machine.shown), []);
});

test("what a machine lacks, has more of, or has otherwise is named", () => {
  const find = (records: readonly RecordFrame[]): string[] => {
    const { shown, findings } = verifyDump("alpha-in", records, directory, now);
    return [...findings, ...compareAccounts(ledger.shown, shown)];
  };
  assert.deepEqual(find(dump.slice(0, -1)), ['alpha-in: has version 0 of "bob", the ledger has 1']);
  assert.deepEqual(find(dump.filter((_, index) => index !== all.length)), [
    "alpha-in: has version 4 of the directory, expected 5",
  ]);
  const next = owner("alice").propose({ time: now + 1 });
  const other = owner("alice").propose({ time: now + 2 });
  const record = (signed: Buffer): RecordFrame => ({ kind: "record", of: "state", accepted: now + 2, signed });
  assert.deepEqual(find([...dump, record(next)]), ['alpha-in: has version 2 of "alice", the ledger has 1']);
  const ahead = verifyDump("ledger", [...dump, record(other)], directory, now).shown;
  const forked = verifyDump("alpha-in", [...dump, record(next)], directory, now).shown;
  assert.deepEqual(compareAccounts(ahead, forked), [
    'alpha-in: FORK: has another version 2 of "alice" than the ledger',
  ]);
});

test("what does not hold is named with its code, and the rest is looked at", () => {
  const thief = makeKey();
  const { state } = owner("alice").standing;
  const stolen = owner("alice").propose(
    { devices: [...state.devices, { auth: true, seal: false, key: lineOf(thief) }] },
    [thief],
  );
  const { findings, shown } = verifyDump(
    "alpha-fetch",
    [...dump.slice(0, -1), { kind: "record", of: "state", accepted: now, signed: stolen }, ...dump.slice(-1)],
    directory,
    now,
  );
  assert.equal(findings.length, 1);
  assert.match(findings[0] ?? "", /^alpha-fetch: version 2 of account \S+ does not hold: SIGNER: /);
  assert.deepEqual(compareAccounts(ledger.shown, shown), []);
});

test("files follow from the chains: who may log in where, whom mail is sealed to, and users", () => {
  const { accounts } = ledger.shown;
  const own = new Map([["ledger", "restrict key\n"]]);
  const line = (key: Parameters<typeof lineOf>[0]): string => `restrict ${lineOf(key)}\n`;
  const fetch = filesOf(accounts, { role: "fetch", number: 1 }, own, now);
  assert.deepEqual(
    [...fetch.users],
    [
      ["alice", "20000:20000"],
      ["bob", "20001:20001"],
    ],
  );
  assert.deepEqual(
    [...fetch.authorizedKeys],
    [
      ["ledger", "restrict key\n"],
      ["alice", line(owner("alice").device)],
      ["bob", ""],
    ],
  );
  const keys = filesOf(accounts, { role: "keys" }, own, now);
  assert.deepEqual([...keys.users.keys()], ["alice", "bob", "carol"]);
  assert.equal(keys.authorizedKeys.get("carol"), "", "no state yet");
  assert.ok(keys.authorizedKeys.get("bob")?.includes(lineOf(owner("bob").recovery)), "the suspended keep their say");
  const serves: Serves = { role: "in", fetch: new Map([[1, "alpha-fetch"]]) };
  assert.equal(
    filesOf(accounts, serves, own, now).recipients,
    [
      `shoal-recipients/v1\ndomain ${domain}`,
      `account alice ${owner("alice").id} 1 1000 alpha-fetch\nseal ${lineOf(owner("alice").device)}`,
      `account bob ${owner("bob").id} 0 1000 alpha-fetch\naccount carol ${owner("carol").id} 0 1000 alpha-fetch\n`,
    ].join("\n"),
  );
});

test("each file that is another is named", () => {
  const expected = filesOf(ledger.shown.accounts, { role: "fetch", number: 1 }, new Map([["ledger", "k\n"]]), now);
  assert.deepEqual(compareFiles("m", expected, expected), []);
  const findings = compareFiles("m", expected, {
    users: accountUsers("root:x:0:0\nalice:x:20000:20000::/:x\nbob:x:20001:0::/:x\nmallory:x:59999:59999::/:x\n"),
    authorizedKeys: new Map([...expected.authorizedKeys, ["ledger", "other\n"], ["mallory", "key\n"]]),
    recipients: "x",
  });
  assert.deepEqual(findings, [
    'm: the user "bob" is not as it should be',
    'm: the user "mallory" is not as it should be',
    'm: the keys that "ledger" may log in with are not what its chain gives',
    'm: the keys that "mallory" may log in with are not what its chain gives',
    "m: the file of recipients is not what the chains give",
  ]);
});
