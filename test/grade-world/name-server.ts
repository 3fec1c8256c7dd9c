/**
 * Unbound, a real validating resolver, over zones that ldns signed. It serves them to itself, so that no other name server
 * is needed; each signed zone has its own trust anchor.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { newZoneKey, signZone } from "./sign-zone.ts";

export interface Zone {
  readonly name: string;
  /** `wrong`: signed by a key that nobody trusts. */
  readonly signed: "yes" | "no" | "wrong";
  /** Lines of a zone file, relative to the zone. */
  readonly records: readonly string[];
  /** Owners (absolute, with a final dot) and types whose signatures are spoilt after signing. */
  readonly broken?: readonly { readonly owner: string; readonly type: string }[];
}

export interface NameServerOptions {
  readonly folder: string;
  readonly address: string;
  readonly zones: readonly Zone[];
  /** Zones whose name server, at that address, never answers. */
  readonly silent: { readonly zones: readonly string[]; readonly address: string };
}

export class NameServer {
  readonly #process: ChildProcess;
  readonly #silent = createSocket("udp4");

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  static async start({ folder, address, zones, silent }: NameServerOptions): Promise<NameServer> {
    await mkdir(folder, { recursive: true });
    const anchors: string[] = [];
    const parts: string[] = [];
    for (const zone of zones) {
      const { file, anchor } = await writeZone(folder, zone);
      if (anchor !== null) anchors.push(anchor);
      parts.push(
        `auth-zone:\n  name: "${zone.name}."\n  zonefile: "${file}"\n  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n`,
      );
    }
    for (const name of silent.zones) parts.push(`stub-zone:\n  name: "${name}."\n  stub-addr: ${silent.address}\n`);
    const anchorFile = join(folder, "anchors");
    await writeFile(anchorFile, anchors.join("\n"));
    const config = join(folder, "unbound.conf");
    await writeFile(
      config,
      `server:
  interface: ${address}
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor-file: "${anchorFile}"
  root-hints: ""
  minimal-responses: yes
remote-control:
  control-enable: no
${parts.join("")}`,
    );
    const child = spawn("unbound", ["-d", "-c", config], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    const server = new NameServer(child);
    server.#silent.bind(53, silent.address);
    await once(server.#silent, "listening");
    for (let tries = 0; !said.includes("start of service"); tries += 1) {
      if (child.exitCode !== null || tries > 200) throw new Error(`unbound does not start: ${said}`);
      await sleep(25);
    }
    return server;
  }

  async stop(): Promise<void> {
    this.#silent.close();
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
  }

  /** Stops the resolver in its tracks: it takes packets and answers none. */
  freeze(): void {
    this.#process.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process.kill("SIGCONT");
  }
}

async function writeZone(folder: string, zone: Zone): Promise<{ file: string; anchor: string | null }> {
  const file = join(folder, `${zone.name}.zone`);
  const head = [
    `$ORIGIN ${zone.name}.`,
    "$TTL 300",
    "@ IN SOA ns hostmaster 1 3600 600 86400 60",
    "@ IN NS ns",
    "ns IN A 45.45.0.53",
  ];
  const text = `${[...head, ...zone.records].join("\n")}\n`;
  if (zone.signed === "no") {
    await writeFile(file, text);
    return { file, anchor: null };
  }
  const { text: signed, anchor } = await signZone(folder, zone.name, text);
  const spoil = (line: string): string => {
    const [owner, , , type, covered] = line.split(/\s+/);
    const isMeant = (zone.broken ?? []).some((each) => each.owner === owner && each.type === covered);
    // The signature is the last field: base64 without its last characters would be malformed, so one in the middle changes.
    return type === "RRSIG" && isMeant
      ? line.replace(/(.)(.{20})$/, (_, one, rest) => `${one === "A" ? "B" : "A"}${rest}`)
      : line;
  };
  const signedFile = `${file}.signed`;
  await writeFile(signedFile, signed.split("\n").map(spoil).join("\n"));
  if (zone.signed === "yes") return { file: signedFile, anchor };
  const stranger = await newZoneKey(folder, zone.name);
  return { file: signedFile, anchor: await readFile(join(folder, `${stranger}.key`), "utf8") };
}
