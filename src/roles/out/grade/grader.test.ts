/** The whole of grading against real parts: Unbound validates zones that ldns signed, certificates are OpenSSL's. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Identity, tlsaData } from "#test/grade-world/authority.ts";
import type { MailServer, MailServerOptions, Step } from "#test/grade-world/mail-server.ts";
import type { NameServer } from "#test/grade-world/name-server.ts";
import { enterOwnNetwork } from "#test/grade-world/own-network.ts";
import type { PolicyHost, PolicyHostOptions } from "#test/grade-world/policy-host.ts";
import { GradeWorld } from "#test/grade-world/world.ts";
import { type DomainGrade, Grader } from "./grader.ts";
import { printGrade } from "./print-grade.ts";

enterOwnNetwork(import.meta.filename);

const wildcards = ["*.plain.example", "*.signed.example"];
const world = await GradeWorld.create();
const ca = world.authority;
const root = await ca.authority("Root", null);
const middle = await ca.authority("Intermediate", root);
const good = await ca.identity({ name: "good", names: wildcards, issuer: middle });
const wrongName = await ca.identity({ name: "wrong", names: ["mail.elsewhere.example"], issuer: root });
const expired = await ca.identity({ name: "expired", names: wildcards, issuer: root, expired: true });
const selfSigned = await ca.identity({ name: "self", names: wildcards, issuer: null });
const commonNameOnly = await ca.identity({ name: "mx-common-name.plain.example", issuer: root });
/** Trusted by nobody but TLSA records. */
const private1 = await ca.authority("Private", null);
const private2 = await ca.authority("Private deputy", private1);
const privateLeaf = await ca.identity({ name: "private", names: wildcards, issuer: private2 });
const deep = await ca.identity({ name: "oddest", issuer: null, expired: true });

/** Domain and the line that its grade prints. */
const expected = new Map<string, string>();
const enforceable = new Map<string, boolean>();
const servers = new Map<string, MailServer>();
const policyHosts = new Map<string, PolicyHost>();
let names: NameServer | undefined;

/** A domain in the unsigned zone with one mail server. */
async function plain(label: string, options: MailServerOptions, line: string): Promise<void> {
  const domain = `${label}.plain.example`;
  world.record("plain.example", `${label} IN MX 10 mx-${label}`);
  servers.set(label, await world.mailServer("plain.example", `mx-${label}`, options));
  expect(domain, line, `mx-${label}.plain.example`);
}

/** A domain in the signed zone with one mail server, and TLSA records for it. */
async function signed(label: string, identity: Identity | null, tlsa: readonly string[], line: string): Promise<void> {
  world.record("signed.example", `${label} IN MX 10 mx-${label}`);
  for (const data of tlsa) world.record("signed.example", `_25._tcp.mx-${label} IN TLSA ${data}`);
  servers.set(label, await world.mailServer("signed.example", `mx-${label}`, identity === null ? {} : { identity }));
  expect(`${label}.signed.example`, line, `mx-${label}.signed.example`);
}

/** A domain with a good mail server and an MTA-STS policy. */
async function policy(label: string, options: Partial<PolicyHostOptions>, line: string): Promise<void> {
  await plain(label, { identity: good }, line);
  const host = `mta-sts.${label}.plain.example`;
  const identity = options.identity ?? (await ca.identity({ name: "policy", names: [host], issuer: root }));
  policyHosts.set(label, await world.policyHost("plain.example", label, { ...options, identity }));
}

/** In `line`, `@` is the domain and `MX` its mail server. */
function expect(domain: string, line: string, mx = "-"): void {
  expected.set(domain, line.replaceAll("@", domain).replaceAll("MX", mx));
}

function stsPolicy(mode: string, ...mx: string[]): string {
  return ["version: STSv1", `mode: ${mode}`, ...mx.map((each) => `mx: ${each}`), "max_age: 86400", ""].join("\r\n");
}

