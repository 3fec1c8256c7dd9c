import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { encodeBech32 } from "./age/bech32.ts";
import { parseIdentities } from "./age/identity.ts";
import { FormatError, PolicyError } from "./errors.ts";
import { parseRecipients, printRecipients, type RecipientEntry } from "./recipients.ts";

function nativeKey(seed: number, prefix = "age-secret-key-"): string {
  const bytes = createHash("sha256").update(String(seed)).digest();
  const [identity] = parseIdentities(encodeBech32(prefix, bytes).toUpperCase());
  return identity?.recipient ?? "";
}

const KEYS = [1, 2, 3].map((seed) => nativeKey(seed));
const [KEY = "", OTHER = ""] = [...KEYS].sort();
const SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILQWRznc25zOC1O1TxbA+IOhdIk35oKeXgSS2xmMUHim";
const ID = "niUaW71aJ-nWDDa9BF5RjA";
const ENTRY: RecipientEntry = {
  name: "alice",
  account: ID,
  version: 2,
  quotaBytes: 104_857_600,
  fetch: "fetch",
  seal: [KEY],
};

test("the example of the format page", () => {
  const page = readFileSync(new URL("../../docs/formats/recipients.md", import.meta.url), "utf8");
  const example = /```\n(shoal-recipients[^]*?)```/.exec(page)?.[1] ?? "";
  const { domain, byName } = parseRecipients(example);
  assert.deepEqual(
    [...byName.values()].map((account) => account.recipients().length),
    [2, 1],
  );
  assert.equal(printRecipients(domain, byName.values()), example);
});

test("prints sorted, without duplicates, and hands out keys parsed once", () => {
  const text = printRecipients("example.org", [
    { ...ENTRY, name: "bob", quotaBytes: 0, seal: [OTHER, KEY, OTHER] },
    ENTRY,
  ]);
  assert.equal(
    text,
    `shoal-recipients/v1
domain example.org
account alice ${ID} 2 104857600 fetch
seal ${KEY}
account bob ${ID} 2 0 fetch
seal ${KEY}
seal ${OTHER}
`,
  );
  const { domain, byName } = parseRecipients(text);
  assert.equal(domain, "example.org");
  assert.deepEqual([...byName.keys()], ["alice", "bob"]);
  assert.deepEqual(
    byName
      .get("bob")
      ?.recipients()
      .map((recipient) => recipient.text),
    [KEY, OTHER],
  );
  assert.equal(byName.get("bob")?.recipients(), byName.get("bob")?.recipients());
});

test("parsing inverts printing", () => {
  const entry = fc.record(
    {
      name: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/),
      account: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id).toString("base64url")),
      version: fc.integer({ min: 1, max: 10 ** 14 }),
      quotaBytes: fc.nat({ max: 10 ** 14 }),
      fetch: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}$/),
      seal: fc.uniqueArray(fc.constantFrom(...KEYS, SSH), {}),
    },
    { noNullPrototype: true },
  );
  const listed = entry.map((one) => ({ ...one, version: one.seal.length === 0 ? 0 : one.version }));
  fc.assert(
    fc.property(fc.uniqueArray(listed, { selector: ({ name }) => name }), (entries) => {
      const text = printRecipients("example.org", entries);
      const parsed = [...parseRecipients(text).byName.values()].map(
        ({ name, account, version, quotaBytes, fetch, seal }) => ({ name, account, version, quotaBytes, fetch, seal }),
      );
      assert.deepEqual(
        new Map(parsed.map((one) => [one.name, one])),
        new Map(entries.map((one) => [one.name, { ...one, seal: [...one.seal].sort() }])),
      );
      assert.equal(printRecipients("example.org", parsed), text);
    }),
  );
});

