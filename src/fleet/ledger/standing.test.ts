import assert from "node:assert/strict";
import { test } from "node:test";
import { type MailboxesStanding, parseMailboxes, parseSigner } from "#fleet/accounts/ledger-machine.ts";
import { describeLedger, ledgerWarnings } from "./standing.ts";

const now = 1_790_000_000;
const day = 86_400;
const well: MailboxesStanding = {
  accounts: 2,
  mailboxes: 2,
  signer: { publicKey: "ssh-ed25519 AAAA", listedUntil: now + 60 * day },
  lost: [],
  lostCount: 0,
  machines: [
    { machine: "alpha-fetch", connected: true, mailboxes: 2, pending: 0, failed: 0, lastFailure: null },
    {
      machine: "alpha-fetch-2",
      connected: false,
      mailboxes: 0,
      pending: 3,
      failed: 1,
      lastFailure: { account: "x", text: "no route", time: now },
    },
  ],
};

function until(listedUntil: number | null): MailboxesStanding {
  return { ...well, signer: { ...well.signer, listedUntil } };
}

test("a key that is not certified, has ended or soon will is told, with what to do; one that counts is not", () => {
  assert.deepEqual(ledgerWarnings(well, now), []);
  assert.deepEqual(ledgerWarnings(until(now + 14 * day), now), []);
  assert.match(
    ledgerWarnings(until(now + 14 * day - 1), now)[0] ?? "",
    /ends on 2026-10-05: run `shoalctl ledger cert/,
  );
  assert.match(ledgerWarnings(until(now - 1), now)[0] ?? "", /has ended on 2026-09-21/);
  assert.match(ledgerWarnings(until(null), now)[0] ?? "", /not certified, and clients open no mail/);
  assert.deepEqual(ledgerWarnings({ ...until(null), accounts: 0 }, now), [], "nobody waits for it yet");
});

test("lists that the ledger has lost are told", () => {
  const lost = ["a", "b", "c", "d", "e", "f"];
  assert.match(ledgerWarnings({ ...well, lost, lostCount: 9 }, now)[0] ?? "", /lists of a, b, c, d, e and 4 more,/);
});

test("people get a line for each machine", () => {
  assert.equal(
    describeLedger(until(null), now),
    `mailboxes 2
signer ssh-ed25519 AAAA not certified
alpha-fetch connected, 2 mailboxes, 0 to be written, 0 failed
alpha-fetch-2 away, 0 mailboxes, 3 to be written, 1 failed; last trouble: no route
! the key that signs mailboxes is not certified, and clients open no mail: run \`shoalctl ledger certify --key FILE\`
`,
  );
});

test("what the ledger prints is read, and nothing else is taken for it", () => {
  const { accounts, ...mailboxes } = well;
  assert.deepEqual(parseMailboxes({ directory: 3, accounts, machines: [], mailboxes }), well);
  for (const status of [null, {}, { accounts, mailboxes: null }, { accounts: "2", mailboxes }]) {
    assert.throws(() => parseMailboxes(status), { code: "FEED" });
  }
  const report = { publicKey: "ssh-ed25519 AAAA", listedUntil: null, list: "YWJj" };
  assert.deepEqual(parseSigner(report), { ...report, list: Buffer.from("abc") });
  assert.equal(parseSigner({ ...report, list: null }).list, null);
  for (const wrong of [null, {}, { ...report, listedUntil: -1 }, { ...report, list: 5 }]) {
    assert.throws(() => parseSigner(wrong), { code: "FEED" });
  }
});
