/** What others say: Postfix as a server, and its view of every domain that has TLSA records. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { tlsaData } from "#test/grade-world/authority.ts";
import { Cases } from "#test/grade-world/cases.ts";
import { enterOwnNetwork } from "#test/grade-world/own-network.ts";
import { startPostfix, tlsFinger, useResolver } from "#test/grade-world/postfix.ts";
import { GradeWorld } from "#test/grade-world/world.ts";
import { Grader } from "./grader.ts";
import { printGrade } from "./print-grade.ts";

enterOwnNetwork(import.meta.filename);

const world = await GradeWorld.create();
const cases = await Cases.setUp(world);
const identity = await world.authority.identity({
  name: "postfix",
  names: ["mx-postfix.signed.example"],
  issuer: null,
});
const address = world.address();
world.record("signed.example", "postfix IN MX 10 mx-postfix", `mx-postfix IN A ${address}`);
world.record("signed.example", `_25._tcp.mx-postfix IN TLSA ${tlsaData(3, 1, 1, identity)}`);
const postfix = await startPostfix(world.folder, address, identity);
await world.startNames(["silent.example"]);
await useResolver(world.folder, world.resolver.address);
after(async () => {
  await postfix.stop();
  await world.stop();
});

function grader(): Grader {
  const { resolver, caFile } = world;
  return new Grader({ resolver, caFile, heloName: "out.example.org", connectTimeoutMs: 800, domainTimeoutMs: 3000 });
}

test("Postfix is a server like others", async () => {
  const domain = "postfix.signed.example";
  const grade = (await grader().grade([domain])).get(domain);
  assert(grade !== undefined);
  assert.equal(
    printGrade(grade),
    "tls bound postfix.signed.example dane mx-postfix.signed.example",
    grade.because.detail,
  );
});

/**
 * Servers that we judge more strictly, each for a reason; domains with several servers, of which it looks at one; and
 * one with 131 records, of which Postfix reads 100, whichever the resolver put first.
 */
const ours = new Set(["leaky", "disowned", "partly", "two", "many"].map((label) => `${label}.signed.example`));

test("posttls-finger finds the same servers bound by DANE", async () => {
  const domains = [...cases.expected.keys()].filter((name) => name.endsWith(".signed.example") && !ours.has(name));
  assert(domains.length > 40);
  const grades = await grader().grade(domains);
  const waiting = [...domains];
  const differences: string[] = [];
  const work = async (): Promise<void> => {
    for (let domain = waiting.shift(); domain !== undefined; domain = waiting.shift()) {
      const { verified, said } = await tlsFinger(domain);
      if (verified !== (grades.get(domain)?.by === "dane")) differences.push(`${domain}: ${said}`);
    }
  };
  await Promise.all(Array.from({ length: 12 }, work));
  assert.equal(differences.join("\n\n"), "");
});
