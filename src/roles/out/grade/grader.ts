/** How well can mail for a domain be delivered? Asked before mail is accepted; the answer is `docs/formats/grades.md`. */

import { FormatError } from "#core/errors.ts";
import { AddressGuard } from "./address-guard.ts";
import { authorities } from "./authorities.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { Resolver } from "./dns.ts";
import { type Judgement, judge, unknownServers } from "./judge.ts";
import { findMailServers, isHostName } from "./mail-servers.ts";
import { trouble } from "./problem.ts";
import { type ServerProbeOptions, type ServerView, viewServer } from "./server-probe.ts";
import { Slots } from "./slots.ts";
import { StsPolicies } from "./sts-policies.ts";

export interface GraderOptions {
  /** A resolver that validates, on this machine or as near: its AD bit is believed. */
  readonly resolver: { readonly address: string; readonly port: number };
  /** How we greet mail servers: this machine's name. */
  readonly heloName: string;
  /** PEM file with the authorities that smtpd trusts, too. */
  readonly caFile?: string;
  readonly connectTimeoutMs?: number;
  /** From the start of a domain's probe to its grade, whatever happens. */
  readonly domainTimeoutMs?: number;
  /** For a test network: private addresses are probed, too. */
  readonly allowPrivate?: boolean;
  /** CIDR blocks of the provider that strangers' DNS must not lead us to. */
  readonly ownNetworks?: readonly string[];
  /** Milliseconds; for the caches and for what DANE-TA judges. */
  readonly now?: () => number;
}

export interface DomainGrade extends Judgement {
  /** In lower case. */
  readonly domain: string;
  /** Milliseconds on the clock of `now`: until then the same answer is given again. */
  readonly expires: number;
}

const smtpPort = 25;
const httpsPort = 443;
const maxDomainsPerCall = 1000;
const domainsAtOncePerCall = 8;
const domainsAtOnce = 64;
const serversAtOnce = 128;
const maxWaiting = 4096;
const maxRemembered = 4096;
/** Certificates are large: some kilobytes for each server. */
const maxServersRemembered = 1024;
const shortestMemorySeconds = 60;
/** Grades are kept this long at most, and so is what was seen of a server: together twice as long. */
const longestMemorySeconds = 600;

/** Each domain and each server is probed once at a time, for all who ask. */
export class Grader {
  readonly #now: () => number;
  readonly #resolver: Resolver;
  readonly #probeOptions: ServerProbeOptions;
  readonly #policies: StsPolicies;
  readonly #domainTimeoutMs: number;
  readonly #grades: BoundedCache<DomainGrade>;
  readonly #views: BoundedCache<ServerView>;
  readonly #gradesUnderWay = new Map<string, Promise<DomainGrade>>();
  readonly #viewsUnderWay = new Map<string, Promise<ServerView>>();
  readonly #domainSlots = new Slots(domainsAtOnce, maxWaiting);
  readonly #serverSlots = new Slots(serversAtOnce, maxWaiting);

