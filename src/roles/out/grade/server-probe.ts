/** Everything about one mail server that does not depend on the domain whose mail it takes: so it is found out once for all. */

import type { SecureContext } from "node:tls";
import type { AddressGuard } from "./address-guard.ts";
import { usableRecords } from "./dane.ts";
import type { Lookup, Resolver } from "./dns.ts";
import type { TlsaRecord } from "./dns-message.ts";
import { type Trouble, trouble } from "./problem.ts";
import { lookAtServer, type Shown } from "./starttls.ts";

const maxAddressesTried = 4;

/** `none`: no promise by TLSA records that we could hold the server to. */
export type Tlsa =
  | { readonly kind: "none" }
  /** Records, validated, and none of them usable (RFC 7672 section 2.2): TLS is a must, and DANE vouches for nothing. */
  | { readonly kind: "unusable"; readonly detail: string }
  | { readonly kind: "usable"; readonly base: string; readonly records: readonly TlsaRecord[] }
  /** There may be records, and they can't be had as they are: nothing is to be sent (RFC 7672 section 2.1.2). */
  | { readonly kind: "broken"; readonly trouble: Trouble };

export interface ServerView {
  readonly host: string;
  readonly tlsa: Tlsa;
  readonly seen: Shown | Trouble;
  /** 0 if nothing was found. */
  readonly ttlSeconds: number;
}

export interface ServerProbeOptions {
  readonly resolver: Resolver;
  readonly guard: AddressGuard;
  readonly context: SecureContext;
  readonly port: number;
  readonly heloName: string;
  readonly connectMilliseconds: number;
}

/** @param dane the host's name is validated, so its TLSA records bind */
export async function viewServer(
  host: string,
  dane: boolean,
  options: ServerProbeOptions,
  signal: AbortSignal,
): Promise<ServerView> {
  const { resolver, guard } = options;
  const lookups = await Promise.all([resolver.lookup(host, "A", signal), resolver.lookup(host, "AAAA", signal)]);
  const good = lookups.flatMap((lookup) => ("records" in lookup ? [lookup] : []));
  const ttlSeconds = Math.min(...good.filter(({ records }) => records.length > 0).map((each) => each.ttlSeconds));
  const nothing = { host, tlsa: { kind: "none" } as const, ttlSeconds: 0 };
  // An IPv6 answer that fails, beside an IPv4 one that does not, is a broken name server and no reason to give up.
  const addresses = good.flatMap(({ records }) => records);
  const failure = lookups.find((lookup) => !("records" in lookup));
  if (failure !== undefined && "detail" in failure && (failure.outcome === "bogus" || addresses.length === 0)) {
    const problem = failure.outcome === "bogus" ? "dnssec-invalid" : "dns-failure";
    return { ...nothing, seen: trouble(problem, failure.detail) };
  }
  const open = addresses.filter((address) => guard.allows(address)).slice(0, maxAddressesTried);
  if (open.length === 0) {
    const what = addresses.length === 0 ? "has no address" : "has no address on the public internet";
    return { ...nothing, seen: trouble("unreachable", `the mail server "${host}" ${what}`) };
  }
  const tlsa = dane ? await findTlsa(host, good, options, signal) : nothing.tlsa;
  if (tlsa.kind === "broken") return { host, tlsa, seen: tlsa.trouble, ttlSeconds };
  const serverName = tlsa.kind === "usable" ? tlsa.base : host;
  let seen: Shown | Trouble = trouble("unreachable", `the mail server "${host}" does not answer`);
  for (const address of open) {
    seen = await lookAtServer({ ...options, address, serverName }, signal);
    if (!("problem" in seen) || seen.problem !== "unreachable" || signal.aborted) break;
  }
  return { host, tlsa, seen, ttlSeconds };
}

/**
 * The TLSA records of a host (RFC 7672 section 2.2.2): asked for only if its addresses are validated, first under the name
 * where its aliases end, then under its own.
 */
async function findTlsa(
  host: string,
  addresses: readonly Extract<Lookup<"A" | "AAAA">, { secure: boolean }>[],
  { resolver, port }: ServerProbeOptions,
  signal: AbortSignal,
): Promise<Tlsa> {
  const found = addresses.filter(({ records }) => records.length > 0);
  const target = found[0]?.canonicalName ?? host;
  const bases: string[] = [];
  if (found.every(({ secure }) => secure)) bases.push(...new Set([target, host]));
  else if (target !== host) {
    // The alias itself may be validated even if what it leads to is not.
    const alias = await resolver.lookup(host, "CNAME", signal);
    if ("secure" in alias && alias.secure) bases.push(host);
  }
  for (const base of bases) {
    const lookup = await resolver.lookup(`_${port}._tcp.${base}`, "TLSA", signal);
    if (!("records" in lookup)) return { kind: "broken", trouble: trouble("dnssec-invalid", lookup.detail) };
    if (lookup.records.length === 0) continue;
    if (!lookup.secure) {
      const detail = `the TLSA records of "${base}" are not signed, although its addresses are`;
      return { kind: "broken", trouble: trouble("dnssec-invalid", detail) };
    }
    const records = usableRecords(lookup.records);
    if (records.length > 0) return { kind: "usable", base, records };
    return { kind: "unusable", detail: `none of the TLSA records of "${base}" can be used for mail` };
  }
  return { kind: "none" };
}
