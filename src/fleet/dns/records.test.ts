import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { exec } from "#host/exec.ts";
import { goldenFacts, signedByAuthority } from "#test/dns-facts/facts.ts";
import { isPrivate } from "./hosts.ts";
import { printZone, privateAddresses } from "./print-zone.ts";
import { neededRecords, publicKeyDigest } from "./records.ts";

const golden = new URL("../../../test/golden/dns/zone.txt", import.meta.url);

test("what is printed is the golden, byte for byte (npm run golden rewrites it)", async () => {
  const facts = goldenFacts();
  const zone = printZone(facts.domain, neededRecords(facts), facts.policy);
  if (process.env["UPDATE_GOLDENS"] === "1") await writeFile(golden, zone);
  assert.equal(zone, await readFile(golden, "utf8"));
});

test("no string of a TXT record is longer than a zone file allows, and nothing gets out of one", () => {
  const facts = goldenFacts();
  const odd = { purpose: "signature", name: "a.example", type: "TXT", data: 'a" b\\ c' } as const;
  const zone = printZone(facts.domain, [...neededRecords(facts), odd], facts.policy);
  const strings = [...zone.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? "");
  assert.ok(strings.some(({ length }) => length === 255));
  assert.ok(strings.every(({ length }) => length <= 255));
  assert.ok(zone.includes('a.example. IN TXT "a\\" b\\\\ c"'));
});

test("the digest of a certificate's key is what openssl says", async () => {
  for (const [host, pem] of goldenFacts().certificates) {
    const { stdout } = await exec("openssl", ["x509", "-noout", "-pubkey"], { input: pem });
    const der = await exec("openssl", ["pkey", "-pubin", "-outform", "der"], { input: stdout });
    const { stdout: digest } = await exec("openssl", ["dgst", "-sha256", "-r"], { input: der.stdout });
    assert.equal(publicKeyDigest(pem), digest.toString().slice(0, 64), host);
  }
});

test("a policy is enforced only with certificates that others can check, and its id changes with its text", () => {
  const [own, signed] = [goldenFacts().policy, goldenFacts(undefined, signedByAuthority).policy];
  assert.deepEqual([own.mode, signed.mode], ["testing", "enforce"]);
  assert.notEqual(own.id, signed.id);
  assert.match(own.id, /^[0-9a-f]{20}$/);
  assert.equal(own.id, goldenFacts().policy.id);
  const fewer = goldenFacts((text) => text.replace("in: 2", "in: 1").replace(" in-2: 192.0.2.18,", ""));
  assert.notEqual(own.id, fewer.policy.id);
});

test("a fleet that sends nothing says so", () => {
  const facts = goldenFacts((text) =>
    text.replace(", out: 1 }", " }").replace(", out: 192.0.2.97, out-anyway: 192.0.2.98", ""),
  );
  const records = neededRecords({ ...facts, dkim: [] });
  const senders = records.filter(({ purpose }) => purpose === "sender");
  assert.deepEqual(senders, [{ purpose: "sender", type: "TXT", name: "shoal.example", data: "v=spf1 -all" }]);
  assert.ok(records.every(({ purpose }) => purpose !== "reverse" && purpose !== "signature"));
});

test("where the world sees one address, it is named once", () => {
  const facts = goldenFacts((text) => text.replace("out-anyway: 192.0.2.98", "out-anyway: 192.0.2.97"));
  const records = neededRecords(facts);
  assert.ok(records.some(({ data }) => data === "v=spf1 ip4:192.0.2.97 -all"));
  assert.equal(records.filter(({ type }) => type === "PTR").length, 1);
});

test("machines that the definition gives no public address have their own, and that is named", () => {
  const facts = goldenFacts();
  assert.deepEqual(privateAddresses(neededRecords(facts)), ["10.83.0.65"]);
  for (const address of ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.0.1"])
    assert.equal(isPrivate(address), true, address);
  for (const address of [
    "11.0.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.169.1.1",
    "100.63.0.1",
    "100.128.0.1",
    "1.10.0.1",
  ])
    assert.equal(isPrivate(address), false, address);
});
