import assert from "node:assert/strict";
import { test } from "node:test";
import { seal } from "#core/age/age.ts";
import { envelopeLines, makeEnvelope } from "#core/mail/envelopes.ts";
import { composeSealedMail } from "#core/mail/sealed-mail.ts";
import { parseRecipients } from "#core/recipients.ts";
import { admit, containerBytes, type Knowledge, maxUsageAgeSeconds, sealedBytes } from "./admission.ts";

const key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const id = "niUaW71aJ-nWDDa9BF5RjA";
const limits = { maxMessageBytes: 1_000_000, maxContainerBytes: 3_000_000 };
const accounts = parseRecipients(
  `shoal-recipients/v1\ndomain example.org\naccount alice ${id} 1 100000 fetch\nseal ${key}\naccount bob ${id} 1 10000000 fetch\nseal ${key}\naccount carol ${id} 0 100000 fetch\n`,
);
const alice = accounts.byName.get("alice") ?? assert.fail();
const bob = accounts.byName.get("bob") ?? assert.fail();

function knowing(aliceBytes: number, ageSeconds = 0): Knowledge {
  return { accounts, usage: { time: 1000, bytesByAccount: new Map([["alice", aliceBytes]]) }, now: 1000 + ageSeconds };
}

function verdict(knowledge: Knowledge, declaredBytes: number | null, accepted = [bob].slice(1)): string {
  const admission = admit({ address: "alice@example.org", declaredBytes, accepted }, knowledge, limits);
  return "refusal" in admission ? admission.refusal.slice(0, 9) : "ok";
}

test("room is what the quota leaves, for the sealed file and not for the message", () => {
  const size = sealedBytes(1000, alice);
  assert.ok(size > 16_384);
  assert.equal(verdict(knowing(100_000 - size), 1000), "ok");
  assert.equal(verdict(knowing(100_000 - size + 1), 1000), "552 5.2.2");
  assert.equal(verdict(knowing(99_999), null), "ok");
  assert.equal(verdict(knowing(100_000), null), "552 5.2.2");
});

test("an account without keys takes no mail for now", () => {
  const question = { address: "carol@example.org", declaredBytes: null, accepted: [] };
  assert.deepEqual(admit(question, knowing(0), limits), {
    refusal: "450 4.2.1 mailbox takes no mail now, try again later",
  });
});

test("an account that gets the message already is not counted again", () => {
  assert.equal(verdict(knowing(100_000), 1000, [alice]), "ok");
});

test("usage from too long ago or from the future is no usage", () => {
  assert.equal(verdict(knowing(0, maxUsageAgeSeconds), 1000), "ok");
  assert.equal(verdict(knowing(0, maxUsageAgeSeconds + 1), 1000), "451 4.3.0");
  assert.equal(verdict(knowing(0, -maxUsageAgeSeconds - 1), 1000), "451 4.3.0");
  assert.equal(verdict({ ...knowing(0), usage: null }, 1000), "451 4.3.0");
  assert.equal(verdict({ ...knowing(0), accounts: null }, 1000), "451 4.3.0");
});

test("the container has room for so many accounts, and without SIZE a message counts as the largest", () => {
  const roomy = { ...knowing(0) };
  const wide = { ...limits, maxContainerBytes: containerBytes(1_000_000, [bob, alice]) };
  const ask = (maxContainerBytes: number, declaredBytes: number | null): string => {
    const question = { address: "bob@example.org", declaredBytes, accepted: [alice] };
    const admission = admit(question, roomy, { ...limits, maxContainerBytes });
    return "refusal" in admission ? admission.refusal.slice(0, 9) : "ok";
  };
  assert.equal(ask(wide.maxContainerBytes, null), "ok");
  assert.equal(ask(wide.maxContainerBytes - 1, null), "452 4.5.3");
  assert.equal(ask(wide.maxContainerBytes - 1, 100_000), "ok");
});

test("sizes are never less than what comes out", () => {
  const addresses = Array.from({ length: 20 }, (_, index) => `alice+${index}@example.org`);
  const trace = { sender: "a@b.example", addresses, helo: "h", rdns: "r", ip: "192.0.2.1", host: "mx.example.org" };
  for (const bytes of [0, 10_000, 16_000, 70_000, 999_999]) {
    const file = seal(
      alice.recipients(),
      composeSealedMail({ ...trace, protocol: "ESMTPS", time: 0 }, Buffer.alloc(bytes, "x")),
    );
    assert.ok(file.length <= sealedBytes(bytes, alice), `${file.length} of ${sealedBytes(bytes, alice)}`);
    const lines = [...envelopeLines(makeEnvelope(alice, file))];
    const printed = lines.reduce((sum, line) => sum + line.length + 1, 0);
    assert.ok(printed <= containerBytes(bytes, [alice]), `${printed} of ${containerBytes(bytes, [alice])}`);
  }
});
