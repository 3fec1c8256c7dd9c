import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrialResult, TrialTask } from "#roles/out/trial/exchange.ts";
import { goldenFacts } from "#test/dns-facts/facts.ts";
import { checkDns } from "./check.ts";
import type { Finding } from "./findings.ts";
import type { Arrival, Verdict } from "./machines.ts";
import { neededRecords, publicKeyDigest } from "./records.ts";

const facts = goldenFacts((text) =>
  text.replace("keys: 1,", "keys: 1,").replace("out: 192.0.2.97", "keys: 192.0.2.65, out: 192.0.2.97"),
);
const needed = neededRecords(facts);
const passes: Verdict = new Map([
  ["R_DKIM_ALLOW", ["shoal.example:s=g1r", "shoal.example:s=g1e"]],
  ["R_SPF_ALLOW", ["+ip4:192.0.2.97"]],
  ["DMARC_POLICY_ALLOW", ["shoal.example", "reject"]],
]);

interface World {
  answer?: (task: TrialTask) => TrialResult | null;
  verdict?: Verdict;
}

function rightly(task: TrialTask): TrialResult {
  switch (task.kind) {
    case "lookup": {
      const reverse = task.name.endsWith(".in-addr.arpa");
      const records = needed
        .filter(({ name, type }) => name === task.name && type === task.type)
        .map(({ data }) => data);
      const outcome = records.length > 0 ? "found" : "no-data";
      return { kind: "lookup", outcome, secure: !reverse, canonicalName: task.name, records, why: "" };
    }
    case "policy":
      return { kind: "policy", mode: "testing", maxAgeSeconds: 604_800, mx: [...facts.policy.mx].reverse() };
    case "session": {
      const publicKey = publicKeyDigest(facts.certificates.get(task.serverName));
      return {
        kind: "session",
        seen: null,
        publicKeyDigest: publicKey,
        certificateTrouble: null,
        code: 250,
        text: "ok",
      };
    }
    case "message":
      return { kind: "message", message: Buffer.from(`by ${task.port}\r\n`).toString("base64") };
    default:
      throw new Error("no such task");
  }
}

async function check({
  answer = () => null,
  verdict = passes,
}: World = {}): Promise<{ findings: Finding[]; arrivals: Arrival[] }> {
  const arrivals: Arrival[] = [];
  const findings = await checkDns({
    facts,
    selectors: ["g1r", "g1e"],
    isTestWorld: false,
    ports: { strict: 1, dane: 2, anyway: 3 },
    sink: { domain: "trial.invalid", port: 4 },
    machines: {
      run: (_machine, tasks) => Promise.resolve(tasks.map((task) => answer(task) ?? rightly(task))),
      judge(list) {
        arrivals.push(...list);
        return Promise.resolve(list.map(() => verdict));
      },
    },
  });
  return { findings, arrivals };
}

async function trouble(world: World): Promise<Finding[]> {
  const { findings } = await check(world);
  return findings.filter(({ state }) => state !== "right");
}

test("all well: every in is tried from both addresses, and messages arrive from where they leave", async () => {
  const { findings, arrivals } = await check();
  assert.deepEqual(
    findings.filter(({ state }) => state !== "right"),
    [],
  );
  assert.equal(findings.filter(({ type }) => type === "SMTP").length, 4);
  assert.deepEqual(
    arrivals.map(({ message, address, heloName, sender }) => [message.toString(), address, heloName, sender]),
    [
      ["by 1\r\n", "192.0.2.97", "out.mail.shoal.example", "postmaster@shoal.example"],
      ["by 2\r\n", "192.0.2.97", "out.mail.shoal.example", "postmaster@shoal.example"],
      ["by 3\r\n", "192.0.2.98", "out.mail.shoal.example", "postmaster@shoal.example"],
    ],
  );
});

test("what a stranger's filter finds wrong is told, each part by itself", async () => {
  const cases: [Verdict, RegExp][] = [
    [new Map(), /^DKIM g1r none, DKIM g1e none, SPF none, DMARC none$/],
    [new Map([...passes, ["R_DKIM_ALLOW", ["shoal.example:s=g1r"]]]), /^DKIM g1r pass, DKIM g1e none, /],
    [new Map([...passes, ["R_DKIM_ALLOW", ["evil.example:s=g1r", "shoal.example:s=g1e"]]]), /^DKIM g1r none, /],
    [new Map([...passes, ["R_DKIM_ALLOW", []], ["R_DKIM_REJECT", ["shoal.example:s=g1r"]]]), /^DKIM g1r fail, /],
    [
      new Map([
        ["R_DKIM_ALLOW", ["shoal.example:s=g1r", "shoal.example:s=g1e"]],
        ["R_SPF_FAIL", []],
      ]),
      /SPF fail, DMARC none$/,
    ],
  ];
  for (const [verdict, found] of cases) {
    const findings = await trouble({ verdict });
    assert.equal(findings.length, 3);
    for (const one of findings) {
      assert.equal(`${one.state} ${one.type}`, "wrong MAIL");
      assert.match(one.found[0] ?? "", found);
      assert.notEqual(one.advice, null);
    }
  }
});

