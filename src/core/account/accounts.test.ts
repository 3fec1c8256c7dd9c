/** All accounts of a domain: nothing that is refused changes anything. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { named } from "#test/vectors/account-state/keys.ts";
import { Story } from "#test/vectors/account-state/story.ts";
import { accountId, addition, empty, type Records } from "#test/vectors/directory/records.ts";
import { Accounts } from "./accounts.ts";
import { type Accepted, parseChain } from "./chain.ts";
import { MAX_ACCOUNTS_EVER, MAX_DIRECTORY_BYTES, printDirectoryRecord } from "./directory.ts";
import { parseProposal } from "./step.ts";

const DOMAIN = "example.org";
const START = 1_800_000_000;
const NOW = START + 1000 * 3600;
const [MASTER, RECOVERY, DEVICE] = [named("master"), named("recovery"), named("laptop")];

function owner(): Story {
  return new Story().add({
    ...{ master: [MASTER], recovery: [RECOVERY], devices: [`auth,seal ${DEVICE.line}`] },
    by: [MASTER, RECOVERY],
  });
}

function versionsOf(text: string, maxBodyBytes = MAX_DIRECTORY_BYTES): Accepted[] {
  const at = text.search(/^accepted /m);
  return parseChain(Buffer.from(at < 0 ? "" : text.slice(at), "latin1"), maxBodyBytes);
}

function accountsOf(records: Records): Accounts {
  const accounts = new Accounts(DOMAIN, records.id);
  for (const { accepted, signed } of versionsOf(records.vector("ACCEPTED")))
    accounts.takeDirectory(signed, accepted, NOW);
  return accounts;
}

/** A copy of everything that is known. */
function contentsOf({ directory, standings }: Accounts): unknown {
  return structuredClone({ latest: directory.latest, entries: [...directory.entries], standings: [...standings] });
}

const withAlice = (): Records => empty().add({ changes: [`add alice ${owner().id} 1000 1`, addition("bob")] });

function takeAll(accounts: Accounts, story: Story): void {
  for (const { accepted, signed } of versionsOf(story.vector("ACCEPTED"))) {
    accounts.takeState(parseProposal(signed), accepted, NOW);
  }
}

test("states are taken for accounts that the directory names, and their removal drops them", () => {
  const records = withAlice();
  const accounts = accountsOf(records);
  const story = owner().add({ at: 60, by: [MASTER] });
  takeAll(accounts, story);
  assert.equal(accounts.standing(story.id)?.state.version, 2);
  assert.equal(accounts.directory.entryOf(story.id)?.name, "alice");

  const [, , removal] = versionsOf(records.add({ changes: ["remove alice"] }).vector("ACCEPTED"));
  assert.ok(removal !== undefined);
  assert.deepEqual(accounts.takeDirectory(removal.signed, removal.accepted, NOW), ["alice"]);
  assert.equal(accounts.standing(story.id), undefined);
  const [genesis] = versionsOf(story.vector("ACCEPTED"));
  assert.ok(genesis !== undefined);
  assert.throws(() => accounts.takeState(parseProposal(genesis.signed), START, NOW), { code: "ACCOUNT-REMOVED" });
});

test("a suspended account can be changed by its owner", () => {
  const accounts = accountsOf(withAlice().add({ changes: ["suspend alice"] }));
  takeAll(accounts, owner());
  assert.equal(accounts.standings.size, 1);
});

test("refuses accounts that the directory does not name, and times ahead of the own clock", () => {
  const accounts = accountsOf(empty());
  const [genesis] = versionsOf(owner().vector("ACCEPTED"));
  assert.ok(genesis !== undefined);
  const proposal = parseProposal(genesis.signed);
  assert.throws(() => accounts.takeState(proposal, START, NOW), { name: "PolicyError", code: "ACCOUNT-UNKNOWN" });

  const known = accountsOf(withAlice());
  const before = contentsOf(known);
  assert.throws(() => known.takeState(proposal, NOW + 601, NOW), { name: "VerifyError", code: "CLOCK" });
  assert.deepEqual(contentsOf(known), before);
  known.takeState(proposal, NOW + 600, NOW);
  const [first] = versionsOf(empty().vector("ACCEPTED"));
  assert.ok(first !== undefined);
  const none = new Accounts(DOMAIN, empty().id);
  assert.throws(() => none.takeDirectory(first.signed, NOW + 601, NOW), { name: "VerifyError", code: "CLOCK" });
  assert.equal(none.directory.latest, null);
});

