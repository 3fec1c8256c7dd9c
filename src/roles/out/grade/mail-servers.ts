/** Where mail for a domain goes, as DNS tells (RFC 5321 section 5.1, RFC 7505). */

import { isDomain } from "#core/mail/address.ts";
import type { Resolver } from "./dns.ts";
import { type Trouble, trouble } from "./problem.ts";

/** More are not looked at. The largest providers have five. */
const maxServers = 10;

export interface MailServers {
  /** In the order in which they are to be tried, in lower case; at least one. */
  readonly hosts: readonly string[];
  /** Validated by DNSSEC: these are the servers that the domain's owner named. */
  readonly secure: boolean;
  readonly ttlSeconds: number;
}

export async function findMailServers(
  resolver: Resolver,
  domain: string,
  signal: AbortSignal,
): Promise<MailServers | Trouble> {
  const lookup = await resolver.lookup(domain, "MX", signal);
  switch (lookup.outcome) {
    case "bogus":
      return trouble("dnssec-invalid", lookup.detail);
    case "failed":
      return trouble("dns-failure", lookup.detail);
    case "no-name":
      return trouble("no-such-domain", `the domain "${domain}" does not exist`);
    case "no-data":
      return { hosts: [domain], secure: lookup.secure, ttlSeconds: 0 };
    case "found":
      break;
  }
  const [only] = lookup.records;
  if (lookup.records.length === 1 && only?.exchange === "") {
    return trouble("null-mx", `the domain "${domain}" says that it takes no mail`);
  }
  const inOrder = lookup.records
    .filter(({ exchange }) => isHostName(exchange))
    .sort((a, b) => a.preference - b.preference);
  const hosts = [...new Set(inOrder.map(({ exchange }) => exchange))].slice(0, maxServers);
  if (hosts.length === 0) return trouble("unreachable", `the mail servers of "${domain}" have no host names`);
  return { hosts, secure: lookup.secure, ttlSeconds: lookup.ttlSeconds };
}

/** True for what may be a host's or a domain's name in lower case; addresses are none (RFC 1123 section 2.1). */
export function isHostName(text: string): boolean {
  return isDomain(text) && !/(^|\.)[0-9]+$/.test(text);
}