  /** Reads `caFile`. @throws the error of reading it */
  constructor(options: GraderOptions) {
    const { resolver, heloName, connectTimeoutMs = 4000, domainTimeoutMs = 10_000, now = Date.now } = options;
    const context = authorities(options.caFile);
    const guard = new AddressGuard({
      allowPrivate: options.allowPrivate ?? false,
      ownNetworks: options.ownNetworks ?? [],
    });
    this.#now = now;
    this.#domainTimeoutMs = domainTimeoutMs;
    this.#resolver = new Resolver({ ...resolver, tryMilliseconds: domainTimeoutMs / 4, tries: 2 });
    this.#probeOptions = {
      resolver: this.#resolver,
      guard,
      context,
      port: smtpPort,
      heloName,
      connectMilliseconds: connectTimeoutMs,
    };
    this.#policies = new StsPolicies({ resolver: this.#resolver, guard, context, port: httpsPort, now });
    this.#grades = new BoundedCache(maxRemembered, now);
    this.#views = new BoundedCache(maxServersRemembered, now);
  }

  /**
   * One grade for each domain, under its name in lower case. What the network does is never an exception.
   * @throws FormatError TOO-LARGE for more than 1000 domains; HostError BUSY when too many callers wait
   */
  async grade(domains: readonly string[]): Promise<Map<string, DomainGrade>> {
    const names = [...new Set(domains.map((domain) => domain.toLowerCase()))];
    if (names.length > maxDomainsPerCall) {
      throw new FormatError("TOO-LARGE", `expected at most ${maxDomainsPerCall} domains`);
    }
    // One caller with many slow domains must not take all of the slots.
    const own = new Slots(domainsAtOncePerCall, maxDomainsPerCall);
    const grades = await Promise.all(names.map((name) => own.run(() => this.#gradeOne(name))));
    return new Map(grades.map((grade) => [grade.domain, grade]));
  }

  async #gradeOne(domain: string): Promise<DomainGrade> {
    const known = this.#grades.get(domain);
    if (known !== undefined) return known;
    return await once(this.#gradesUnderWay, domain, async () => {
      const grade = await this.#domainSlots.run(() => this.#probe(domain));
      this.#grades.set(domain, grade, grade.expires);
      return grade;
    });
  }

  async #probe(domain: string): Promise<DomainGrade> {
    if (!isHostName(domain)) {
      const judgement = unknownServers(trouble("no-such-domain", `${JSON.stringify(domain)} is no domain name`));
      return { domain, ...judgement, expires: this.#expiry(0) };
    }
    const deadline = new AbortController();
    const late = trouble(
      "unreachable",
      `the probe of "${domain}" did not end within ${this.#domainTimeoutMs / 1000} seconds`,
    );
    const timer = Promise.withResolvers<DomainGrade>();
    const timeout = setTimeout(() => {
      timer.resolve({ domain, ...unknownServers(late), expires: this.#expiry(0) });
      deadline.abort();
    }, this.#domainTimeoutMs);
    try {
      return await Promise.race([this.#look(domain, deadline.signal), timer.promise]);
    } finally {
      clearTimeout(timeout);
    }
  }

  async #look(domain: string, signal: AbortSignal): Promise<DomainGrade> {
    const servers = await findMailServers(this.#resolver, domain, signal);
    if ("problem" in servers) return { domain, ...unknownServers(servers), expires: this.#expiry(0) };
    // Well before the deadline, so that a policy host that stalls is called by its name.
    const policySignal = AbortSignal.any([signal, AbortSignal.timeout(this.#domainTimeoutMs / 2)]);
    const [policy, ...views] = await Promise.all([
      this.#policies.inForce(domain, policySignal),
      ...servers.hosts.map((host) => this.#view(host, servers.secure)),
    ]);
    const judgement = judge({ domain, views, policy, now: this.#now() });
    const ttlSeconds = Math.min(servers.ttlSeconds, ...views.map((view) => view.ttlSeconds));
    return { domain, ...judgement, expires: this.#expiry(judgement.grade === "none" ? 0 : ttlSeconds) };
  }

  async #view(host: string, dane: boolean): Promise<ServerView> {
    const key = `${dane ? "dane" : "name"} ${host}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    return await once(this.#viewsUnderWay, key, async () => {
      const view = await this.#serverSlots.run(async () => {
        // Of its own, as others may be waiting for it, and shorter, so that one server that stalls does not hide the others.
        const signal = AbortSignal.timeout(this.#domainTimeoutMs * 0.7);
        return await viewServer(host, dane, this.#probeOptions, signal);
      });
      this.#views.set(key, view, this.#expiry("problem" in view.seen ? 0 : view.ttlSeconds));
      return view;
    });
  }

  #expiry(ttlSeconds: number): number {
    return this.#now() + 1000 * Math.min(Math.max(ttlSeconds, shortestMemorySeconds), longestMemorySeconds);
  }
}

async function once<Value>(
  underWay: Map<string, Promise<Value>>,
  key: string,
  work: () => Promise<Value>,
): Promise<Value> {
  let promise = underWay.get(key);
  if (promise === undefined) {
    promise = work().finally(() => underWay.delete(key));
    underWay.set(key, promise);
  }
  return await promise;
}

/** Made once: reading some hundred authorities takes longer than a handshake. */
