/** Records as a fragment of a zone file (RFC 1035 section 5.1). Pure. */

import { isPrivate } from "./hosts.ts";
import type { DnsRecord, Purpose } from "./records.ts";
import type { OwnPolicy } from "./sts-policy.ts";

/** Seconds that answers may be kept: short enough to correct a mistake, long enough to be no burden. */
const KEEP_SECONDS = 3600;
/** Bytes in one string of a TXT record. */
const MAX_STRING = 255;

const headings: Record<Purpose, string> = {
  mail: "Mail for the domain comes here.",
  address: "Where the machines are.",
  sender: "SPF: mail of the domain leaves from these addresses and no others.",
  signature: "DKIM: keys of the signatures in mail. Keys that are to sign next are published long before.",
  alignment: "DMARC: mail in the domain's name that is neither from there nor signed is to be refused.",
  certificate: "DANE: the certificates of the machines that take mail. Believed only if the zone is signed (DNSSEC).",
  policy: "MTA-STS: a policy lies on your web server, see below. Change the id with the policy.",
  reports: "TLSRPT: where others report that they could not reach the machines over TLS.",
  reverse:
    "Reverse names belong to whoever gave you the addresses: ask there for these. Many servers refuse mail without.",
};

/** @param notes further lines for people */
export function printZone(
  domain: string,
  records: readonly DnsRecord[],
  policy: OwnPolicy,
  notes: readonly string[] = [],
): string {
  const lines = [`; ${domain}: printed by shoalctl dns`, ...notes.map((note) => `; ${note}`), `$TTL ${KEEP_SECONDS}`];
  let last: Purpose | undefined;
  for (const record of records) {
    if (record.purpose !== last) lines.push("", `; ${headings[record.purpose]}`);
    last = record.purpose;
    lines.push(record.purpose === "reverse" ? `; ${printRecord(record)}` : printRecord(record));
  }
  const file = policy.text.trimEnd().split("\r\n");
  lines.push(
    "",
    "; The policy: a file of type text/plain with these lines, on a web server with a certificate that is valid for its name,",
    `; at ${policy.url}`,
    ...(policy.mode === "testing"
      ? ['; Mode "testing", because the certificate of `in` is signed by no authority.']
      : []),
    `; mta-sts.${domain}. IN A (address of the web server)`,
    ";",
    ...file.map((line) => `; ${line}`),
  );
  return `${lines.join("\n")}\n`;
}

/** One line; names with their final dot. */
export function printRecord({ name, type, data }: DnsRecord): string {
  return `${name}. IN ${type} ${printData(type, data)}`;
}

/** Addresses that the world can't reach, which the definition should say otherwise. */
export function privateAddresses(records: readonly DnsRecord[]): string[] {
  return [...new Set(records.filter(({ type, data }) => type === "A" && isPrivate(data)).map(({ data }) => data))];
}

function printData(type: DnsRecord["type"], data: string): string {
  if (type === "MX" || type === "PTR") return `${data}.`;
  if (type !== "TXT") return data;
  const strings = data.match(new RegExp(`.{1,${MAX_STRING}}`, "g")) ?? [""];
  return strings.map((part) => `"${part.replaceAll(/["\\]/g, "\\$&")}"`).join(" ");
}