async function setUpCertificates(): Promise<void> {
  await plain("good", { identity: good }, "tls valid @ - MX");
  await plain("wrong-name", { identity: wrongName }, "tls-problem @ certificate-host-mismatch MX");
  await plain("expired", { identity: expired }, "tls-problem @ certificate-expired MX");
  await plain("self-signed", { identity: selfSigned }, "tls-problem @ certificate-not-trusted MX");
  await plain("private", { identity: privateLeaf }, "tls-problem @ certificate-not-trusted MX");
  const incomplete = { ...good, chain: good.certificate };
  await plain("incomplete", { identity: incomplete }, "tls-problem @ certificate-not-trusted MX");
  await plain("common-name", { identity: commonNameOnly }, "tls-problem @ certificate-host-mismatch MX");
  await plain("old-tls", { identity: good, maxVersion: "TLSv1.1" }, "tls-problem @ validation-failure MX");
  await plain("tls12", { identity: good, maxVersion: "TLSv1.2" }, "tls valid @ - MX");
}

async function setUpConversations(): Promise<void> {
  await plain("no-starttls", {}, "tls-problem @ starttls-not-supported MX");
  const refused = { identity: good, starttls: "454 4.7.0 TLS not available\r\n" };
  await plain("starttls-refused", refused, "tls-problem @ starttls-not-supported MX");
  await plain("helo-only", { ehlo: "502 unknown command\r\n" }, "tls-problem @ starttls-not-supported MX");
  // A man in the middle overwrites the word.
  await plain("stripped", { ehlo: "250-mx\r\n250 XXXXXXXA\r\n" }, "tls-problem @ starttls-not-supported MX");
  const injected = { identity: good, starttls: "220 go\r\n250-mx\r\n250 STARTTLS\r\n" };
  await plain("injected", injected, "tls-problem @ validation-failure MX");
  await plain("half-injected", { identity: good, starttls: "220 go\r\n2" }, "tls-problem @ validation-failure MX");
  await plain("early", { identity: good, greeting: "220 mx\r\n250 mx\r\n" }, "tls-problem @ validation-failure MX");
  await plain("bare-line-ends", { identity: good, greeting: "220 mx\n" }, "tls-problem @ validation-failure MX");
  await plain("no-smtp", { greeting: "SSH-2.0-OpenSSH_9.9\r\n" }, "tls-problem @ validation-failure MX");
  await plain("two-codes", { ehlo: "250-mx\r\n220 STARTTLS\r\n" }, "tls-problem @ validation-failure MX");
  await plain("long-line", { greeting: "2".repeat(100_000) }, "tls-problem @ validation-failure MX");
  await plain("many-lines", { ehlo: "250-x\r\n".repeat(5000) }, "tls-problem @ validation-failure MX");
  await plain("go-away", { greeting: "554 no service\r\n" }, "tls-problem @ unreachable MX");
  await plain("busy", { greeting: "421 too busy\r\n" }, "tls-problem @ unreachable MX");
  for (const step of ["greeting", "ehlo", "starttls", "handshake"] satisfies Step[]) {
    await plain(`stall-${step}`, { identity: good, stall: step }, "tls-problem @ unreachable MX");
    const problem = step === "handshake" ? "validation-failure" : "unreachable";
    await plain(`close-${step}`, { identity: good, close: step }, `tls-problem @ ${problem} MX`);
  }
}

function setUpNames(): void {
  const zone = "plain.example";
  world.record(zone, "null-mx IN MX 0 .", "implicit IN A 45.45.0.7", "empty IN TXT none", "dead IN MX 10 mx-dead");
  world.record(zone, "mx-dead IN A 45.45.0.8", "gone IN MX 10 mx-gone", "loop IN MX 10 loop-a");
  world.record(
    zone,
    "loop-a IN CNAME loop-b",
    "loop-b IN CNAME loop-a",
    "odd IN MX 10 a\\032b",
    "silent-mx IN MX 10 mx.silent.example.",
  );
  expect("null-mx.plain.example", "tls-problem @ null-mx -");
  expect("nowhere.plain.example", "tls-problem @ no-such-domain -");
  expect("implicit.plain.example", "tls-problem @ unreachable MX", "implicit.plain.example");
  expect("empty.plain.example", "tls-problem @ unreachable MX", "empty.plain.example");
  expect("dead.plain.example", "tls-problem @ unreachable MX", "mx-dead.plain.example");
  expect("gone.plain.example", "tls-problem @ unreachable MX", "mx-gone.plain.example");
  expect("loop.plain.example", "tls-problem @ dns-failure MX", "loop-a.plain.example");
  expect("odd.plain.example", "tls-problem @ unreachable -");
  expect("silent-mx.plain.example", "tls-problem @ dns-failure MX", "mx.silent.example");
  expect("any.silent.example", "tls-problem @ dns-failure -");
  expect("any.bogus.example", "tls-problem @ dnssec-invalid -");
  const closed = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
  ];
  for (const [index, address] of closed.entries()) {
    world.record(zone, `closed-${index} IN MX 10 mx-closed-${index}`, `mx-closed-${index} IN A ${address}`);
    expect(`closed-${index}.plain.example`, "tls-problem @ unreachable MX", `mx-closed-${index}.plain.example`);
  }
  for (const [index, address] of [
    "::1",
    "::ffff:127.0.0.1",
    "fd00::1",
    "fe80::1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
  ].entries()) {
    world.record(zone, `closed6-${index} IN MX 10 mx-closed6-${index}`, `mx-closed6-${index} IN AAAA ${address}`);
    expect(`closed6-${index}.plain.example`, "tls-problem @ unreachable MX", `mx-closed6-${index}.plain.example`);
  }
}

