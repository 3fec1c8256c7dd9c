/** Reverse names, the policy as it is served, and sessions with the own mail servers. Pure. */

import type { TrialResult } from "#roles/out/trial/exchange.ts";
import type { Answers } from "./compare.ts";
import type { Finding } from "./findings.ts";
import { isPrivate } from "./hosts.ts";
import { type DnsRecord, type Facts, postmaster, publicKeyDigest } from "./records.ts";
import type { OwnPolicy } from "./sts-policy.ts";

/** Right if the address has a name that has the address, whatever name it is: that is what receivers look at. */
export function judgeReverse({ type, name, data }: DnsRecord, reverse: Answers, forward: Answers): Finding {
  const address = name.replace(".in-addr.arpa", "").split(".").reverse().join(".");
  const { outcome, records: found, why } = reverse(type, name);
  const finding = { type, name, expected: data };
  const advice = `have whoever gave you ${address} name it "${data}"`;
  if (outcome === "bogus" || outcome === "failed") return { ...finding, state: "wrong", found: [why], advice };
  if (found.length === 0) return { ...finding, state: "missing", found, advice };
  if (found.some((one) => forward("A", one).records.includes(address))) {
    return { ...finding, state: "right", found, advice: null };
  }
  return { ...finding, state: "wrong", found: found.map((one) => `${one}, which has not this address`), advice };
}

export function judgePolicy(policy: OwnPolicy, result: TrialResult | undefined): Finding {
  const print = (mode: string, mx: readonly string[], age: number): string =>
    `mode ${mode}, mx ${[...mx].sort().join(" ")}, max_age ${age}`;
  const { url, mode, mx, maxAgeSeconds } = policy;
  const finding = { type: "POLICY", name: url, expected: print(mode, mx, maxAgeSeconds) };
  if (result?.kind !== "policy") {
    const found = [result?.kind === "failed" ? result.why : "something that was not asked for"];
    const advice =
      "put the file that `shoalctl dns` prints on a web server there, with a certificate that is valid for its name";
    return { ...finding, state: "missing", found, advice };
  }
  const found = [print(result.mode, result.mx, result.maxAgeSeconds)];
  if (result.mode === mode && [...result.mx].sort().join() === [...mx].sort().join()) {
    return { ...finding, state: "right", found, advice: null };
  }
  const advice =
    mode === "testing" && result.mode === "enforce"
      ? "replace it at once: with a self-signed certificate, servers that obey it no longer deliver"
      : "replace it by the file that `shoalctl dns` prints, then change the id in DNS";
  return { ...finding, state: "wrong", found, advice };
}

/** @param host name of a machine `in`, where the session was */
export function judgeSession(
  name: string,
  { domain, certificates }: Pick<Facts, "domain" | "certificates">,
  host: string,
  result: TrialResult | undefined,
): Finding[] {
  const recipient = postmaster(domain);
  const type = "SMTP";
  const finding = { type, name, expected: `STARTTLS with the certificate of ${host}, and mail for ${recipient} taken` };
  if (result?.kind !== "session") {
    const found = [result?.kind === "failed" ? result.why : "something that was not asked for"];
    const advice = "look who answers at port 25 there: the world must reach the machine, and so must `out`";
    return [{ ...finding, state: "wrong", found, advice }];
  }
  const expected = publicKeyDigest(certificates.get(host));
  if (result.publicKeyDigest !== expected) {
    const found = [`a certificate with the key ${result.publicKeyDigest}, not ${expected}`];
    const advice = "somebody else answers there, or a machine that `shoalctl up` has not made: mail goes there";
    return [{ ...finding, state: "wrong", found, advice }];
  }
  const found = [`${result.code} ${result.text}`];
  if (result.code === 250) return [{ ...finding, state: "right", found, advice: null }];
  const advice =
    result.code < 500
      ? "`shoalctl status` and `shoalctl logs in` say why mail is not taken now"
      : `give the name "postmaster" to somebody: reports go there, and every domain must have it (RFC 5321 section 4.5.1)`;
  return [{ ...finding, state: "wrong", found, advice }];
}

/** Whether the world sees mail come from where SPF says; not known if all of it stays inside. */
export function judgeSource(source: { ownAddress: string; address: string }, seen: string | null): Finding[] {
  const isInside = seen === source.ownAddress && isPrivate(seen);
  if (seen === null || isInside || seen === source.address) return [];
  const advice =
    "say so under `public-addresses:` of the site (docs/formats/fleet.md), or translate it to what is expected";
  const expected = source.address;
  return [{ state: "wrong", type: "SOURCE", name: source.ownAddress, expected, found: [seen], advice }];
}