test("the latest state is known again, whatever signatures come with it, and older ones are not", () => {
  const accounts = accountsOf(withAlice());
  const story = owner().add({ at: 60, by: [MASTER] });
  const proposals = versionsOf(story.vector("ACCEPTED")).map(({ signed }) => parseProposal(signed));
  assert.deepEqual(
    proposals.map((proposal) => accounts.isCurrent(proposal)),
    [false, false],
  );
  takeAll(accounts, story);
  assert.deepEqual(
    proposals.map((proposal) => accounts.isCurrent(proposal)),
    [false, true],
  );
});

test("no refused state of any vector changes anything", () => {
  const folder = join(import.meta.dirname, "../../../test/vectors/account-state/reject");
  let refused = 0;
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), "latin1");
    const last = [...text.matchAll(/^accepted (\d+)\n/gm)].at(-1);
    assert.ok(last !== undefined);
    const accounts = accountsOf(withAlice());
    const earlier = versionsOf(text.slice(0, last.index));
    // Only stories that begin with Alice's own first version are about an account that the directory names.
    if (earlier[0] === undefined || parseProposal(earlier[0].signed).id !== owner().id) continue;
    for (const { accepted, signed } of earlier) accounts.takeState(parseProposal(signed), accepted, NOW);
    const before = contentsOf(accounts);
    try {
      const signed = Buffer.from(text.slice(last.index + last[0].length), "latin1");
      accounts.takeState(parseProposal(signed), Number(last[1]), NOW);
      assert.fail(`${name} was taken`);
    } catch (error) {
      assert.ok(
        error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError,
        String(error),
      );
    }
    assert.deepEqual(contentsOf(accounts), before, name);
    refused++;
  }
  assert.ok(refused > 100);
});

test("a first state that is another's is not taken for an account's first", () => {
  const accounts = accountsOf(withAlice());
  const mallory = new Story().add({ master: [DEVICE], devices: [`auth,seal ${MASTER.line}`], by: [DEVICE] });
  const [genesis] = versionsOf(mallory.vector("ACCEPTED"));
  assert.ok(genesis !== undefined);
  assert.throws(() => accounts.takeState(parseProposal(genesis.signed), START, NOW), { code: "ACCOUNT-UNKNOWN" });
  const second = owner().add({ at: 60, by: [MASTER] });
  const [, later] = versionsOf(second.vector("ACCEPTED"));
  assert.ok(later !== undefined);
  assert.throws(() => accounts.takeState(parseProposal(later.signed), START, NOW), { code: "VERSION" });
});

test("ordinals count what was added, in the order of the lines, and are not used again", () => {
  const records = empty()
    .add({ changes: [addition("b"), addition("a")] })
    .add({ changes: ["remove a", addition("0x")] })
    .add({ changes: [addition("c")] });
  const { directory } = accountsOf(records);
  assert.deepEqual(
    [...directory.entries.values()].map(({ name, ordinal, status }) => [name, ordinal, status]),
    [
      ["a", 0, "removed"],
      ["b", 1, "active"],
      ["0x", 2, "active"],
      ["c", 3, "active"],
    ],
  );
});

test("40,000 accounts fit, one more does not, and a record that is refused for it adds none", () => {
  const names = (from: number, count: number): string[] =>
    Array.from({ length: count }, (_, n) => addition(`a${from + n}`));
  const records = empty()
    .add({ changes: names(0, 20_000) })
    .add({ changes: names(20_000, 19_999) });
  const accounts = accountsOf(records);
  assert.equal(accounts.directory.entries.size, MAX_ACCOUNTS_EVER - 1);
  const before = accounts.directory.latest;
  const [, , , tooMany] = versionsOf(records.add({ changes: names(39_999, 2) }).vector("FULL"));
  assert.ok(tooMany !== undefined);
  assert.throws(() => accounts.takeDirectory(tooMany.signed, tooMany.accepted, NOW), {
    name: "PolicyError",
    code: "FULL",
  });
  assert.equal(accounts.directory.entries.size, MAX_ACCOUNTS_EVER - 1);
  assert.equal(accounts.directory.latest, before);
  assert.equal(accounts.directory.entryOf(accountId("a39999")), undefined);
});

test("can't print a record that it would not parse", () => {
  const record = { domain: DOMAIN, version: 1, prev: null, time: 1, operators: [MASTER.line], changes: [] };
  assert.ok(printDirectoryRecord(record).length > 0);
  assert.throws(() => printDirectoryRecord({ ...record, changes: [{ kind: "remove", name: "a\nsuspend b" }] }), {
    code: "DIRECTORY",
  });
  assert.throws(() => printDirectoryRecord({ ...record, changes: [{ kind: "remove", name: "root" }] }), {
    code: "NAME",
  });
});