test("a session that fails, with another's certificate, or where nobody takes reports", async () => {
  const cases: [TrialResult, RegExp][] = [
    [{ kind: "failed", why: "can't connect" }, /port 25/],
    [
      { ...(rightly(sessionTask) as TrialResult & { kind: "session" }), publicKeyDigest: "00".repeat(32) },
      /somebody else/,
    ],
    [{ ...(rightly(sessionTask) as TrialResult & { kind: "session" }), code: 550 }, /postmaster/],
    [{ ...(rightly(sessionTask) as TrialResult & { kind: "session" }), code: 451 }, /shoalctl status/],
    [{ kind: "policy", mode: "none", maxAgeSeconds: 0, mx: [] }, /port 25/],
  ];
  for (const [result, advice] of cases) {
    const findings = await trouble({ answer: ({ kind }) => (kind === "session" ? result : null) });
    assert.equal(findings.length, 4);
    for (const one of findings) {
      assert.equal(`${one.state} ${one.type}`, "wrong SMTP");
      assert.match(one.advice ?? "", advice);
    }
  }
});

const sessionTask = {
  ...{ kind: "session" as const, from: "10.83.0.97", server: "192.0.2.17", serverName: "in.mail.shoal.example" },
  ...{ heloName: "out.mail.shoal.example", recipient: "postmaster@shoal.example" },
};

test("the world sees mail come from another address than is published", async () => {
  const seen = (address: string): World => ({
    answer: (task) =>
      task.kind === "session" ? { ...(rightly(task) as TrialResult & { kind: "session" }), seen: address } : null,
  });
  const findings = await trouble(seen("198.51.100.7"));
  assert.deepEqual([...new Set(findings.map(({ type, found }) => `${type} ${found[0]}`))], ["SOURCE 198.51.100.7"]);
  // A way that stays inside says nothing about the world outside.
  const inside = await trouble({
    answer: (task) =>
      task.kind === "session" ? { ...(rightly(task) as TrialResult & { kind: "session" }), seen: task.from } : null,
  });
  assert.deepEqual(inside, []);
});

test("reverse names: missing, of somebody else, by another name of ours", async () => {
  const reverse = (names: string[], addresses: string[]): World => ({
    answer(task) {
      if (task.kind !== "lookup") return null;
      const isReverse = task.type === "PTR";
      if (!isReverse && task.name !== "host.provider.example") return null;
      const records = isReverse ? names : addresses;
      const outcome = records.length > 0 ? "found" : "no-name";
      return { kind: "lookup", outcome, secure: false, canonicalName: task.name, records, why: "" };
    },
  });
  const found = async (world: World): Promise<string> =>
    (await trouble(world)).map(({ state, type }) => `${state} ${type}`).join();
  assert.equal(await found(reverse([], [])), "missing PTR,missing PTR");
  assert.equal(await found(reverse(["host.provider.example"], ["192.0.2.200"])), "wrong PTR,wrong PTR");
  assert.equal(await found(reverse(["host.provider.example"], ["192.0.2.97", "192.0.2.98"])), "");
  assert.equal(await found(reverse(["evil\\032name.example", "host.provider.example"], ["192.0.2.97"])), "wrong PTR");
});

test("the policy: enforced too early, of others, not there", async () => {
  const policy = (result: TrialResult): World => ({ answer: ({ kind }) => (kind === "policy" ? result : null) });
  const mx = [...facts.policy.mx];
  const [early] = await trouble(policy({ kind: "policy", mode: "enforce", maxAgeSeconds: 604_800, mx }));
  assert.match(early?.advice ?? "", /at once/);
  const [other] = await trouble(policy({ kind: "policy", mode: "testing", maxAgeSeconds: 604_800, mx: mx.slice(1) }));
  assert.equal(`${other?.state} ${other?.type}`, "wrong POLICY");
  const [none] = await trouble(policy({ kind: "failed", why: "no answer" }));
  assert.equal(`${none?.state} ${none?.type}`, "missing POLICY");
});

test("an IPv6 address that no machine has, and addresses that the world can't reach", async () => {
  const answer = (task: TrialTask): TrialResult | null =>
    task.kind === "lookup" && task.type === "AAAA" && task.name === "in.mail.shoal.example"
      ? { kind: "lookup", outcome: "found", secure: true, canonicalName: task.name, records: ["2001:db8::1"], why: "" }
      : null;
  assert.deepEqual(
    (await trouble({ answer })).map(({ state, type, name }) => `${state} ${type} ${name}`),
    ["wrong AAAA in.mail.shoal.example"],
  );
});