test("refuses every other form", () => {
  const good = printRecipients("example.org", [ENTRY, { ...ENTRY, name: "bob", seal: [KEY, OTHER] }]);
  parseRecipients(good);
  for (const text of [
    "",
    good.slice(0, -1),
    `${good}\n`,
    good.replaceAll("\n", "\r\n"),
    good.replace("v1", "v2"),
    good.replace("domain example.org\n", ""),
    good.replace("example.org", "Example.org"),
    good.replace("example.org", "example..org"),
    good.replace("account alice", "account Alice"),
    good.replace("account alice", "account ../x"),
    good.replace("account alice", "account carol"),
    good.replace("account bob", "account alice"),
    good.replace("account bob", " account bob"),
    good.replace("account bob", "# comment\naccount bob"),
    good.replace(" 104857600", " 0104857600"),
    good.replace(" 104857600", " -1"),
    good.replace(" 104857600", "  104857600"),
    good.replace(" 104857600", " 1e9"),
    good.replace(" 104857600", " 9999999999999999"),
    good.replace(` ${ID}`, ""),
    good.replace(` ${ID}`, ` ${ID.slice(1)}`),
    good.replace(` ${ID}`, ` ${ID.replace("A", "/")}`),
    good.replace(" 2 ", " "),
    good.replace(" 2 ", " 02 "),
    good.replace(" 2 ", " -2 "),
    good.replace(" 2 ", " 0 "),
    `${good}account carol ${ID} 2 0 fetch\n`,
    good.replace(" fetch", " fetch extra"),
    good.replace(" fetch", " fetch/../../x"),
    good.replace(" fetch", ""),
    good.replace(`seal ${KEY}\n`, `seal ${KEY}\nseal ${KEY}\n`),
    good.replace(`seal ${KEY}\nseal ${OTHER}\n`, `seal ${OTHER}\nseal ${KEY}\n`),
    good.replace(`seal ${KEY}`, `seal  ${KEY}`),
    good.replace(`seal ${KEY}`, `seal ssh-rsa AAAA comment`),
    good.replace(`seal ${KEY}`, "unknown x"),
    `${good}seal zzz\nseal zzzz\nseal zzzzz\nseal zzzzzz\nseal zzzzzzz\nseal zzzzzzzz\nseal zzzzzzzzz\nseal zzzzzzzzzz\nseal zzzzzzzzzzz\n`,
  ]) {
    assert.notEqual(text, good);
    assert.throws(
      () => parseRecipients(text),
      (error) => error instanceof FormatError && error.code === "CONFIG",
      text,
    );
  }
  assert.throws(() => printRecipients("example.org", [ENTRY, ENTRY]), FormatError);
  assert.throws(() => printRecipients("example.org", [{ ...ENTRY, quotaBytes: 1.5 }]), FormatError);
  assert.throws(() => printRecipients("example.org", [{ ...ENTRY, fetch: "a b" }]), FormatError);
  assert.throws(() => printRecipients("example.org\nx", [ENTRY]), FormatError);
});

test("a bad key stops mail for its account alone, every time", () => {
  const quantum = nativeKey(1, "age-secret-key-pq-");
  const entries: RecipientEntry[] = [
    ENTRY,
    { ...ENTRY, name: "broken", seal: ["age1broken"] },
    { ...ENTRY, name: "mixed", seal: [KEY, quantum] },
    { ...ENTRY, name: "spelled", seal: [SSH.replace(" ", "\x20").replace("ssh-ed25519", "ssh-rsa")] },
  ];
  const { byName } = parseRecipients(printRecipients("example.org", entries));
  assert.equal(byName.get("alice")?.recipients().length, 1);
  for (let again = 0; again < 2; again++) {
    assert.throws(() => byName.get("broken")?.recipients(), FormatError);
    assert.throws(() => byName.get("mixed")?.recipients(), PolicyError);
    assert.throws(() => byName.get("spelled")?.recipients(), FormatError);
  }
});

test("an account without keys is known and takes no mail", () => {
  const { byName } = parseRecipients(printRecipients("example.org", [{ ...ENTRY, version: 0, seal: [] }]));
  assert.throws(() => byName.get("alice")?.recipients(), { code: "NO-SEAL-KEY" });
});

test("10,000 accounts parse in well under a second", () => {
  const entries = Array.from({ length: 10_000 }, (_, index) => ({
    ...ENTRY,
    name: `user${index}`,
    seal: [KEY, OTHER, SSH],
  }));
  const text = printRecipients("example.org", entries);
  const started = performance.now();
  const { byName } = parseRecipients(text);
  const took = performance.now() - started;
  assert.equal(byName.size, 10_000);
  assert.equal(byName.get("user9999")?.recipients().length, 3);
  assert.ok(took < 500, `${took} ms`);
});
