import assert from "node:assert/strict";
import { test } from "node:test";
import type { LookupResult } from "#roles/out/trial/exchange.ts";
import { goldenFacts } from "#test/dns-facts/facts.ts";
import { type Answers, compareRecords } from "./compare.ts";
import { type Finding, isWell, printFindings } from "./findings.ts";
import { type DnsRecord, neededRecords } from "./records.ts";

const needed = neededRecords(goldenFacts());
const domain = "shoal.example";

function answer(records: readonly string[], more: Partial<LookupResult> = {}): LookupResult {
  const outcome = records.length > 0 ? "found" : "no-data";
  return { kind: "lookup", outcome, secure: true, canonicalName: "", records: [...records], why: "", ...more };
}

/** A world with every record, but for those that `change` says otherwise. */
function world(change: (type: string, name: string) => LookupResult | readonly string[] | null): Answers {
  return (type, name) => {
    const changed = change(type, name);
    const own = needed.filter((record) => record.type === type && record.name === name).map(({ data }) => data);
    const result = changed ?? own;
    return "kind" in result ? result : answer(result, { canonicalName: name });
  };
}

function trouble(findings: readonly Finding[]): string[] {
  return findings.filter(({ state }) => state !== "right").map(({ state, type, name }) => `${state} ${type} ${name}`);
}

function withRecord(type: string, name: string, records: readonly string[] | LookupResult): Finding[] {
  return compareRecords(
    needed,
    world((t, n) => (t === type && n === name ? records : null)),
  );
}

test("a world that has what is needed is right", () => {
  const findings = compareRecords(
    needed,
    world(() => null),
  );
  assert.deepEqual(trouble(findings), []);
  assert.equal(findings.length, needed.filter(({ purpose }) => purpose !== "reverse").length);
});

test("every record that is missing, alone, is named and nothing else", () => {
  const isOther = (record: DnsRecord): boolean => record.purpose !== "reverse";
  for (const gone of needed.filter(isOther)) {
    const findings = withRecord(
      gone.type,
      gone.name,
      needed.filter((one) => one.type === gone.type && one.name === gone.name && one !== gone).map(({ data }) => data),
    );
    assert.deepEqual(trouble(findings), [`missing ${gone.type} ${gone.name}`]);
    assert.equal(isWell(findings), false);
    assert.equal(findings.find(({ state }) => state === "missing")?.expected, gone.data);
  }
});

test("others beside and in place of mail servers, addresses and certificates", () => {
  const host = `in.mail.${domain}`;
  const both = ["10 in.mail.shoal.example", "10 in-2.mail.shoal.example"];
  assert.deepEqual(trouble(withRecord("MX", domain, [...both, "50 mx.other.example"])), [`wrong MX ${domain}`]);
  assert.deepEqual(trouble(withRecord("MX", domain, ["1 in-2.mail.shoal.example", "7 in.mail.shoal.example"])), []);
  assert.deepEqual(trouble(withRecord("A", host, ["192.0.2.17", "192.0.2.99"])), [`wrong A ${host}`]);
  assert.deepEqual(trouble(withRecord("A", host, ["192.0.2.99"])), [`wrong A ${host}`]);
  const tlsa = `_25._tcp.${host}`;
  const right = needed.find(({ name, type }) => type === "TLSA" && name === tlsa)?.data ?? "";
  const old = `3 1 1 ${"00".repeat(32)}`;
  assert.deepEqual(trouble(withRecord("TLSA", tlsa, [old])), [`wrong TLSA ${tlsa}`]);
  const beside = withRecord("TLSA", tlsa, [right, old]);
  assert.deepEqual(trouble(beside), [`superfluous TLSA ${tlsa}`]);
  assert.equal(isWell(beside), true);
  assert.deepEqual(trouble(withRecord("TLSA", tlsa, [right.replace("3 1 1", "2 1 1")])), [`wrong TLSA ${tlsa}`]);
});

test("an alias, an answer that fails validation, none at all, and one that nothing proves", () => {
  const host = `in.mail.${domain}`;
  const alias = withRecord("A", host, answer(["192.0.2.17"], { canonicalName: "elsewhere.example" }));
  assert.deepEqual(trouble(alias), [`wrong A ${host}`]);
  assert.match(alias.find(({ state }) => state === "wrong")?.found[0] ?? "", /alias of elsewhere\.example/);
  for (const outcome of ["bogus", "failed"] as const) {
    const [finding] = withRecord("MX", domain, answer([], { outcome, why: "what the resolver said" }));
    assert.equal(finding?.state, "wrong");
    assert.deepEqual(finding?.found, ["what the resolver said"]);
  }
  const tlsa = `_25._tcp.${host}`;
  const right = needed.find(({ name, type }) => type === "TLSA" && name === tlsa)?.data ?? "";
  const unproved = withRecord("TLSA", tlsa, answer([right], { secure: false, canonicalName: tlsa }));
  assert.deepEqual(trouble(unproved), [`note TLSA ${tlsa}`]);
  assert.equal(isWell(unproved), true);
});

test("what strangers put into DNS can't steer the terminal", () => {
  const findings = withRecord("TXT", `_dmarc.${domain}`, [
    "v=DMARC1; p=\x1b]0;owned\x07\x9b31m\u202e\nright       MX     all",
  ]);
  const printed = printFindings(findings.filter(({ state }) => state === "wrong"));
  assert.match(printed, /\\x1b\]0;owned\\x07\\x9b31m\\u202e\\x0aright/);
  assert.match(printed, /^[\x20-\x7e\n]*$/);
});