/** Several servers: the strict relay never uses the bad one, so it is the good ones that count. */
function setUpSeveral(): void {
  const zone = "plain.example";
  world.record(zone, "mixed IN MX 10 mx-self-signed", "mixed IN MX 20 mx-good", "mixed IN MX 30 mx-dead");
  expect("mixed.plain.example", "tls valid @ - mx-good.plain.example");
  world.record(zone, "worse IN MX 10 mx-dead", "worse IN MX 20 mx-expired", "worse IN MX 30 mx-no-starttls");
  expect("worse.plain.example", "tls-problem @ certificate-expired mx-expired.plain.example");
  world.record(zone, "half-stalled IN MX 10 mx-stall-ehlo", "half-stalled IN MX 20 mx-good");
  expect("half-stalled.plain.example", "tls valid @ - mx-good.plain.example");
  const signedZone = "signed.example";
  world.record(signedZone, "two IN MX 10 mx-ee-self", "two IN MX 20 mx-ee-good");
  expect("two.signed.example", "tls bound @ dane mx-ee-good.signed.example");
  enforceable.set("two.signed.example", true);
  // Unchecked delivery could go to the second server, which nothing vouches for.
  world.record(signedZone, "leaky IN MX 10 mx-ee-self", "leaky IN MX 20 mx-dead.plain.example.");
  expect("leaky.signed.example", "tls-problem @ unreachable mx-dead.plain.example");
  // The strict relay could go to the second server, which its own records disown.
  world.record(signedZone, "disowned IN MX 10 mx-ee-good", "disowned IN MX 20 mx-ee-wrong");
  expect("disowned.signed.example", "tls-problem @ validation-failure mx-ee-wrong.signed.example");
  world.record(signedZone, "partly IN MX 10 mx-ee-good", "partly IN MX 20 mx-no-tlsa");
  expect("partly.signed.example", "tls valid @ - mx-no-tlsa.signed.example");
}

async function setUpDane(): Promise<void> {
  const bound = "tls bound @ dane MX";
  const failure = "tls-problem @ validation-failure MX";
  await signed("no-tlsa", good, [], "tls valid @ - MX");
  // Neither name nor expiry counts for DANE-EE.
  await signed("ee-self", deep, [tlsaData(3, 1, 1, deep)], bound);
  enforceable.set("ee-self.signed.example", false);
  await signed("ee-good", good, [tlsaData(3, 1, 1, good)], bound);
  enforceable.set("ee-good.signed.example", true);
  await signed("ee-wrong", good, [tlsaData(3, 1, 1, wrongName)], failure);
  for (const [selector, matching] of [
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 2],
  ] as const) {
    await signed(`ee-${selector}-${matching}`, selfSigned, [tlsaData(3, selector, matching, selfSigned)], bound);
    await signed(`not-${selector}-${matching}`, selfSigned, [tlsaData(3, selector, matching, good)], failure);
  }
  await signed("rollover", good, [tlsaData(3, 1, 1, wrongName), tlsaData(3, 1, 1, good)], bound);
  await signed("agility", good, [tlsaData(3, 1, 1, good), tlsaData(3, 1, 2, wrongName)], failure);
  await signed("dane-no-tls", null, [tlsaData(3, 1, 1, good)], "tls-problem @ starttls-not-supported MX");
  await signed("pkix-ee", good, [tlsaData(1, 1, 1, wrongName)], "tls valid @ - MX");
  await signed("pkix-ee-self", selfSigned, [tlsaData(1, 1, 1, selfSigned)], "tls-problem @ tlsa-invalid MX");
  await signed(
    "short-digest",
    selfSigned,
    ["3 1 1 aabb", "3 1 9 aabb", "9 1 1 aabb", "3 0 0 aabb"],
    "tls-problem @ tlsa-invalid MX",
  );
}

