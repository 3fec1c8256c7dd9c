/**
 * Mail servers of three kinds, each with every sort of certificate and without, reached by domains that promise what holds and
 * what does not. One machine for each kind; an address of its own for each server.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileSpec, MachineSpec, ServiceSpec } from "#fleet/machine.ts";
import { Authority, type Identity, tlsaData } from "#test/grade-world/authority.ts";
import { signZone } from "#test/grade-world/sign-zone.ts";
import type { EdgeConfig } from "./edge.ts";
import { inboxMaildir, inboxUser, nameFiles, textFile } from "./machine-parts.ts";
import { postfixMain, postfixMaster } from "./postfix.ts";
import type { MoreWorld } from "./stage.ts";
import { absolute, type ResourceRecord, zoneFile } from "./zones.ts";

export const kinds = ["postfix", "exim", "smtpd"] as const;
export type Kind = (typeof kinds)[number];
type Shown = "good" | "self" | "expired" | "wrong";
/**
 * Servers of each kind, and what they show. One for each domain, as smtpd waits for five seconds between two connections to an
 * address.
 */
const servers = {
  good: "good",
  self: "self",
  expired: "expired",
  wrong: "wrong",
  /** No STARTTLS. */
  clear: null,
  enforce: "good",
  other: "good",
  testing: "good",
  "dane-good": "good",
  "dane-self": "self",
  "dane-wrong": "good",
  /** Behind somebody who takes STARTTLS out. */
  stripped: "good",
  /** These turn away whom their machine's file names. */
  picky1: "good",
  picky2: "good",
} as const satisfies Record<string, Shown | null>;
type Server = keyof typeof servers;
const serverNames = Object.keys(servers) as Server[];

export interface ReceiverCase {
  readonly domain: string;
  readonly kind: Kind;
  /** The line of `check`. */
  readonly line: string;
  /** Whether mail that is sent anyway goes over TLS. */
  readonly offersTls: boolean;
}

export interface Receivers {
  readonly world: MoreWorld;
  readonly cases: readonly ReceiverCase[];
  /** PEM, for who is to trust it. */
  readonly authority: string;
  /** DNSKEY of the signed zone. */
  readonly anchor: string;
}

/** Clients that the picky Postfix servers turn away with 421: lines of cidr_table(5). */
export const pickyFile = "/etc/postfix/turned-away";

/** Two domains with the same server: mail to one may go there, the policy of the other one does not allow it. */
export interface PickyPair {
  readonly strong: string;
  readonly weak: string;
  readonly mx: string;
}

export function receiverMachine(kind: Kind): string {
  return `receivers-${kind}`;
}

const tlsFolder = "/etc/receivers";
const plain = "plain.example";
const signed = "signed.example";

export const pickyPairs: readonly PickyPair[] = ["picky1", "picky2"].map((picky) => ({
  strong: `strong-${picky}.${plain}`,
  weak: `weak-${picky}.${plain}`,
  mx: `mx-${picky}.${plain}`,
}));

