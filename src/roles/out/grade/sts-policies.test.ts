import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createSecureContext } from "node:tls";
import { Authority } from "#test/grade-world/authority.ts";
import { HostileDns, record, replyTo } from "#test/grade-world/hostile-dns.ts";
import { PolicyHost } from "#test/grade-world/policy-host.ts";
import { AddressGuard } from "./address-guard.ts";
import { Resolver } from "./dns.ts";
import { type PolicyInForce, StsPolicies } from "./sts-policies.ts";

const folder = await mkdtemp(join(tmpdir(), "shoal-sts-"));
const authority = new Authority(folder);
const root = await authority.authority("Root", null);
const identity = await authority.identity({ name: "policy", names: ["mta-sts.a.example"], issuer: root });
const dns = await HostileDns.start();
const enforce = "version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: 100\n";
const host = new PolicyHost({ identity, body: enforce });
await host.listen("127.0.0.1", 0);
let now = 1_800_000_000_000;
const policies = new StsPolicies({
  resolver: new Resolver({ address: "127.0.0.1", port: dns.port, tryMilliseconds: 100, tries: 1 }),
  guard: new AddressGuard({ allowPrivate: true, ownNetworks: [] }),
  context: createSecureContext({ ca: root.certificate }),
  port: host.port,
  now: () => now,
});
after(async () => {
  host.close();
  dns.stop();
  await rm(folder, { recursive: true, force: true });
});

/** @param id of the announcement; null: none; "servfail", "silence": no answer */
async function inForce(id: string | null): Promise<PolicyInForce> {
  dns.answer((query) => {
    if (query.includes("_mta-sts")) {
      if (id === "silence") return [];
      if (id === "servfail") return [replyTo(query, { flags: 0x8182 })];
      const text = Buffer.from(`v=STSv1; id=${id ?? ""}`);
      return [
        replyTo(query, { records: id === null ? [] : [record(16, Buffer.concat([Buffer.from([text.length]), text]))] }),
      ];
    }
    const isA = query.readUInt16BE(query.indexOf(0, 12) + 1) === 1;
    return [replyTo(query, { records: isA ? [record(1, Buffer.from([127, 0, 0, 1]))] : [] })];
  });
  return await policies.inForce("a.example", AbortSignal.timeout(2000));
}

function modeOf(policy: PolicyInForce): string {
  return policy === null ? "null" : "mode" in policy ? policy.mode : policy.problem;
}

test("a policy once known outlives its announcement and its host, until it is too old", async () => {
  assert.equal(modeOf(await inForce(null)), "null");
  // Nothing is known, and whether something is promised can't be found out.
  assert.equal(modeOf(await inForce("servfail")), "dns-failure");
  assert.equal(modeOf(await inForce("silence")), "dns-failure");
  assert.equal(modeOf(await inForce("1")), "enforce");
  assert.equal(host.asked.length, 1);
  for (const id of ["1", null, "servfail", "silence"]) assert.equal(modeOf(await inForce(id)), "enforce", String(id));
  assert.equal(host.asked.length, 1);
  assert.equal(modeOf(await inForce("2")), "enforce");
  assert.equal(host.asked.length, 2);
  host.close();
  assert.equal(modeOf(await inForce("3")), "enforce");
  now += 100_001;
  assert.equal(modeOf(await inForce("3")), "sts-policy-fetch-error");
  assert.equal(modeOf(await inForce(null)), "null");
});
