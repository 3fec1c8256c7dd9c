import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "./findings.ts";
import { judgeAlignment, judgeKey, judgePolicyId, judgeReports, judgeSenders } from "./text-records.ts";

function states(findings: Finding | readonly Finding[]): string {
  return [findings]
    .flat()
    .map(({ state }) => state)
    .join(" ");
}

test("SPF", () => {
  const wanted = { name: "a.example", expected: "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all" };
  const cases: [readonly string[], string][] = [
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"], "right"],
    [["V=SPF1 +ip4:192.0.2.2  IP4:192.0.2.1 ~ALL"], "right"],
    [["other", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"], "right"],
    [["v=spf1 ip4:192.0.2.0/30 -all"], "right superfluous"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 include:x.example -all"], "right superfluous"],
    [[], "missing"],
    [["v=spf10 ip4:192.0.2.1 ip4:192.0.2.2 -all"], "missing"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all", "v=spf1 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 -ip4:192.0.2.2 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.20 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.4/30 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2/99 -all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ?all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 +all"], "wrong"],
    [["v=spf1 ip4:192.0.2.1 ip4:192.0.2.2"], "wrong"],
  ];
  for (const [records, expected] of cases)
    assert.equal(states(judgeSenders(wanted, records)), expected, records[0] ?? "");
});

test("DKIM", () => {
  const wanted = { name: "s._domainkey.a.example", expected: "v=DKIM1; k=ed25519; p=QUJD" };
  const cases: [readonly string[], string][] = [
    [["v=DKIM1; k=ed25519; p=QUJD"], "right"],
    [["v=DKIM1;k=ed25519;p=QU JD;t=s; s=email; h=sha256"], "right"],
    [["k=ed25519; p=QUJD; n=note"], "right"],
    [[], "missing"],
    [["v=DKIM1; k=ed25519; p="], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJE"], "wrong"],
    [["v=DKIM1; p=QUJD"], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJD; t=y"], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJD; t=s:y"], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJD; s=tlsrpt"], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJD; h=sha1"], "wrong"],
    [["v=DKIM2; k=ed25519; p=QUJD"], "wrong"],
    [["v=DKIM1; k=ed25519; p=QUJD", "v=DKIM1; k=ed25519; p=QUJE"], "wrong"],
  ];
  for (const [records, expected] of cases) assert.equal(states(judgeKey(wanted, records)), expected, records[0] ?? "");
  const revoked = { name: wanted.name, expected: "v=DKIM1; k=ed25519; p=" };
  assert.equal(states(judgeKey(revoked, [])), "right");
  assert.equal(states(judgeKey(revoked, ["v=DKIM1; k=ed25519; p="])), "right");
  assert.equal(states(judgeKey(revoked, ["v=DKIM1; k=ed25519; p=QUJD"])), "wrong");
});

test("DMARC", () => {
  const wanted = { name: "_dmarc.a.example", expected: "v=DMARC1; p=reject" };
  const cases: [readonly string[], string][] = [
    [["v=DMARC1; p=reject; adkim=s; aspf=s"], "right"],
    [["v=DMARC1;p=quarantine"], "right"],
    [["v=DMARC1; p=reject; pct=100"], "right"],
    [["other"], "missing"],
    [["v=DMARC1; p=none"], "wrong"],
    [["v=DMARC1; p=reject; sp=none"], "wrong"],
    [["v=DMARC1; sp=reject"], "wrong"],
    [["v=DMARC1; p=reject; pct=10"], "wrong"],
    [["v=DMARC1; p=reject", "v=DMARC1; p=reject"], "wrong"],
  ];
  for (const [records, expected] of cases)
    assert.equal(states(judgeAlignment(wanted, records)), expected, records[0] ?? "");
});

test("MTA-STS and TLSRPT", () => {
  const policy = { name: "_mta-sts.a.example", expected: "v=STSv1; id=abc" };
  for (const [records, expected] of [
    [["v=STSv1; id=abc;"], "right"],
    [["v=STSv1;id=abc", "other"], "right"],
    [["v=STSv2; id=abc"], "missing"],
    [["v=STSv1; id=abd"], "wrong"],
    [["v=STSv1;"], "wrong"],
    [["v=STSv1; id=abc", "v=STSv1; id=abc"], "wrong"],
  ] as const) {
    assert.equal(states(judgePolicyId(policy, records)), expected, records[0] ?? "");
  }
  const reports = { name: "_smtp._tls.a.example", expected: "v=TLSRPTv1; rua=mailto:postmaster@a.example" };
  for (const [records, expected] of [
    [["v=TLSRPTv1; rua=mailto:x@b.example"], "right"],
    [["v=TLSRPTv1;rua=https://b.example/x"], "right"],
    [["v=TLSRPT1; rua=mailto:x@b.example"], "missing"],
    [["v=TLSRPTv1"], "wrong"],
    [["v=TLSRPTv1; rua=x@b.example"], "wrong"],
  ] as const) {
    assert.equal(states(judgeReports(reports, records)), expected, records[0] ?? "");
  }
});
