/** Domains with mail servers of every kind, good and evil, and the line that each one's grade prints. */

import { gzipSync } from "node:zlib";
import { type Authority, type Identity, tlsaData } from "./authority.ts";
import type { MailServer, MailServerOptions, Step } from "./mail-server.ts";
import type { PolicyHost, PolicyHostOptions } from "./policy-host.ts";
import type { GradeWorld } from "./world.ts";

const wildcards = ["*.plain.example", "*.signed.example"];

export class Cases {
  /** Domain and the line that its grade prints. */
  readonly expected = new Map<string, string>();
  readonly enforceable = new Map<string, boolean>();
  /** By the label of their domain. */
  readonly servers = new Map<string, MailServer>();
  readonly policyHosts = new Map<string, PolicyHost>();
  readonly #world: GradeWorld;
  readonly #identities: Identities;

  private constructor(world: GradeWorld, identities: Identities) {
    this.#world = world;
    this.#identities = identities;
  }

  /** All servers listen afterwards; the names are for `GradeWorld.startNames`. */
  static async setUp(world: GradeWorld): Promise<Cases> {
    const cases = new Cases(world, await makeIdentities(world.authority));
    await world.trust(cases.#identities.root);
    await cases.#setUpCertificates();
    await cases.#setUpConversations();
    cases.#setUpNames();
    await cases.#setUpDane();
    await cases.#setUpDaneAnchors();
    await cases.#setUpDnssec();
    await cases.#setUpPolicies();
    cases.#setUpSeveral();
    return cases;
  }

  /** A domain in the unsigned zone with one mail server. */
  async #plain(label: string, options: MailServerOptions, line: string): Promise<void> {
    const domain = `${label}.plain.example`;
    this.#world.record("plain.example", `${label} IN MX 10 mx-${label}`);
    this.servers.set(label, await this.#world.mailServer("plain.example", `mx-${label}`, options));
    this.#expect(domain, line, `mx-${label}.plain.example`);
  }

  /** A domain in the signed zone with one mail server, and TLSA records for it. */
  async #signed(label: string, identity: Identity | null, tlsa: readonly string[], line: string): Promise<void> {
    this.#world.record("signed.example", `${label} IN MX 10 mx-${label}`);
    for (const data of tlsa) this.#world.record("signed.example", `_25._tcp.mx-${label} IN TLSA ${data}`);
    this.servers.set(
      label,
      await this.#world.mailServer("signed.example", `mx-${label}`, identity === null ? {} : { identity }),
    );
    this.#expect(`${label}.signed.example`, line, `mx-${label}.signed.example`);
  }

  /** A domain with a good mail server and an MTA-STS policy. */
  async #policy(label: string, options: Partial<PolicyHostOptions>, line: string): Promise<void> {
    const { root, good } = this.#identities;
    await this.#plain(label, { identity: good }, line);
    const host = `mta-sts.${label}.plain.example`;
    const identity =
      options.identity ?? (await this.#world.authority.identity({ name: "policy", names: [host], issuer: root }));
    this.policyHosts.set(label, await this.#world.policyHost("plain.example", label, { ...options, identity }));
  }

  /** In `line`, `@` is the domain and `MX` its mail server. */
  #expect(domain: string, line: string, mx = "-"): void {
    this.expected.set(domain, line.replaceAll("@", domain).replaceAll("MX", mx));
  }

