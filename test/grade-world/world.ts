/** A small internet for grading: a validating resolver, zones, mail servers and policy hosts. Call `enterOwnNetwork` first. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority, type Identity } from "./authority.ts";
import { MailServer, type MailServerOptions } from "./mail-server.ts";
import { NameServer, type Zone } from "./name-server.ts";
import { PolicyHost, type PolicyHostOptions } from "./policy-host.ts";

export type ZoneName = "signed.example" | "plain.example" | "bogus.example";

const resolverAddress = "45.45.0.53";

export class GradeWorld {
  readonly folder: string;
  readonly authority: Authority;
  readonly resolver = { address: resolverAddress, port: 53 };
  readonly caFile: string;
  readonly #records = new Map<ZoneName, string[]>();
  readonly #broken: { owner: string; type: string }[] = [];
  readonly #listening: { close(): void }[] = [];
  #names: NameServer | undefined;
  #addresses = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.caFile = join(folder, "ca.pem");
    this.authority = new Authority(folder);
  }

  static async create(): Promise<GradeWorld> {
    return new GradeWorld(await mkdtemp(join(tmpdir(), "shoal-grade-")));
  }

  async trust(root: Identity): Promise<void> {
    await writeFile(this.caFile, root.certificate);
  }

  /** An address of the test internet that nobody else has. */
  address(): string {
    this.#addresses += 1;
    return `45.45.${1 + Math.floor(this.#addresses / 250)}.${1 + (this.#addresses % 250)}`;
  }

  record(zone: ZoneName, ...lines: string[]): void {
    this.#records.set(zone, [...(this.#records.get(zone) ?? []), ...lines]);
  }

  /** Spoils the signature of these records, so that they fail validation. */
  breakSignature(owner: string, type: string): void {
    this.#broken.push({ owner: `${owner}.`, type });
  }

  /** A mail server `label` in the zone, listening. */
  async mailServer(zone: ZoneName, label: string, options: MailServerOptions): Promise<MailServer> {
    const address = this.address();
    this.record(zone, `${label} IN A ${address}`);
    const server = new MailServer(options);
    await server.listen(address);
    this.#listening.push(server);
    return server;
  }

  /** Announces and serves a policy for the domain `label` in the zone. */
  async policyHost(zone: ZoneName, label: string, options: PolicyHostOptions): Promise<PolicyHost> {
    const address = this.address();
    this.record(zone, `_mta-sts.${label} IN TXT "v=STSv1; id=1"`, `mta-sts.${label} IN A ${address}`);
    const host = new PolicyHost(options);
    await host.listen(address);
    this.#listening.push(host);
    return host;
  }

  async startNames(silentZones: readonly string[]): Promise<NameServer> {
    const zone = (name: ZoneName, signed: Zone["signed"]): Zone => {
      const records = this.#records.get(name) ?? [];
      return { name, signed, records, broken: this.#broken };
    };
    this.#names = await NameServer.start({
      folder: join(this.folder, "names"),
      address: resolverAddress,
      zones: [zone("signed.example", "yes"), zone("plain.example", "no"), zone("bogus.example", "wrong")],
      silent: { zones: silentZones, address: "45.45.0.99" },
    });
    return this.#names;
  }

  async stop(): Promise<void> {
    for (const each of this.#listening) each.close();
    await this.#names?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