async function setUpDaneAnchors(): Promise<void> {
  const bound = "tls bound @ dane MX";
  const failure = "tls-problem @ validation-failure MX";
  for (const [selector, matching] of [
    [0, 1],
    [0, 2],
    [1, 1],
    [1, 2],
  ] as const) {
    await signed(`ta-${selector}-${matching}`, privateLeaf, [tlsaData(2, selector, matching, private1)], bound);
  }
  await signed("ta-deputy", privateLeaf, [tlsaData(2, 1, 1, private2)], bound);
  const withoutAnchor = { ...privateLeaf, chain: privateLeaf.certificate + private2.certificate };
  await signed("ta-published", withoutAnchor, [tlsaData(2, 0, 0, private1)], bound);
  await signed("ta-bare-key", withoutAnchor, [tlsaData(2, 1, 0, private1)], bound);
  await signed("ta-not-shown", withoutAnchor, [tlsaData(2, 1, 1, private1)], failure);
  await signed("ta-wrong", privateLeaf, [tlsaData(2, 1, 1, root)], failure);
  await signed("ta-leaf", privateLeaf, [tlsaData(2, 1, 1, privateLeaf)], failure);
  const otherName = await ca.identity({ name: "x", names: ["mail.elsewhere.example"], issuer: private2 });
  await signed("ta-name", otherName, [tlsaData(2, 1, 1, private1)], "tls-problem @ certificate-host-mismatch MX");
  const nextHop = await ca.identity({ name: "x", names: ["ta-next-hop.signed.example"], issuer: private2 });
  await signed("ta-next-hop", nextHop, [tlsaData(2, 1, 1, private1)], bound);
  const old = await ca.identity({ name: "x", names: wildcards, issuer: private2, expired: true });
  await signed("ta-expired", old, [tlsaData(2, 1, 1, private1)], "tls-problem @ certificate-expired MX");
  // An authority of the same name and another key, and the true one shown beside it.
  const impostor = await ca.authority("Private", null);
  const forged = await ca.identity({ name: "x", names: wildcards, issuer: impostor });
  const forgedChain = { ...forged, chain: forged.certificate + private1.certificate };
  await signed("ta-impostor", forgedChain, [tlsaData(2, 1, 1, private1)], failure);
  // A server's certificate that signs another one.
  const upstart = await ca.identity({ name: "x", names: wildcards, issuer: privateLeaf });
  await signed("ta-upstart", upstart, [tlsaData(2, 1, 1, private1)], failure);
  const forClients = await ca.identity({
    name: "x",
    names: wildcards,
    issuer: private1,
    extensions: ["extendedKeyUsage=clientAuth"],
  });
  await signed("ta-purpose", forClients, [tlsaData(2, 1, 1, private1)], failure);
  const short = await ca.authority("Short", null, ["basicConstraints=critical,CA:TRUE,pathlen:0"]);
  const direct = await ca.identity({ name: "x", names: wildcards, issuer: short });
  await signed("ta-path-fits", direct, [tlsaData(2, 1, 1, short)], bound);
  const detour = await ca.identity({ name: "x", names: wildcards, issuer: await ca.authority("Detour", short) });
  await signed("ta-path-too-long", detour, [tlsaData(2, 1, 1, short)], failure);
  const confined = ["basicConstraints=critical,CA:TRUE", "nameConstraints=critical,permitted;DNS:elsewhere.example"];
  const narrow = await ca.identity({
    name: "x",
    names: wildcards,
    issuer: await ca.authority("Narrow", null, confined),
  });
  await signed("ta-constrained", narrow, ["2 0 1 " + "00".repeat(32), tlsaData(2, 1, 1, narrow)], failure);
}

