/** The whole of grading against real parts: Unbound validates zones that ldns signed, certificates are OpenSSL's. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Cases } from "#test/grade-world/cases.ts";
import { enterOwnNetwork } from "#test/grade-world/own-network.ts";
import { GradeWorld } from "#test/grade-world/world.ts";
import { type DomainGrade, Grader } from "./grader.ts";
import { printGrade } from "./print-grade.ts";

enterOwnNetwork(import.meta.filename);

const world = await GradeWorld.create();
const { expected, enforceable, servers, policyHosts } = await Cases.setUp(world);
const names = await world.startNames(["silent.example"]);
after(() => world.stop());

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
      // Refused, and not tried in vain.
      if (domain.startsWith("closed")) assert.match(grade.because.detail, /has no address on the public internet$/);
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
  assert(performance.now() - start < 2500);
  await slow;
  assert(performance.now() - start < 6000);
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
  for (const name of ["127.0.0.1", "25", "example.0"]) {
    assert.equal(printGrade(await gradeOne(grader(), name)), `tls-problem ${name} no-such-domain -`);
  }
  await assert.rejects(grader().grade(Array.from({ length: 1001 }, (_, index) => `d${index}.example`)), {
    code: "TOO-LARGE",
  });
});

test("without the resolver nothing is graded, within the time", async () => {
  names.freeze();
  try {
    const start = performance.now();
    const grades = await grader().grade(["good.plain.example", "ee-good.signed.example"]);
    assert(performance.now() - start < 6000);
    for (const { grade, because } of grades.values())
      assert.deepEqual([grade, because.result], ["none", "dns-failure"]);
  } finally {
    names.thaw();
  }
});