/** @param network first three numbers of the world's addresses */
export async function makeReceivers(network: string): Promise<Receivers> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-receivers-"));
  try {
    return await new ReceiverWorld(network, await identities(folder)).make(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Identities = Awaited<ReturnType<typeof identities>>;

async function identities(folder: string) {
  const authority = new Authority(folder);
  const root = await authority.authority("Receivers", null);
  const names = [`*.${plain}`, `*.${signed}`];
  return {
    root,
    good: await authority.identity({ name: "good", names, issuer: root }),
    self: await authority.identity({ name: "self", names, issuer: null }),
    expired: await authority.identity({ name: "expired", names, issuer: root, when: "past" }),
    wrong: await authority.identity({ name: "wrong", names: ["mail.elsewhere.example"], issuer: root }),
    policies: await authority.identity({ name: "policies", names: policyDomains().map(policyHost), issuer: root }),
  };
}

function policyDomains(): string[] {
  return [
    ...kinds.flatMap((kind) => ["enforce", "other", "testing"].map((policy) => `${policy}-${kind}.${plain}`)),
    ...pickyPairs.map(({ weak }) => weak),
  ];
}

function policyHost(domain: string): string {
  return `mta-sts.${domain}`;
}

class ReceiverWorld {
  readonly #network: string;
  readonly #identities: Identities;
  readonly #plain: ResourceRecord[] = [];
  readonly #signed: ResourceRecord[] = [];
  readonly #cases: ReceiverCase[] = [];

  constructor(network: string, made: Identities) {
    this.#network = network;
    this.#identities = made;
  }

  async make(folder: string): Promise<Receivers> {
    for (const kind of kinds) {
      this.#certificates(kind);
      this.#policies(kind);
      this.#dane(kind);
    }
    this.#stripped();
    this.#picky();
    const nameServer = "ns.world.example";
    const zone = await signZone(folder, signed, zoneFile(signed, nameServer, this.#signed));
    return {
      world: {
        machines: await Promise.all(kinds.map(async (kind) => await this.#machine(kind))),
        records: this.#plain,
        zoneTexts: new Map([[signed, zone.text]]),
      },
      cases: this.#cases,
      authority: this.#identities.root.certificate,
      anchor: zone.anchor,
    };
  }

  #certificates(kind: Kind): void {
    const problems: Partial<Record<Server, string>> = {
      self: "certificate-not-trusted",
      expired: "certificate-expired",
      wrong: "certificate-host-mismatch",
      clear: "starttls-not-supported",
    };
    for (const sort of ["good", "self", "expired", "wrong", "clear"] as const) {
      const domain = `${sort}-${kind}.${plain}`;
      const mx = `mx-${domain}`;
      this.#plain.push({ name: mx, type: "A", data: this.#address(kind, sort) }, mxOf(domain, mx));
      const problem = problems[sort];
      const line = problem === undefined ? `tls valid ${domain} - ${mx}` : `tls-problem ${domain} ${problem} ${mx}`;
      this.#add(domain, kind, line, sort !== "clear");
    }
  }

  /** A policy that is fine, one that names another server, and one that is only tested. */
  #policies(kind: Kind): void {
    const lines = {
      enforce: (domain: string, mx: string) => `tls bound ${domain} mta-sts ${mx}`,
      other: (domain: string, mx: string) => `tls-problem ${domain} validation-failure ${mx}`,
      testing: (domain: string, mx: string) => `tls valid ${domain} - ${mx}`,
    };
    for (const policy of ["enforce", "other", "testing"] as const) {
      const domain = `${policy}-${kind}.${plain}`;
      const mx = `mx-${domain}`;
      this.#plain.push({ name: mx, type: "A", data: this.#address(kind, policy) }, mxOf(domain, mx));
      this.#plain.push(...this.#announcement(domain));
      this.#add(domain, kind, lines[policy](domain, mx), true);
    }
  }

  #dane(kind: Kind): void {
    const { good, self, wrong } = this.#identities;
    const published = [
      ["good", "dane-good", good],
      ["self", "dane-self", self],
      ["wrong", "dane-wrong", wrong],
    ] as const;
    for (const [label, server, identity] of published) {
      const domain = `${label}-${kind}.${signed}`;
      const mx = `mx-${domain}`;
      this.#signed.push({ name: mx, type: "A", data: this.#address(kind, server) }, mxOf(domain, mx), {
        name: `_25._tcp.${mx}`,
        type: "TLSA",
        data: tlsaData(3, 1, 1, identity),
      });
      const isBound = label !== "wrong";
      const line = isBound ? `tls bound ${domain} dane ${mx}` : `tls-problem ${domain} validation-failure ${mx}`;
      this.#add(domain, kind, line, true);
    }
  }

  #stripped(): void {
    const domain = `stripped.${plain}`;
    const mx = `mx-${domain}`;
    this.#plain.push({ name: mx, type: "A", data: this.#edge(1) }, mxOf(domain, mx));
    this.#add(domain, "postfix", `tls-problem ${domain} starttls-not-supported ${mx}`, false);
  }

  #picky(): void {
    for (const [index, { strong, weak, mx }] of pickyPairs.entries()) {
      const address = this.#address("postfix", index === 0 ? "picky1" : "picky2");
      this.#plain.push({ name: mx, type: "A", data: address }, mxOf(strong, mx), mxOf(weak, mx));
      this.#plain.push(...this.#announcement(weak));
    }
  }

  #announcement(domain: string): ResourceRecord[] {
    return [
      { name: `_mta-sts.${domain}`, type: "TXT", data: "v=STSv1; id=1" },
      { name: policyHost(domain), type: "A", data: this.#edge(0) },
    ];
  }

  #add(domain: string, kind: Kind, line: string, offersTls: boolean): void {
    this.#cases.push({ domain, kind, line, offersTls });
  }

  #address(kind: Kind, server: Server): string {
    return `${this.#network}.${100 + 20 * kinds.indexOf(kind) + serverNames.indexOf(server)}`;
  }

  #edge(number: number): string {
    return `${this.#network}.${160 + number}`;
  }

  async #machine(kind: Kind): Promise<MachineSpec> {
    const [address, ...moreAddresses] = serverNames.map((server) => this.#address(kind, server));
    if (address === undefined) throw new TypeError("a kind of servers has no address");
    const parts = { postfix: () => this.#postfix(), exim: () => this.#exim(), smtpd: () => this.#smtpd() }[kind]();
    const hostname = `${receiverMachine(kind)}.world.example`;
    const edge = kind === "smtpd" ? await this.#edgeParts() : { files: [], services: [] };
    return {
      name: receiverMachine(kind),
      role: `world-${kind}`,
      hostname,
      address,
      moreAddresses: [...moreAddresses, ...(kind === "smtpd" ? [this.#edge(0), this.#edge(1)] : [])],
      packages: kind === "smtpd" ? ["smtp-server", "node"] : [kind],
      users: [inboxUser],
      folders: [{ path: inboxUser.home, mode: 0o755, owner: inboxUser.name, group: inboxUser.group, keep: false }],
      files: [...nameFiles(`${this.#network}.53`, hostname, address), ...parts.files, ...edge.files],
      services: [{ name: kind, user: "root", listens: 25, ...parts.service }, ...edge.services],
      schedules: [],
    };
  }

  #shown(server: Server): Identity | null {
    const shown = servers[server];
    return shown === null ? null : this.#identities[shown];
  }

  #postfix(): Parts {
    const address = this.#address("postfix", "good");
    const main = postfixMain({ name: "", domain: plain, hostname: `mx.${plain}`, address, nameServer: "" });
    const listeners = serverNames.map((server) => {
      const options = [
        `myhostname=mx-${server}-postfix.${plain}`,
        "smtpd_tls_received_header=yes",
        ...(server === "clear"
          ? ["smtpd_tls_security_level=none"]
          : [`smtpd_tls_chain_files=${tlsFolder}/${server}.pem`]),
        ...(server.startsWith("picky")
          ? [`smtpd_client_restrictions=check_client_access,cidr:${pickyFile}`, "smtpd_delay_reject=no"]
          : []),
      ];
      return `${this.#address("postfix", server)}:25 inet n - y - - smtpd${options.map((one) => `\n  -o ${one}`).join("")}`;
    });
    const files = serverNames.flatMap((server) => {
      const shown = this.#shown(server);
      return shown === null ? [] : [textFile(`${tlsFolder}/${server}.pem`, shown.key + shown.chain, 0o600)];
    });
    return {
      files: [
        textFile("/etc/postfix/main.cf", `${main}\nvirtual_mailbox_domains = static:all\nsmtpd_tls_loglevel = 1\n`),
        textFile("/etc/postfix/master.cf", postfixMaster.replace(/^smtp +inet .*$/m, listeners.join("\n"))),
        textFile(pickyFile, ""),
        ...files,
      ],
      service: { command: ["postfix", "start-fg"] },
    };
  }

  /** Certificates lie under the address that shows them. */
  #exim(): Parts {
    const files = serverNames.flatMap((server) => {
      const shown = this.#shown(server);
      const path = `${tlsFolder}/${this.#address("exim", server)}.pem`;
      return shown === null ? [] : [textFile(path, shown.key + shown.chain, 0o640, "root", "Debian-exim")];
    });
    return {
      files: [textFile("/etc/exim4/exim4.conf", eximConfig), ...files],
      service: { command: ["exim4", "-bdf", "-q10s"] },
    };
  }

  #smtpd(): Parts {
    const listeners = serverNames.flatMap((server) => {
      const listen = `listen on ${this.#address("smtpd", server)} port 25 hostname mx-${server}-smtpd.${plain}`;
      if (server === "clear") return [listen];
      const file = `${tlsFolder}/${server}`;
      return [`pki ${server} cert "${file}.pem"`, `pki ${server} key "${file}.key"`, `${listen} tls pki ${server}`];
    });
    const files = serverNames.flatMap((server) => {
      const shown = this.#shown(server);
      if (shown === null) return [];
      return [
        textFile(`${tlsFolder}/${server}.pem`, shown.chain),
        textFile(`${tlsFolder}/${server}.key`, shown.key, 0o600),
      ];
    });
    const config = [
      ...listeners,
      `table anybody { "@" = "${inboxUser.name}" }`,
      `action "inbox" maildir "${inboxMaildir}" virtual <anybody>`,
      'match from any for any action "inbox"',
    ];
    return {
      files: [textFile("/etc/smtpd.conf", `${config.join("\n")}\n`), ...files],
      service: { command: ["/usr/sbin/smtpd", "-d"] },
    };
  }

  async #edgeParts(): Promise<{ files: FileSpec[]; services: ServiceSpec[] }> {
    const policy = (mode: string, mx: string): string => `version: STSv1\nmode: ${mode}\nmx: ${mx}\nmax_age: 86400\n`;
    const other = `mx.elsewhere.${plain}`;
    const bodies = policyDomains().map((domain) => {
      const mode = domain.startsWith("testing") ? "testing" : "enforce";
      return [policyHost(domain), policy(mode, domain.startsWith("enforce") ? `mx-${domain}` : other)];
    });
    const certificate = `${tlsFolder}/policies.pem`;
    const key = `${tlsFolder}/policies.key`;
    const config: EdgeConfig = {
      policies: { address: this.#edge(0), certificate, key, bodies: Object.fromEntries(bodies) },
      strippers: [{ address: this.#edge(1), server: this.#address("postfix", "stripped") }],
    };
    const program = "/usr/lib/edge.mts";
    return {
      files: [
        textFile(certificate, this.#identities.policies.chain),
        textFile(key, this.#identities.policies.key, 0o600),
        textFile("/etc/edge.json", JSON.stringify(config)),
        textFile(program, await readFile(new URL("edge.ts", import.meta.url), "utf8")),
      ],
      services: [{ name: "edge", user: "root", listens: 443, command: ["node", program, "/etc/edge.json"] }],
    };
  }
}

interface Parts {
  files: FileSpec[];
  service: Pick<ServiceSpec, "command">;
}

function mxOf(domain: string, mx: string): ResourceRecord {
  return { name: domain, type: "MX", data: `10 ${absolute(mx)}` };
}

/** spec.txt, chapters 6, 14 and 43. */
const eximConfig = `primary_hostname = mx.exim.${plain}
domainlist local_domains = *
acl_smtp_rcpt = take_it
disable_ipv6 = true
log_file_path = /var/log/exim4/%slog
log_selector = +tls_cipher -queue_run
keep_environment =
tls_advertise_hosts = \${if exists{${tlsFolder}/$received_ip_address.pem}{*}{}}
tls_certificate = ${tlsFolder}/$received_ip_address.pem

begin acl
take_it:
  accept

begin routers
inbox:
  driver = accept
  transport = inbox

begin transports
inbox:
  driver = appendfile
  directory = ${inboxMaildir}
  maildir_format
  user = ${inboxUser.name}
  group = ${inboxUser.group}
  envelope_to_add
  return_path_add
`;
