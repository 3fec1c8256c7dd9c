/** Every DNS record that a fleet needs. Pure. */

import { createHash, X509Certificate } from "node:crypto";
import type { DkimRecord } from "#fleet/dkim.ts";
import { type PublicHost, sendingAddresses } from "./hosts.ts";
import type { OwnPolicy } from "./sts-policy.ts";

/** What a record is there for. */
export type Purpose =
  | "mail"
  | "address"
  | "sender"
  | "signature"
  | "alignment"
  | "certificate"
  | "policy"
  | "reports"
  | "reverse";

export interface DnsRecord {
  purpose: Purpose;
  /** Without the final dot, as all names here. */
  name: string;
  type: "A" | "MX" | "PTR" | "TLSA" | "TXT";
  /** `10 mx.example.org` of MX, `3 1 1 …` of TLSA, the bare text of TXT. */
  data: string;
}

export interface Facts {
  domain: string;
  hosts: readonly PublicHost[];
  /** Host name -> certificate, PEM: of each machine `in`. */
  certificates: ReadonlyMap<string, string>;
  dkim: readonly Pick<DkimRecord, "selector" | "txt">[];
  policy: OwnPolicy;
}

/** Where reports about TLS and forged mail go, and what RFC 5321 section 4.5.1 demands of every domain. */
export function postmaster(domain: string): string {
  return `postmaster@${domain}`;
}

/** In the order in which they are printed: by purpose. */
export function neededRecords({ domain, hosts, certificates, dkim, policy }: Facts): DnsRecord[] {
  const records: DnsRecord[] = [];
  const add = (purpose: Purpose, type: DnsRecord["type"], name: string, data: string): void => {
    records.push({ purpose, name, type, data });
  };
  const ins = hosts.filter(({ role }) => role === "in");
  const outs = hosts.filter(({ role }) => role === "out");
  for (const { hostname } of ins) add("mail", "MX", domain, `10 ${hostname}`);
  for (const { hostname, address } of hosts) add("address", "A", hostname, address);
  for (const { anyway } of outs) if (anyway !== undefined) add("address", "A", anyway.hostname, anyway.address);

  // Mail comes from nowhere else, and under no other name: the names that `out` greets with are checked, too (RFC 7208 section 2.3).
  const spf = ["v=spf1", ...sendingAddresses(hosts).map((address) => `ip4:${address}`), "-all"].join(" ");
  for (const name of [domain, ...outs.map(({ hostname }) => hostname)]) add("sender", "TXT", name, spf);
  for (const { selector, txt } of dkim) add("signature", "TXT", `${selector}._domainkey.${domain}`, txt);
  const reports = `mailto:${postmaster(domain)}`;
  add("alignment", "TXT", `_dmarc.${domain}`, `v=DMARC1; p=reject; adkim=s; aspf=s; rua=${reports}`);

  for (const { hostname } of ins) {
    add("certificate", "TLSA", `_25._tcp.${hostname}`, `3 1 1 ${publicKeyDigest(certificates.get(hostname))}`);
  }
  add("policy", "TXT", `_mta-sts.${domain}`, `v=STSv1; id=${policy.id}`);
  add("reports", "TXT", `_smtp._tls.${domain}`, `v=TLSRPTv1; rua=${reports}`);
  for (const { hostname, address, anyway } of outs) {
    add("reverse", "PTR", reverseName(address), hostname);
    if (anyway !== undefined && anyway.address !== address) {
      add("reverse", "PTR", reverseName(anyway.address), anyway.hostname);
    }
  }
  return records;
}

/** SHA-256 of the SubjectPublicKeyInfo, hexadecimal (RFC 6698 section 2.1: selector 1, matching type 1). */
export function publicKeyDigest(pem: string | undefined): string {
  if (pem === undefined) throw new TypeError("a machine that takes mail has no certificate");
  const key = new X509Certificate(pem).publicKey.export({ format: "der", type: "spki" });
  return createHash("sha256").update(key).digest("hex");
}

function reverseName(address: string): string {
  return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
}