async function setUpDnssec(): Promise<void> {
  await signed("tlsa-bogus", good, [tlsaData(3, 1, 1, good)], "tls-problem @ dnssec-invalid MX");
  world.breakSignature("_25._tcp.mx-tlsa-bogus.signed.example", "TLSA");
  await signed("address-bogus", good, [tlsaData(3, 1, 1, good)], "tls-problem @ dnssec-invalid MX");
  world.breakSignature("mx-address-bogus.signed.example", "A");
  await signed("mx-bogus", good, [], "tls-problem @ dnssec-invalid -");
  world.breakSignature("mx-bogus.signed.example", "MX");
  // A forged MX answer could name any server, so its TLSA records prove nothing.
  world.record(
    "plain.example",
    "to-signed IN MX 10 mx-ee-good.signed.example.",
    "to-wrong IN MX 10 mx-ee-wrong.signed.example.",
  );
  expect("to-signed.plain.example", "tls valid @ - mx-ee-good.signed.example");
  expect("to-wrong.plain.example", "tls valid @ - mx-ee-wrong.signed.example");
  world.record(
    "signed.example",
    "to-plain IN MX 10 mx-good.plain.example.",
    "_25._tcp.mx-stolen IN TLSA 3 1 1 " + "00".repeat(32),
  );
  expect("to-plain.signed.example", "tls valid @ - mx-good.plain.example");
  world.record("signed.example", "_25._tcp.mx-silent-tlsa IN CNAME tlsa.silent.example.");
  await signed("silent-tlsa", good, [], "tls-problem @ dnssec-invalid MX");
  world.record("plain.example", `tlsa IN TLSA ${tlsaData(3, 1, 1, good)}`);
  world.record("signed.example", "_25._tcp.mx-unsigned-tlsa IN CNAME tlsa.plain.example.");
  await signed("unsigned-tlsa", good, [], "tls-problem @ dnssec-invalid MX");

  world.record("signed.example", "alias IN MX 10 mx-alias", "mx-alias IN CNAME mx-ee-self");
  expect("alias.signed.example", "tls bound @ dane mx-alias.signed.example");
  world.record("signed.example", "alias2 IN MX 10 mx-alias2", "mx-alias2 IN CNAME mx-no-tlsa");
  world.record("signed.example", `_25._tcp.mx-alias2 IN TLSA ${tlsaData(3, 1, 1, good)}`);
  expect("alias2.signed.example", "tls bound @ dane mx-alias2.signed.example");
  world.record("signed.example", "alias3 IN MX 10 mx-alias3", "mx-alias3 IN CNAME mx-good.plain.example.");
  world.record("signed.example", `_25._tcp.mx-alias3 IN TLSA ${tlsaData(3, 1, 1, wrongName)}`);
  expect("alias3.signed.example", "tls-problem @ validation-failure mx-alias3.signed.example");
  world.record("signed.example", "alias-domain IN CNAME ee-good");
  expect("alias-domain.signed.example", "tls bound @ dane mx-ee-good.signed.example");
}

