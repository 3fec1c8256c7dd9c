/** Which MTA-STS policy is in force for a domain: announced in DNS, fetched once for each id, kept as long as it says. */

import type { SecureContext } from "node:tls";
import type { AddressGuard } from "./address-guard.ts";
import { BoundedCache } from "./bounded-cache.ts";
import type { Resolver } from "./dns.ts";
import { type Trouble, trouble } from "./problem.ts";
import { fetchPolicy } from "./sts-fetch.ts";
import { announcedId, type StsPolicy } from "./sts-policy.ts";

const maxPolicies = 2048;
const maxAddressesTried = 2;

/** `null`: no policy, so nothing is promised. A trouble: one is promised, and can't be known. */
export type PolicyInForce = StsPolicy | Trouble | null;

export interface StsPoliciesOptions {
  readonly resolver: Resolver;
  readonly guard: AddressGuard;
  readonly context: SecureContext;
  readonly port: number;
  readonly now: () => number;
}

export class StsPolicies {
  readonly #options: StsPoliciesOptions;
  readonly #known: BoundedCache<{ id: string; policy: StsPolicy }>;

  constructor(options: StsPoliciesOptions) {
    this.#options = options;
    this.#known = new BoundedCache(maxPolicies, options.now);
  }

  /**
   * A policy that is known and not over its age stays in force when its announcement vanishes or the new one can't be
   * fetched (RFC 8461 section 5): otherwise whoever can hold back an answer could switch it off.
   */
  async inForce(domain: string, signal: AbortSignal): Promise<PolicyInForce> {
    const known = this.#known.get(domain);
    const announcement = await this.#options.resolver.lookup(`_mta-sts.${domain}`, "TXT", signal);
    if ("detail" in announcement) {
      const problem = announcement.outcome === "bogus" ? "dnssec-invalid" : "dns-failure";
      return known?.policy ?? trouble(problem, announcement.detail);
    }
    const id = announcedId(announcement.records);
    if (id === null || id === known?.id) return known?.policy ?? null;
    const fetched = await this.#fetch(`mta-sts.${domain}`, signal);
    if (!("mode" in fetched)) return known?.policy ?? fetched;
    this.#known.set(domain, { id, policy: fetched }, this.#options.now() + fetched.maxAgeSeconds * 1000);
    return fetched;
  }

  async #fetch(name: string, signal: AbortSignal): Promise<StsPolicy | Trouble> {
    const { resolver, guard, context, port } = this.#options;
    const lookups = await Promise.all([resolver.lookup(name, "A", signal), resolver.lookup(name, "AAAA", signal)]);
    const addresses = lookups
      .flatMap((lookup) => ("records" in lookup ? lookup.records : []))
      .filter((each) => guard.allows(each));
    let result: StsPolicy | Trouble = trouble("sts-policy-fetch-error", `"${name}" has no address that may be asked`);
    for (const address of addresses.slice(0, maxAddressesTried)) {
      result = await fetchPolicy({ name, address, port, context }, signal);
      if ("mode" in result || result.problem !== "sts-policy-fetch-error") break;
    }
    return result;
  }
}
