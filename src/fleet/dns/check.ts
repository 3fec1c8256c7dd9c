/**
 * Looks whether the world finds the fleet's machines, and takes its mail for what it is: DNS as `out`'s resolver validates it,
 * the policy as it is served, sessions with the domain's mail servers from every address that mail leaves from, and messages that
 * are signed and leave smtpd as accounts' do, judged by an implementation that is not ours.
 */

import type { FailedResult, LookupResult, TrialResult, TrialTask } from "#roles/out/trial/exchange.ts";
import { type Answers, compareRecords } from "./compare.ts";
import type { Finding } from "./findings.ts";
import { isPrivate, type PublicHost } from "./hosts.ts";
import type { Arrival, CheckMachines } from "./machines.ts";
import { type DnsRecord, type Facts, neededRecords, postmaster } from "./records.ts";
import { judgePolicy, judgeReverse, judgeSession, judgeSource } from "./seen.ts";
import { judgeVerdict } from "./verdict.ts";

export interface CheckOptions {
  facts: Facts;
  /** Selectors that sign now. */
  selectors: readonly string[];
  /** A world of private addresses. */
  isTestWorld: boolean;
  /** smtpd's ports on `out`, by the way that they stand for. */
  ports: Readonly<Record<"strict" | "dane" | "anyway", number>>;
  sink: { domain: string; port: number };
  machines: CheckMachines;
}

/** @throws HostError EXEC when a machine does not run; FormatError CONFIG */
export async function checkDns(options: CheckOptions): Promise<Finding[]> {
  const { facts, machines } = options;
  const { domain, hosts, policy } = facts;
  const outs = hosts.filter(({ role }) => role === "out");
  const [first] = outs;
  if (first === undefined) throw new TypeError("a check without a machine `out`");
  const needed = neededRecords(facts);
  const records = await lookUp(machines, first.machine, questionsOf(needed));
  const findings = [
    ...compareRecords(needed, records),
    ...(options.isTestWorld ? [] : privateFindings(needed)),
    ...extraAddresses(hosts, records),
  ];

  const reverse = needed.filter(({ purpose }) => purpose === "reverse");
  const names = reverse.flatMap(({ type, name }) => records(type, name).records);
  const forward = await lookUp(
    machines,
    first.machine,
    [...new Set(names)].map((name) => ({ name, type: "A" as const })),
  );
  findings.push(...reverse.map((record) => judgeReverse(record, records, forward)));

  const [served] = await machines.run(first.machine, [{ kind: "policy", domain }]);
  findings.push(judgePolicy(policy, served));
  for (const out of outs) {
    findings.push(...(await checkSessions(options, out, records)), ...(await checkMail(options, out)));
  }
  return findings;
}

type Lookup = Pick<Extract<TrialTask, { kind: "lookup" }>, "name" | "type">;

function questionsOf(needed: readonly DnsRecord[]): Lookup[] {
  const own = needed.map(({ name, type }): Lookup => ({ name, type }));
  const addresses = needed.filter(({ type }) => type === "A").map(({ name }): Lookup => ({ name, type: "AAAA" }));
  return [...new Map([...own, ...addresses].map((one) => [`${one.type} ${one.name}`, one])).values()];
}

async function lookUp(machines: CheckMachines, machine: string, questions: readonly Lookup[]): Promise<Answers> {
  // What a hostile name server puts into a name can't be asked for, and is no host's name.
  const askable = questions.filter(({ name }) => /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name));
  const tasks = askable.map((one) => ({ kind: "lookup" as const, ...one }));
  const results = tasks.length === 0 ? [] : await machines.run(machine, tasks);
  const known = new Map<string, LookupResult>();
  for (const [index, { type, name }] of askable.entries()) {
    known.set(`${type} ${name}`, asLookup(results[index], name));
  }
  return (type, name) => known.get(`${type} ${name}`) ?? asLookup(undefined, name);
}

