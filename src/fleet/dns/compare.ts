/** Records that DNS has, against those that the fleet needs. Pure. */

import type { LookupResult } from "#roles/out/trial/exchange.ts";
import type { Finding } from "./findings.ts";
import type { DnsRecord, Purpose } from "./records.ts";
import { type Expected, judgeAlignment, judgeKey, judgePolicyId, judgeReports, judgeSenders } from "./text-records.ts";

const PUBLISH = "publish it as `shoalctl dns` prints it";

/** What a resolver that validates says. @throws TypeError for what was not asked */
export type Answers = (type: string, name: string) => LookupResult;

/** One finding or more for each name and type; reverse names are looked at elsewhere. */
export function compareRecords(needed: readonly DnsRecord[], answers: Answers): Finding[] {
  const groups = new Map<string, DnsRecord[]>();
  for (const record of needed) {
    if (record.purpose === "reverse") continue;
    const key = `${record.purpose} ${record.type} ${record.name}`;
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups.values()].flatMap((group) => compareGroup(group, answers));
}

function compareGroup(group: readonly DnsRecord[], answers: Answers): Finding[] {
  const [first] = group;
  if (first === undefined) return [];
  const { purpose, type, name } = first;
  const answer = answers(type, name);
  const unread = unreadable(answer, first);
  if (unread !== null) return [unread];
  if (type === "TXT") return judgeText(first, answer.records);
  const findings = compareExactly(group, answer.records);
  if (purpose === "address" && answer.canonicalName !== name) findings.push(aliasFinding(first, answer.canonicalName));
  if (purpose === "certificate" && findings.every(({ state }) => state === "right") && !answer.secure) {
    findings.push({
      ...{ state: "note", type, name, expected: "an answer that DNSSEC proves", found: ["one that nothing proves"] },
      advice: "sign the zone (DNSSEC): until then nobody believes the record, and MTA-STS has to do alone",
    });
  }
  return findings;
}

const textJudges: Partial<Record<Purpose, (wanted: Expected, records: readonly string[]) => Finding | Finding[]>> = {
  sender: judgeSenders,
  signature: judgeKey,
  alignment: judgeAlignment,
  policy: judgePolicyId,
  reports: judgeReports,
};

function judgeText({ purpose, name, data }: DnsRecord, records: readonly string[]): Finding[] {
  const judge = textJudges[purpose];
  if (judge === undefined) throw new TypeError(`a TXT record for "${purpose}"`);
  return [judge({ name, expected: data }, records)].flat();
}

/** Addresses, mail servers, certificates: exactly those that are needed, whatever their preference. */
function compareExactly(group: readonly DnsRecord[], records: readonly string[]): Finding[] {
  const isSame = (a: string, b: string): boolean => withoutPreference(a) === withoutPreference(b);
  const lacking = group.filter(({ data }) => !records.some((one) => isSame(one, data)));
  const others = records.filter((one) => !group.some(({ data }) => isSame(one, data)));
  const findings = group
    .filter((record) => !lacking.includes(record))
    .map(({ type, name, data }): Finding => {
      return { state: "right", type, name, expected: data, found: [data], advice: null };
    });
  for (const { type, name, data } of lacking) {
    const state = others.length > 0 ? "wrong" : "missing";
    const advice = others.length > 0 ? `${PUBLISH}, in place of what is there` : PUBLISH;
    findings.push({ state, type, name, expected: data, found: others, advice });
  }
  const [first] = group;
  if (first === undefined || lacking.length > 0 || others.length === 0) return findings;
  const { type, name } = first;
  if (type === "TLSA") {
    const advice = "remove it, unless a new certificate is about to have this key";
    findings.push({ state: "superfluous", type, name, expected: null, found: others, advice });
  } else {
    const harm = type === "MX" ? "mail of the domain goes there, too" : "the world looks for the machine there, too";
    findings.push({ state: "wrong", type, name, expected: null, found: others, advice: `remove it: ${harm}` });
  }
  return findings;
}

/** Without MX's number: which machine is tried first does not matter. */
function withoutPreference(data: string): string {
  return /^\d+ \S+$/.test(data) ? data.slice(data.indexOf(" ") + 1) : data;
}

function aliasFinding({ type, name, data }: DnsRecord, target: string): Finding {
  const advice = "publish the address itself: names of mail servers must not be aliases (RFC 2181 section 10.3)";
  return { state: "wrong", type, name, expected: data, found: [`an alias of ${target}`], advice };
}

function unreadable({ outcome, why }: LookupResult, { type, name, data }: DnsRecord): Finding | null {
  if (outcome !== "bogus" && outcome !== "failed") return null;
  const advice =
    outcome === "bogus"
      ? "mend the zone's signatures: whoever validates (DNSSEC) takes the name for not there"
      : "look whether the zone's name servers answer, and `resolver:` of the definition";
  return { state: "wrong", type, name, expected: data, found: [why], advice };
}