async function setUpPolicies(): Promise<void> {
  const mx = (label: string): string => `mx-${label}.plain.example`;
  await policy("sts", { body: stsPolicy("enforce", mx("sts")) }, "tls bound @ mta-sts MX");
  enforceable.set("sts.plain.example", true);
  await policy("sts-pattern", { body: stsPolicy("enforce", "*.plain.example") }, "tls bound @ mta-sts MX");
  await policy("sts-wide", { body: stsPolicy("enforce", "*.example") }, "tls-problem @ validation-failure MX");
  await policy("sts-wrong", { body: stsPolicy("enforce", mx("other")) }, "tls-problem @ validation-failure MX");
  await policy("sts-testing", { body: stsPolicy("testing", mx("other")) }, "tls valid @ - MX");
  await policy("sts-none", { body: stsPolicy("none") }, "tls valid @ - MX");
  const policyHost = "tls-problem @ sts-policy-fetch-error mta-sts.@";
  const enforce = stsPolicy("enforce", "*.plain.example");
  await policy("sts-404", { body: enforce, status: 404 }, policyHost);
  await policy(
    "sts-redirect",
    { status: 302, headers: { Location: "https://mta-sts.sts.plain.example/" } },
    policyHost,
  );
  await policy("sts-html", { body: enforce, headers: { "Content-Type": "text/html" } }, policyHost);
  await policy("sts-long", { body: enforce + "x: y\r\n".repeat(20_000) }, policyHost);
  await policy("sts-stall", { stall: "head" }, policyHost);
  await policy("sts-stall-body", { stall: "body" }, policyHost);
  await policy("sts-malformed", { body: "<html>" }, "tls-problem @ sts-policy-invalid mta-sts.@");
  await policy("sts-self", { body: enforce, identity: selfSigned }, "tls-problem @ sts-webpki-invalid mta-sts.@");
  await policy("sts-name", { body: enforce, identity: good }, "tls-problem @ sts-webpki-invalid mta-sts.@");
  await policy("sts-expired", { body: enforce, identity: expired }, "tls-problem @ sts-webpki-invalid mta-sts.@");
  world.record("plain.example", "sts-lost IN MX 10 mx-good", '_mta-sts.sts-lost IN TXT "v=STSv1; id=1"');
  expect("sts-lost.plain.example", policyHost);
  world.record(
    "plain.example",
    "sts-inside IN MX 10 mx-good",
    '_mta-sts.sts-inside IN TXT "v=STSv1; id=1"',
    "mta-sts.sts-inside IN A 127.0.0.1",
  );
  expect("sts-inside.plain.example", policyHost);
  world.record("plain.example", "sts-silent IN MX 10 mx-good", "_mta-sts.sts-silent IN CNAME x.silent.example.");
  expect("sts-silent.plain.example", "tls-problem @ dns-failure mta-sts.@");
  world.record(
    "plain.example",
    "twice IN MX 10 mx-good",
    '_mta-sts.twice IN TXT "v=STSv1; id=1"',
    '_mta-sts.twice IN TXT "v=STSv1; id=2"',
  );
  expect("twice.plain.example", "tls valid @ - mx-good.plain.example");
  await plain("sts-bad-mx", { identity: selfSigned }, "tls-problem @ certificate-not-trusted MX");
  const identity = await ca.identity({ name: "policy", names: ["mta-sts.sts-bad-mx.plain.example"], issuer: root });
  await world.policyHost("plain.example", "sts-bad-mx", { identity, body: enforce });
  // An MX answer was forged, and the attacker has a certificate for its own server: the policy is what tells.
  world.record("plain.example", "sts-wrong IN MX 20 mx-good");
}

function grader(options: Partial<ConstructorParameters<typeof Grader>[0]> = {}): Grader {
  const { resolver, caFile } = world;
  return new Grader({
    resolver,
    caFile,
    heloName: "out.example.org",
    connectTimeoutMs: 800,
    domainTimeoutMs: 3000,
    ...options,
  });
}

async function gradeOne(by: Grader, domain: string): Promise<DomainGrade> {
  const grade = (await by.grade([domain])).get(domain.toLowerCase());
  assert(grade !== undefined);
  return grade;
}

before(async () => {
  await world.trust(root);
  await setUpCertificates();
  await setUpConversations();
  setUpNames();
  await setUpDane();
  await setUpDaneAnchors();
  await setUpDnssec();
  await setUpPolicies();
  setUpSeveral();
  names = await world.startNames(["silent.example"]);
});
after(() => world.stop());

test("every domain gets its grade", async (context) => {
  const grades = await grader().grade([...expected.keys()]);
  assert.equal(grades.size, expected.size);
  for (const [domain, line] of expected) {
    await context.test(domain, () => {
      const grade = grades.get(domain);
      assert(grade !== undefined);
      assert.equal(printGrade(grade), line, JSON.stringify(grade.results, null, 2));
      const holds = enforceable.get(domain);
      if (holds !== undefined) assert.equal(grade.enforceable, holds);
    });
  }
});