function asLookup(result: TrialResult | undefined, name: string): LookupResult {
  if (result?.kind === "lookup") return result;
  const why = result?.kind === "failed" ? result.why : `"${name}" can't be looked up`;
  return { kind: "lookup", outcome: "failed", secure: false, canonicalName: name, records: [], why };
}

function privateFindings(needed: readonly DnsRecord[]): Finding[] {
  return needed
    .filter(({ type, data }) => type === "A" && isPrivate(data))
    .map(({ type, name, data }) => {
      const advice =
        "say under `public-addresses:` of the site by which address the world knows it (docs/formats/fleet.md)";
      return { state: "wrong", type, name, expected: "an address that the world can reach", found: [data], advice };
    });
}

/** Machines have no IPv6: who tries that first waits. */
function extraAddresses(hosts: readonly PublicHost[], records: Answers): Finding[] {
  return hosts.flatMap(({ hostname: name }): Finding[] => {
    const found = records("AAAA", name).records;
    if (found.length === 0) return [];
    const advice = "remove it: the machine has no IPv6 address, and who tries that one first waits";
    return [{ state: "wrong", type: "AAAA", name, expected: null, found, advice }];
  });
}

/** Connects to every mail server that DNS names, from each address that mail leaves from. */
async function checkSessions(options: CheckOptions, out: PublicHost, records: Answers): Promise<Finding[]> {
  const { facts, machines } = options;
  const sources = [out, ...(out.anyway === undefined ? [] : [out.anyway])];
  const plans = facts.hosts
    .filter(({ role, hostname }) => role === "in" && records("A", hostname).records.length > 0)
    .flatMap(({ hostname }) => {
      const [server = ""] = records("A", hostname).records;
      return sources.map((source) => ({ hostname, source, server }));
    });
  const tasks = plans.map(({ hostname, source, server }) => ({
    ...{ kind: "session" as const, from: source.ownAddress, server, serverName: hostname },
    ...{ heloName: out.hostname, recipient: postmaster(facts.domain) },
  }));
  const results = tasks.length === 0 ? [] : await machines.run(out.machine, tasks);
  return plans.flatMap(({ hostname, source, server }, index) => {
    const result = results[index];
    const name = `${hostname} (${server}) from ${source.ownAddress}`;
    const session = judgeSession(name, facts, hostname, result);
    return result?.kind === "session" ? [...session, ...judgeSource(source, result.seen)] : session;
  });
}

/** A message by each way, as it arrives at a stranger's. */
async function checkMail(options: CheckOptions, out: PublicHost): Promise<Finding[]> {
  const { facts, selectors, ports, sink, machines } = options;
  const { domain } = facts;
  const ways = (["strict", "dane", "anyway"] as const).map((way) => ({ way, port: ports[way] }));
  const tasks = ways.map(({ port }) => {
    return { kind: "message" as const, domain, heloName: out.hostname, port, sink };
  });
  const results = await machines.run(out.machine, tasks);
  const findings: Finding[] = [];
  const arrivals: (Arrival & { name: string })[] = [];
  for (const [index, { way }] of ways.entries()) {
    const result = results[index];
    const { address } = way === "anyway" ? (out.anyway ?? out) : out;
    const name = `${out.hostname} (${way}) from ${address}`;
    if (result?.kind === "message") {
      const message = Buffer.from(result.message, "base64");
      arrivals.push({ name, message, address, heloName: out.hostname, sender: postmaster(domain) });
    } else {
      const advice = `look at \`shoalctl logs ${out.machine} smtpd\` and \`submit\``;
      findings.push({ state: "wrong", type: "MAIL", name, expected: "a signed message", found: [why(result)], advice });
    }
  }
  const verdicts = arrivals.length === 0 ? [] : await machines.judge(arrivals);
  for (const [index, { name }] of arrivals.entries()) {
    findings.push(judgeVerdict(name, verdicts[index] ?? new Map(), { domain, selectors }));
  }
  return findings;
}

function why(result: TrialResult | undefined): FailedResult["why"] {
  return result?.kind === "failed" ? result.why : "something that was not asked for";
}