  async #setUpCertificates(): Promise<void> {
    const { middle, good, wrongName, expired, selfSigned, commonNameOnly, privateLeaf } = this.#identities;
    await this.#plain("good", { identity: good }, "tls valid @ - MX");
    await this.#plain("wrong-name", { identity: wrongName }, "tls-problem @ certificate-host-mismatch MX");
    await this.#plain("expired", { identity: expired }, "tls-problem @ certificate-expired MX");
    await this.#plain("self-signed", { identity: selfSigned }, "tls-problem @ certificate-not-trusted MX");
    await this.#plain("private", { identity: privateLeaf }, "tls-problem @ certificate-not-trusted MX");
    const upcoming = await this.#world.authority.identity({
      name: "x",
      names: wildcards,
      issuer: middle,
      when: "future",
    });
    await this.#plain("upcoming", { identity: upcoming }, "tls-problem @ validation-failure MX");
    const incomplete = { ...good, chain: good.certificate };
    await this.#plain("incomplete", { identity: incomplete }, "tls-problem @ certificate-not-trusted MX");
    await this.#plain("common-name", { identity: commonNameOnly }, "tls-problem @ certificate-host-mismatch MX");
    await this.#plain("old-tls", { identity: good, maxVersion: "TLSv1.1" }, "tls-problem @ validation-failure MX");
    await this.#plain("tls12", { identity: good, maxVersion: "TLSv1.2" }, "tls valid @ - MX");
  }

  async #setUpConversations(): Promise<void> {
    const { good } = this.#identities;
    await this.#plain("no-starttls", {}, "tls-problem @ starttls-not-supported MX");
    const refused = { identity: good, starttls: "454 4.7.0 TLS not available\r\n" };
    await this.#plain("starttls-refused", refused, "tls-problem @ starttls-not-supported MX");
    await this.#plain("helo-only", { ehlo: "502 unknown command\r\n" }, "tls-problem @ starttls-not-supported MX");
    // A man in the middle overwrites the word.
    await this.#plain("stripped", { ehlo: "250-mx\r\n250 XXXXXXXA\r\n" }, "tls-problem @ starttls-not-supported MX");
    const injected = { identity: good, starttls: "220 go\r\n250-mx\r\n250 STARTTLS\r\n" };
    await this.#plain("injected", injected, "tls-problem @ validation-failure MX");
    await this.#plain(
      "half-injected",
      { identity: good, starttls: "220 go\r\n2" },
      "tls-problem @ validation-failure MX",
    );
    await this.#plain(
      "early",
      { identity: good, greeting: "220 mx\r\n250 mx\r\n" },
      "tls-problem @ validation-failure MX",
    );
    await this.#plain(
      "bare-line-ends",
      { identity: good, greeting: "220 mx\n" },
      "tls-problem @ validation-failure MX",
    );
    await this.#plain("no-smtp", { greeting: "SSH-2.0-OpenSSH_9.9\r\n" }, "tls-problem @ validation-failure MX");
    await this.#plain("two-codes", { ehlo: "250-mx\r\n220 STARTTLS\r\n" }, "tls-problem @ validation-failure MX");
    await this.#plain("long-line", { greeting: "2".repeat(100_000) }, "tls-problem @ validation-failure MX");
    await this.#plain("many-lines", { ehlo: "250-x\r\n".repeat(5000) }, "tls-problem @ validation-failure MX");
    await this.#plain("go-away", { greeting: "554 no service\r\n" }, "tls-problem @ unreachable MX");
    await this.#plain("busy", { greeting: "421 too busy\r\n" }, "tls-problem @ unreachable MX");
    for (const step of ["greeting", "ehlo", "starttls", "handshake"] satisfies Step[]) {
      await this.#plain(`stall-${step}`, { identity: good, stall: step }, "tls-problem @ unreachable MX");
      const problem = step === "handshake" ? "validation-failure" : "unreachable";
      await this.#plain(`close-${step}`, { identity: good, close: step }, `tls-problem @ ${problem} MX`);
    }
  }

  #setUpNames(): void {
    const zone = "plain.example";
    this.#world.record(
      zone,
      "null-mx IN MX 0 .",
      "implicit IN A 45.45.0.7",
      "empty IN TXT none",
      "dead IN MX 10 mx-dead",
    );
    this.#world.record(zone, "mx-dead IN A 45.45.0.8", "gone IN MX 10 mx-gone", "loop IN MX 10 loop-a");
    this.#world.record(
      zone,
      "loop-a IN CNAME loop-b",
      "loop-b IN CNAME loop-a",
      "odd IN MX 10 a\\032b",
      "numbers IN MX 10 127.0.0.1.",
      "half-null IN MX 0 .",
      "half-null IN MX 10 mx-good",
      "silent-mx IN MX 10 mx.silent.example.",
    );
    this.#expect("null-mx.plain.example", "tls-problem @ null-mx -");
    this.#expect("nowhere.plain.example", "tls-problem @ no-such-domain -");
    this.#expect("implicit.plain.example", "tls-problem @ unreachable MX", "implicit.plain.example");
    this.#expect("empty.plain.example", "tls-problem @ unreachable MX", "empty.plain.example");
    this.#expect("dead.plain.example", "tls-problem @ unreachable MX", "mx-dead.plain.example");
    this.#expect("gone.plain.example", "tls-problem @ unreachable MX", "mx-gone.plain.example");
    this.#expect("loop.plain.example", "tls-problem @ dns-failure MX", "loop-a.plain.example");
    this.#expect("odd.plain.example", "tls-problem @ unreachable -");
    this.#expect("half-null.plain.example", "tls valid @ - mx-good.plain.example");
    this.#expect("numbers.plain.example", "tls-problem @ unreachable -");
    this.#expect("silent-mx.plain.example", "tls-problem @ dns-failure MX", "mx.silent.example");
    this.#expect("any.silent.example", "tls-problem @ dns-failure -");
    this.#expect("any.bogus.example", "tls-problem @ dnssec-invalid -");
    const closed = [
      "127.0.0.1",
      "10.1.2.3",
      "192.168.1.1",
      "172.16.0.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
    ];
    for (const [index, address] of closed.entries()) {
      this.#world.record(zone, `closed-${index} IN MX 10 mx-closed-${index}`, `mx-closed-${index} IN A ${address}`);
      this.#expect(`closed-${index}.plain.example`, "tls-problem @ unreachable MX", `mx-closed-${index}.plain.example`);
    }
    for (const [index, address] of [
      "::1",
      "::ffff:127.0.0.1",
      "fd00::1",
      "fe80::1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::1",
    ].entries()) {
      this.#world.record(
        zone,
        `closed6-${index} IN MX 10 mx-closed6-${index}`,
        `mx-closed6-${index} IN AAAA ${address}`,
      );
      this.#expect(
        `closed6-${index}.plain.example`,
        "tls-problem @ unreachable MX",
        `mx-closed6-${index}.plain.example`,
      );
    }
  }

  /** Several servers: the strict relay never uses the bad one, so it is the good ones that count. */
  #setUpSeveral(): void {
    const zone = "plain.example";
    this.#world.record(zone, "mixed IN MX 10 mx-self-signed", "mixed IN MX 20 mx-good", "mixed IN MX 30 mx-dead");
    this.#expect("mixed.plain.example", "tls valid @ - mx-good.plain.example");
    this.#world.record(zone, "worse IN MX 10 mx-dead", "worse IN MX 20 mx-expired", "worse IN MX 30 mx-no-starttls");
    this.#expect("worse.plain.example", "tls-problem @ certificate-expired mx-expired.plain.example");
    this.#world.record(zone, "half-stalled IN MX 10 mx-stall-ehlo", "half-stalled IN MX 20 mx-good");
    this.#expect("half-stalled.plain.example", "tls valid @ - mx-good.plain.example");
    const signedZone = "signed.example";
    this.#world.record(signedZone, "two IN MX 10 mx-ee-self", "two IN MX 20 mx-ee-good");
    this.#expect("two.signed.example", "tls bound @ dane mx-ee-good.signed.example");
    this.enforceable.set("two.signed.example", true);
    // Unchecked delivery could go to the second server, which nothing vouches for.
    this.#world.record(signedZone, "leaky IN MX 10 mx-ee-self", "leaky IN MX 20 mx-dead.plain.example.");
    this.#expect("leaky.signed.example", "tls-problem @ unreachable mx-dead.plain.example");
    // The strict relay could go to the second server, which its own records disown.
    this.#world.record(signedZone, "disowned IN MX 10 mx-ee-good", "disowned IN MX 20 mx-ee-wrong");
    this.#expect("disowned.signed.example", "tls-problem @ validation-failure mx-ee-wrong.signed.example");
    this.#world.record(signedZone, "partly IN MX 10 mx-ee-good", "partly IN MX 20 mx-no-tlsa");
    this.#expect("partly.signed.example", "tls valid @ - mx-no-tlsa.signed.example");
  }

  async #setUpDane(): Promise<void> {
    const { good, wrongName, selfSigned, deep } = this.#identities;
    const bound = "tls bound @ dane MX";
    const failure = "tls-problem @ validation-failure MX";
    await this.#signed("no-tlsa", good, [], "tls valid @ - MX");
    // Neither name nor expiry counts for DANE-EE.
    await this.#signed("ee-self", deep, [tlsaData(3, 1, 1, deep)], bound);
    this.enforceable.set("ee-self.signed.example", false);
    await this.#signed("ee-good", good, [tlsaData(3, 1, 1, good)], bound);
    this.enforceable.set("ee-good.signed.example", true);
    await this.#signed("ee-wrong", good, [tlsaData(3, 1, 1, wrongName)], failure);
    for (const [selector, matching] of [
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 2],
    ] as const) {
      await this.#signed(
        `ee-${selector}-${matching}`,
        selfSigned,
        [tlsaData(3, selector, matching, selfSigned)],
        bound,
      );
      await this.#signed(`not-${selector}-${matching}`, selfSigned, [tlsaData(3, selector, matching, good)], failure);
    }
    await this.#signed("rollover", good, [tlsaData(3, 1, 1, wrongName), tlsaData(3, 1, 1, good)], bound);
    await this.#signed("agility", good, [tlsaData(3, 1, 1, good), tlsaData(3, 1, 2, wrongName)], failure);
    await this.#signed("dane-no-tls", null, [tlsaData(3, 1, 1, good)], "tls-problem @ starttls-not-supported MX");
    await this.#signed("pkix-ee", good, [tlsaData(1, 1, 1, wrongName)], "tls valid @ - MX");
    await this.#signed("pkix-ee-self", selfSigned, [tlsaData(1, 1, 1, selfSigned)], "tls-problem @ tlsa-invalid MX");
    // Most say nothing, or name others; one fits.
    const strange = Array.from({ length: 30 }, (_, index) => `${4 + index} ${index} ${index} ${"ab".repeat(32)}`);
    const others = Array.from({ length: 100 }, (_, index) => `3 1 1 ${index.toString(16).padStart(64, "0")}`);
    await this.#signed("many", selfSigned, [...strange, ...others, tlsaData(3, 1, 1, selfSigned)], bound);
    const hundred = [...strange, ...others.slice(0, 69), tlsaData(3, 1, 1, selfSigned)];
    await this.#signed("hundred", selfSigned, hundred, bound);
    const tooMany = Array.from({ length: 1000 }, (_, index) => `3 1 1 ${index.toString(16).padStart(64, "0")}`);
    await this.#signed("too-many", good, [...tooMany, tlsaData(3, 1, 1, good)], "tls-problem @ dnssec-invalid MX");
    await this.#signed(
      "short-digest",
      selfSigned,
      ["3 1 1 aabb", "3 1 9 aabb", "9 1 1 aabb", "3 0 0 aabb"],
      "tls-problem @ tlsa-invalid MX",
    );
  }

  async #setUpDaneAnchors(): Promise<void> {
    const { root, private1, private2, privateLeaf } = this.#identities;
    const bound = "tls bound @ dane MX";
    const failure = "tls-problem @ validation-failure MX";
    for (const [selector, matching] of [
      [0, 1],
      [0, 2],
      [1, 1],
      [1, 2],
    ] as const) {
      await this.#signed(`ta-${selector}-${matching}`, privateLeaf, [tlsaData(2, selector, matching, private1)], bound);
    }
    await this.#signed("ta-deputy", privateLeaf, [tlsaData(2, 1, 1, private2)], bound);
    const withoutAnchor = { ...privateLeaf, chain: privateLeaf.certificate + private2.certificate };
    await this.#signed("ta-published", withoutAnchor, [tlsaData(2, 0, 0, private1)], bound);
    await this.#signed("ta-bare-key", withoutAnchor, [tlsaData(2, 1, 0, private1)], bound);
    await this.#signed("ta-not-shown", withoutAnchor, [tlsaData(2, 1, 1, private1)], failure);
    await this.#signed("ta-wrong", privateLeaf, [tlsaData(2, 1, 1, root)], failure);
    await this.#signed("ta-leaf", privateLeaf, [tlsaData(2, 1, 1, privateLeaf)], failure);
    const otherName = await this.#world.authority.identity({
      name: "x",
      names: ["mail.elsewhere.example"],
      issuer: private2,
    });
    await this.#signed(
      "ta-name",
      otherName,
      [tlsaData(2, 1, 1, private1)],
      "tls-problem @ certificate-host-mismatch MX",
    );
    const nextHop = await this.#world.authority.identity({
      name: "x",
      names: ["ta-next-hop.signed.example"],
      issuer: private2,
    });
    await this.#signed("ta-next-hop", nextHop, [tlsaData(2, 1, 1, private1)], bound);
    const old = await this.#world.authority.identity({ name: "x", names: wildcards, issuer: private2, when: "past" });
    await this.#signed("ta-expired", old, [tlsaData(2, 1, 1, private1)], "tls-problem @ certificate-expired MX");
    const upcoming = await this.#world.authority.identity({
      name: "x",
      names: wildcards,
      issuer: private2,
      when: "future",
    });
    await this.#signed("ta-upcoming", upcoming, [tlsaData(2, 1, 1, private1)], failure);
    // An authority of the same name and another key, and the true one shown beside it.
    const impostor = await this.#world.authority.authority("Private", null);
    const forged = await this.#world.authority.identity({
      name: "x",
      names: wildcards,
      issuer: impostor,
      // Nothing but the signature tells the two apart.
      extensions: ["authorityKeyIdentifier=none"],
    });
    const forgedChain = { ...forged, chain: forged.certificate + private1.certificate };
    await this.#signed("ta-impostor", forgedChain, [tlsaData(2, 1, 1, private1)], failure);
    // A server's certificate that signs another one.
    const upstart = await this.#world.authority.identity({ name: "x", names: wildcards, issuer: privateLeaf });
    await this.#signed("ta-upstart", upstart, [tlsaData(2, 1, 1, private1)], failure);
    const forClients = await this.#world.authority.identity({
      name: "x",
      names: wildcards,
      issuer: private1,
      extensions: ["extendedKeyUsage=clientAuth"],
    });
    await this.#signed("ta-purpose", forClients, [tlsaData(2, 1, 1, private1)], failure);
    const short = await this.#world.authority.authority("Short", null, ["basicConstraints=critical,CA:TRUE,pathlen:0"]);
    const direct = await this.#world.authority.identity({ name: "x", names: wildcards, issuer: short });
    await this.#signed("ta-path-fits", direct, [tlsaData(2, 1, 1, short)], bound);
    const detour = await this.#world.authority.identity({
      name: "x",
      names: wildcards,
      issuer: await this.#world.authority.authority("Detour", short),
    });
    await this.#signed("ta-path-too-long", detour, [tlsaData(2, 1, 1, short)], failure);
    const confined = ["basicConstraints=critical,CA:TRUE", "nameConstraints=critical,permitted;DNS:elsewhere.example"];
    const confining = await this.#world.authority.authority("Narrow", null, confined);
    const narrow = await this.#world.authority.identity({ name: "x", names: wildcards, issuer: confining });
    await this.#signed("ta-constrained", narrow, [tlsaData(2, 1, 1, confining)], failure);
  }

  async #setUpDnssec(): Promise<void> {
    const { good, wrongName } = this.#identities;
    await this.#signed("tlsa-bogus", good, [tlsaData(3, 1, 1, good)], "tls-problem @ dnssec-invalid MX");
    this.#world.breakSignature("_25._tcp.mx-tlsa-bogus.signed.example", "TLSA");
    await this.#signed("address-bogus", good, [tlsaData(3, 1, 1, good)], "tls-problem @ dnssec-invalid MX");
    this.#world.breakSignature("mx-address-bogus.signed.example", "A");
    await this.#signed("mx-bogus", good, [], "tls-problem @ dnssec-invalid -");
    this.#world.breakSignature("mx-bogus.signed.example", "MX");
    // A forged MX answer could name any server, so its TLSA records prove nothing.
    this.#world.record(
      "plain.example",
      "to-signed IN MX 10 mx-ee-good.signed.example.",
      "to-wrong IN MX 10 mx-ee-wrong.signed.example.",
    );
    this.#expect("to-signed.plain.example", "tls valid @ - mx-ee-good.signed.example");
    this.#expect("to-wrong.plain.example", "tls valid @ - mx-ee-wrong.signed.example");
    this.#world.record(
      "signed.example",
      "to-plain IN MX 10 mx-good.plain.example.",
      "_25._tcp.mx-stolen IN TLSA 3 1 1 " + "00".repeat(32),
    );
    this.#expect("to-plain.signed.example", "tls valid @ - mx-good.plain.example");
    this.#world.record("signed.example", "_25._tcp.mx-silent-tlsa IN CNAME tlsa.silent.example.");
    await this.#signed("silent-tlsa", good, [], "tls-problem @ dnssec-invalid MX");
    this.#world.record("plain.example", `tlsa IN TLSA ${tlsaData(3, 1, 1, good)}`);
    this.#world.record("signed.example", "_25._tcp.mx-unsigned-tlsa IN CNAME tlsa.plain.example.");
    await this.#signed("unsigned-tlsa", good, [], "tls-problem @ dnssec-invalid MX");

    this.#world.record("signed.example", "alias IN MX 10 mx-alias", "mx-alias IN CNAME mx-ee-self");
    this.#expect("alias.signed.example", "tls bound @ dane mx-alias.signed.example");
    this.#world.record("signed.example", "alias2 IN MX 10 mx-alias2", "mx-alias2 IN CNAME mx-no-tlsa");
    this.#world.record("signed.example", `_25._tcp.mx-alias2 IN TLSA ${tlsaData(3, 1, 1, good)}`);
    this.#expect("alias2.signed.example", "tls bound @ dane mx-alias2.signed.example");
    this.#world.record("signed.example", "alias3 IN MX 10 mx-alias3", "mx-alias3 IN CNAME mx-good.plain.example.");
    this.#world.record("signed.example", `_25._tcp.mx-alias3 IN TLSA ${tlsaData(3, 1, 1, wrongName)}`);
    this.#expect("alias3.signed.example", "tls-problem @ validation-failure mx-alias3.signed.example");
    this.#world.record("signed.example", "alias-domain IN CNAME ee-good");
    this.#expect("alias-domain.signed.example", "tls bound @ dane mx-ee-good.signed.example");
  }

  async #setUpPolicies(): Promise<void> {
    const { root, good, expired, selfSigned } = this.#identities;
    const mx = (label: string): string => `mx-${label}.plain.example`;
    await this.#policy("sts", { body: stsPolicy("enforce", mx("sts")) }, "tls bound @ mta-sts MX");
    this.enforceable.set("sts.plain.example", true);
    await this.#policy("sts-pattern", { body: stsPolicy("enforce", "*.plain.example") }, "tls bound @ mta-sts MX");
    await this.#policy("sts-wide", { body: stsPolicy("enforce", "*.example") }, "tls-problem @ validation-failure MX");
    await this.#policy("sts-wrong", { body: stsPolicy("enforce", mx("other")) }, "tls-problem @ validation-failure MX");
    await this.#policy("sts-testing", { body: stsPolicy("testing", mx("other")) }, "tls valid @ - MX");
    await this.#policy("sts-none", { body: stsPolicy("none") }, "tls valid @ - MX");
    const policyHost = "tls-problem @ sts-policy-fetch-error mta-sts.@";
    const enforce = stsPolicy("enforce", "*.plain.example");
    await this.#policy("sts-404", { body: enforce, status: 404 }, policyHost);
    await this.#policy(
      "sts-redirect",
      { status: 302, headers: { Location: "https://mta-sts.sts.plain.example/" } },
      policyHost,
    );
    await this.#policy("sts-html", { body: enforce, headers: { "Content-Type": "text/html" } }, policyHost);
    await this.#policy("sts-long", { body: enforce + "x: y\r\n".repeat(20_000) }, policyHost);
    await this.#policy("sts-stall", { stall: "head" }, policyHost);
    await this.#policy("sts-stall-body", { stall: "body" }, policyHost);
    const gzip = { "Content-Encoding": "gzip" };
    const packed = gzipSync(Buffer.alloc(20_000_000, " "));
    await this.#policy("sts-gzip", { body: packed, headers: gzip }, "tls-problem @ sts-policy-invalid mta-sts.@");
    const upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    await this.#policy("sts-switch", { raw: `HTTP/1.1 101 Switching Protocols\r\n${upgrade}` }, policyHost);
    await this.#policy(
      "sts-hints",
      { raw: "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".repeat(10_000) },
      policyHost,
    );
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    await this.#policy("sts-head", { raw: `${head}${"X-Long: y\r\n".repeat(10_000)}\r\n` }, policyHost);
    const chunk = `Transfer-Encoding: chunked\r\n\r\n1;${"e".repeat(100_000)}`;
    await this.#policy("sts-chunk", { raw: `${head}${chunk}\r\n` }, policyHost);
    await this.#policy("sts-nul", { body: `${enforce}\0` }, "tls-problem @ sts-policy-invalid mta-sts.@");
    await this.#policy("sts-malformed", { body: "<html>" }, "tls-problem @ sts-policy-invalid mta-sts.@");
    await this.#policy(
      "sts-self",
      { body: enforce, identity: selfSigned },
      "tls-problem @ sts-webpki-invalid mta-sts.@",
    );
    await this.#policy("sts-name", { body: enforce, identity: good }, "tls-problem @ sts-webpki-invalid mta-sts.@");
    await this.#policy(
      "sts-expired",
      { body: enforce, identity: expired },
      "tls-problem @ sts-webpki-invalid mta-sts.@",
    );
    this.#world.record("plain.example", "sts-lost IN MX 10 mx-good", '_mta-sts.sts-lost IN TXT "v=STSv1; id=1"');
    this.#expect("sts-lost.plain.example", policyHost);
    this.#world.record(
      "plain.example",
      "sts-inside IN MX 10 mx-good",
      '_mta-sts.sts-inside IN TXT "v=STSv1; id=1"',
      "mta-sts.sts-inside IN A 127.0.0.1",
    );
    this.#expect("sts-inside.plain.example", policyHost);
    this.#world.record(
      "plain.example",
      "sts-silent IN MX 10 mx-good",
      "_mta-sts.sts-silent IN CNAME x.silent.example.",
    );
    this.#expect("sts-silent.plain.example", "tls-problem @ dns-failure mta-sts.@");
    this.#world.record(
      "plain.example",
      "twice IN MX 10 mx-good",
      '_mta-sts.twice IN TXT "v=STSv1; id=1"',
      '_mta-sts.twice IN TXT "v=STSv1; id=2"',
    );
    this.#expect("twice.plain.example", "tls valid @ - mx-good.plain.example");
    await this.#plain("sts-bad-mx", { identity: selfSigned }, "tls-problem @ certificate-not-trusted MX");
    const identity = await this.#world.authority.identity({
      name: "policy",
      names: ["mta-sts.sts-bad-mx.plain.example"],
      issuer: root,
    });
    await this.#world.policyHost("plain.example", "sts-bad-mx", { identity, body: enforce });
    // An MX answer was forged, and the attacker has a certificate for its own server: the policy is what tells.
    this.#world.record("plain.example", "sts-wrong IN MX 20 mx-good");
  }
}

