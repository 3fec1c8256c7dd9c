import type { OptionValues, Verb } from "#cli/command.ts";
import { print, say } from "#cli/terminal.ts";
import { PolicyError } from "#core/errors.ts";
import type { Fleet } from "#fleet/definition/definition.ts";
import { type DkimRecord, dkimRecords } from "#fleet/dkim.ts";
import { fleetOption, noMore, readFleet } from "#fleet/fleet-option.ts";
import { ensureFleetKeys } from "#fleet/keys.ts";
import { siteMachines } from "#fleet/plan.ts";
import { ports, trial } from "#fleet/roles/out.ts";
import { isTestWorld } from "#fleet/roles/role.ts";
import { checkDns } from "./check.ts";
import { type Finding, isWell, printFindings } from "./findings.ts";
import { publicHosts } from "./hosts.ts";
import { checkMachines } from "./machines.ts";
import { printZone, privateAddresses } from "./print-zone.ts";
import { type Facts, neededRecords } from "./records.ts";
import { ownPolicy } from "./sts-policy.ts";

export const dns: Verb = {
  help: `Usage: shoalctl dns [--fleet FILE] [--check] [--json]

Prints what has to be published for the fleet, as a fragment of a zone file: mail servers, addresses, SPF, DKIM, DMARC,
MTA-STS, TLSRPT, and DANE. Reverse names and the MTA-STS policy, which lie elsewhere, are comments. Keys that do not exist
yet are made.

With --check, looks whether it is published, as machine \`out\` sees the world: asks DNS, fetches the policy, connects to the
domain's mail servers from all addresses that mail leaves from, and sends itself messages that are signed and leave as
people's do; rspamd judges them. Nobody gets any of it. What is missing, wrong or superfluous is named with what was
expected and found, and what to do. Exit status 0 when nothing has to be done, else 1.

Example:
  shoalctl dns > zone-part && shoalctl dns --check
`,
  options: { ...fleetOption, check: { type: "boolean" }, json: { type: "boolean" } },
  async run(operands, options) {
    noMore(operands);
    const fleet = await readFleet(options);
    const dkim = await dkimRecords(fleet);
    const facts = await factsOf(fleet, dkim);
    if (options["check"] === true) return await check(fleet, facts, dkim, options);
    const records = neededRecords(facts);
    if (options["json"] === true) {
      const { url, text } = facts.policy;
      print(`${JSON.stringify({ domain: fleet.domain, records, policy: { url, text } }, null, 2)}\n`);
      return 0;
    }
    const unreachable = isTestWorld(fleet) ? [] : privateAddresses(records);
    const notes = unreachable.map((address) => `${address} is private: see public-addresses in docs/formats/fleet.md`);
    print(printZone(fleet.domain, records, facts.policy, notes));
    return 0;
  },
};

/** What the records are made of. @throws HostError; FormatError */
export async function factsOf(fleet: Fleet, dkim: readonly DkimRecord[]): Promise<Facts> {
  const { publicKeys } = await ensureFleetKeys(fleet);
  const hosts = publicHosts(fleet);
  const ins = hosts.filter(({ role }) => role === "in");
  const certificates = new Map(ins.map(({ hostname, machine }) => [hostname, publicKeys.get(`tls/${machine}`) ?? ""]));
  const mx = ins.map(({ hostname }) => hostname);
  const policy = ownPolicy(fleet.domain, mx, [...certificates.values()]);
  return { domain: fleet.domain, hosts, certificates, dkim, policy };
}

async function check(fleet: Fleet, facts: Facts, dkim: readonly DkimRecord[], options: OptionValues): Promise<number> {
  const judge = siteMachines(fleet, fleet.live).find(({ role }) => role === "spam-in");
  if (fleet.roles.out === 0 || judge === undefined) {
    throw new PolicyError("USAGE", "the fleet has no machine `out`, which looks at the world", {
      hint: "set `out: 1` under `roles:`",
    });
  }
  const findings = await checkDns({
    facts,
    selectors: dkim.filter(({ use }) => use === "current").map(({ selector }) => selector),
    isTestWorld: isTestWorld(fleet),
    ports,
    sink: trial,
    machines: checkMachines(fleet.name, judge.name),
  });
  const well = isWell(findings);
  print(options["json"] === true ? `${JSON.stringify({ well, findings })}\n` : printFindings(findings));
  if (options["json"] !== true) say("shoalctl", summary(findings));
  return well ? 0 : 1;
}

function summary(findings: readonly Finding[]): string {
  const count = (state: Finding["state"]): number => findings.filter((finding) => finding.state === state).length;
  const parts = (["right", "missing", "wrong", "superfluous"] as const)
    .filter((state) => state === "right" || count(state) > 0)
    .map((state) => `${count(state)} ${state}`);
  return parts.join(", ");
}