test("grades that smtpd can't hold say so, and names and files of servers are what a good client asks for", () => {
  assert.deepEqual(servers.get("ee-self")?.names.slice(0, 1), ["mx-ee-self.signed.example"]);
  assert.deepEqual(policyHosts.get("sts")?.asked, ["mta-sts.sts.plain.example/.well-known/mta-sts.txt"]);
  for (const [label, server] of servers) {
    const early = server.heard.filter((text) => !/^(EHLO out\.example\.org|STARTTLS|QUIT)\r\n$/.test(text));
    // What is left are the bytes of handshakes that the servers that stall or break did not take as such.
    assert(
      early.every((text) => text.startsWith("\x16\x03")),
      `${label} heard ${JSON.stringify(early)}`,
    );
  }
});

test("an answer is kept, a probe is shared, and both end", async () => {
  let now = Date.now();
  const by = grader({ now: () => now });
  const seen = (): number => servers.get("good")?.connections ?? 0;
  const atFirst = seen();
  const [one, two] = await Promise.all([gradeOne(by, "good.plain.example"), gradeOne(by, "GOOD.plain.example")]);
  assert.equal(one, two);
  assert.equal(seen(), atFirst + 1);
  // Another domain with the same server: the server is known.
  await gradeOne(by, "mixed.plain.example");
  assert.equal(seen(), atFirst + 1);
  // The zone says 300 s, and the resolver counts down.
  assert(one.expires <= now + 300_000 && one.expires > now + 250_000);
  now = one.expires - 1;
  assert.equal(await gradeOne(by, "good.plain.example"), one);
  now += 2;
  assert.notEqual(await gradeOne(by, "good.plain.example"), one);
  assert.equal(seen(), atFirst + 2);
});

test("what fails is asked again after a minute", async () => {
  let now = Date.now();
  const by = grader({ now: () => now });
  const grade = await gradeOne(by, "no-starttls.plain.example");
  assert.equal(grade.expires, now + 60_000);
  now += 60_001;
  assert.notEqual(await gradeOne(by, "no-starttls.plain.example"), grade);
});

test("a policy is fetched once for its id", async () => {
  let now = Date.now();
  const by = grader({ now: () => now });
  const host = policyHosts.get("sts-pattern");
  assert(host !== undefined);
  const atFirst = host.asked.length;
  await gradeOne(by, "sts-pattern.plain.example");
  now += 3_600_000;
  assert.equal((await gradeOne(by, "sts-pattern.plain.example")).by, "mta-sts");
  assert.equal(host.asked.length, atFirst + 1);
  now += 86_400_000;
  await gradeOne(by, "sts-pattern.plain.example");
  assert.equal(host.asked.length, atFirst + 2);
});

test("the provider's own addresses are closed, and private ones open only on purpose", async () => {
  const own = await gradeOne(grader({ ownNetworks: ["45.45.0.0/16"] }), "good.plain.example");
  assert.equal(printGrade(own), "tls-problem good.plain.example unreachable mx-good.plain.example");
  const open = await gradeOne(grader({ allowPrivate: true }), "closed-0.plain.example");
  assert.match(open.because.detail, /can't connect to 127\.0\.0\.1 port 25 \(ECONNREFUSED\)/);
});

test("one domain that stalls does not delay another", async () => {
  const by = grader();
  const start = performance.now();
  const slow = by.grade(["stall-greeting.plain.example", "any.silent.example"]);
  await gradeOne(by, "good.plain.example");
  assert(performance.now() - start < 1000);
  await slow;
  assert(performance.now() - start < 3500);
});

test("what is no domain name is no domain", async () => {
  for (const name of [
    "",
    ".",
    "a..b",
    "a b",
    "x\ntls bound x",
    "-",
    `${"a.".repeat(130)}a`,
    "münchen.example",
    "[127.0.0.1]",
  ]) {
    const grade = await gradeOne(grader(), name);
    assert.equal(printGrade(grade), "tls-problem - no-such-domain -");
  }
  await assert.rejects(grader().grade(Array.from({ length: 1001 }, (_, index) => `d${index}.example`)), {
    code: "TOO-LARGE",
  });
});

test("without the resolver nothing is graded, within the time", async () => {
  names?.freeze();
  try {
    const start = performance.now();
    const grades = await grader().grade(["good.plain.example", "ee-good.signed.example"]);
    assert(performance.now() - start < 3500);
    for (const { grade, because } of grades.values())
      assert.deepEqual([grade, because.result], ["none", "dns-failure"]);
  } finally {
    names?.thaw();
  }
});