type Identities = Awaited<ReturnType<typeof makeIdentities>>;

async function makeIdentities(ca: Authority) {
  const root = await ca.authority("Root", null);
  const middle = await ca.authority("Intermediate", root);
  const good = await ca.identity({ name: "good", names: wildcards, issuer: middle });
  const wrongName = await ca.identity({ name: "wrong", names: ["mail.elsewhere.example"], issuer: root });
  const expired = await ca.identity({ name: "expired", names: wildcards, issuer: root, when: "past" });
  const selfSigned = await ca.identity({ name: "self", names: wildcards, issuer: null });
  const commonNameOnly = await ca.identity({ name: "mx-common-name.plain.example", issuer: root });
  /** Trusted by nobody but TLSA records. */
  const private1 = await ca.authority("Private", null);
  const private2 = await ca.authority("Private deputy", private1);
  const privateLeaf = await ca.identity({ name: "private", names: wildcards, issuer: private2 });
  const deep = await ca.identity({ name: "oddest", issuer: null, when: "past" });
  return { root, middle, good, wrongName, expired, selfSigned, commonNameOnly, private1, private2, privateLeaf, deep };
}

function stsPolicy(mode: string, ...mx: string[]): string {
  return ["version: STSv1", `mode: ${mode}`, ...mx.map((each) => `mx: ${each}`), "max_age: 86400", ""].join("\r\n");
}
