/**
 * The program of machine `ledger` with a real sshd as its `fetch`: accounts with mailboxes, a courier, and devices that audit what
 * lies on the disk. Accounts come by `shoal-ledger restore`, accepted long ago, so that heads name them at once.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { FEED_HELLO, printFrame, type RecordFrame } from "#core/account/feed.ts";
import { joinSigned } from "#core/account/signed-text.ts";
import { type AuditResult, audit } from "#core/mailbox/audit.ts";
import { mailName } from "#core/mailbox/entry.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import { printSigners, type SignerList, signersNamespace, withNewSigner } from "#core/mailbox/signers.ts";
import { signMessage } from "#core/ssh/sign.ts";
import type { LedgerConfigInput } from "#roles/ledger/config.ts";
import type { MailboxesStatus } from "#roles/ledger/mailboxes/service.ts";
import type { SignerReport } from "#roles/ledger/mailboxes/signer.ts";
import { Operator } from "#test/accounts/operator.ts";
import { NOBODY, Program } from "#test/accounts/programs.ts";
import { asUser } from "#test/as-user.ts";
import { Owner } from "#test/owner.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";
import { root } from "#tools/build.ts";
import { AppendClient } from "./append-client.ts";

export const DOMAIN = "example.org";
/** What the real machine lets through: src/fleet/roles/fetch.ts. */
const REQUESTS = "open,read,write,fsync,close,posix-rename,remove,opendir,readdir,lstat,limits";
const HOUR = 3600;
/** Moves the program's clock by what a file says, in seconds. */
const CLOCK = `import { readFileSync } from "node:fs";
const { now } = Date;
const { SHIFT } = process.env;
Date.now = () => now() + 1000 * Number(readFileSync(SHIFT, "utf8"));
`;

export interface LedgerMachineOptions {
  readonly names?: readonly string[];
  readonly heartbeatSeconds?: number;
  readonly retentionDays?: number;
  /** Size of the disk of `fetch` in KiB; that of the host without it. */
  readonly fetchKiB?: number;
  /** Whether the operator lists the ledger's key at once; default yes. */
  readonly certified?: boolean;
}

export class LedgerMachine {
  readonly operator: Operator;
  readonly owners: ReadonlyMap<string, Owner>;
  readonly program: Program;
  readonly sshd: TestSshd;
  /** What is `/srv/mail` on the real machine. */
  readonly mail: string;
  readonly config: string;
  readonly folder: string;
  readonly #isMounted: boolean;
  readonly #couriers: AppendClient[] = [];

  private constructor(
    made: Pick<LedgerMachine, "config" | "folder" | "mail" | "operator" | "owners" | "sshd">,
    isMounted: boolean,
  ) {
    const { config, folder } = made;
    this.operator = made.operator;
    this.owners = made.owners;
    this.sshd = made.sshd;
    this.mail = made.mail;
    this.config = config;
    this.folder = folder;
    this.#isMounted = isMounted;
    const args = ["--import", join(folder, "clock.mjs"), join(root, "src/roles/ledger/main.ts"), "serve", config];
    this.program = new Program(folder, args, NOBODY, { SHIFT: join(folder, "shift") });
  }

  static async start(options: LedgerMachineOptions = {}): Promise<LedgerMachine> {
    const { names = ["alice", "bob"], certified = true, fetchKiB } = options;
    assert.equal(process.getuid?.(), 0, "these tests start sshd with a chroot: run them as root");
    const then = Math.floor(Date.now() / 1000) - HOUR;
    const operator = new Operator(DOMAIN, then);
    const owners = new Map(names.map((name) => [name, new Owner(DOMAIN, then)]));
    // sshd takes a chroot only where nobody but root can write.
    const mail = mkdtempSync("/run/shoal-mail-");
    chmodSync(mail, 0o755);
    if (fetchKiB !== undefined) await run("mount", ["-t", "tmpfs", "-o", `mode=755,size=${fetchKiB}k`, "tmpfs", mail]);
    const sshd = await startSshd([`ChrootDirectory ${mail}`, `ForceCommand internal-sftp -u 0027 -p ${REQUESTS}`]);
    const folder = mkdtempSync(join(tmpdir(), "shoal-ledger-"));
    const machine = new LedgerMachine(
      { operator, owners, mail, folder, sshd, config: join(folder, "ledger.json") },
      fetchKiB !== undefined,
    );
    await machine.#prepare(options);
    if (certified) {
      await machine.program.start();
      await machine.certify();
    }
    return machine;
  }

  async #prepare({ heartbeatSeconds = 300, retentionDays = 14 }: LedgerMachineOptions): Promise<void> {
    const { folder, sshd } = this;
    for (const name of this.owners.keys()) this.addFolders(name);
    for (const file of [sshd.identityFile, sshd.knownHostsFile]) {
      const copy = join(folder, file === sshd.identityFile ? "key" : "hosts");
      copyFileSync(file, copy);
      chmodSync(copy, 0o600);
      chownSync(copy, NOBODY, NOBODY);
    }
    chownSync(folder, NOBODY, NOBODY);
    writeFileSync(join(folder, "clock.mjs"), CLOCK);
    this.shiftClock(0);
    const config: LedgerConfigInput = {
      domain: DOMAIN,
      directory: this.operator.id,
      store: join(folder, "accounts.db"),
      socket: join(folder, "socket"),
      machines: [],
      mailboxes: {
        store: join(folder, "mailboxes.db"),
        signer: join(folder, "signer"),
        socket: join(folder, "append"),
        retentionDays,
        heartbeatSeconds,
        fetch: [
          {
            machine: "alpha-fetch",
            number: 1,
            host: "127.0.0.1",
            port: sshd.port,
            identity: join(folder, "key"),
            knownHosts: join(folder, "hosts"),
            user: sshd.user,
          },
        ],
      },
    };
    writeFileSync(this.config, JSON.stringify(config));
    const accepted = Math.floor(Date.now() / 1000) - HOUR;
    const record = (of: "directory" | "state", signed: Buffer): RecordFrame => {
      return { kind: "record", of, accepted, signed };
    };
    const dump = [
      record("directory", this.operator.first),
      record("directory", this.operator.add(this.owners)),
      ...[...this.owners.values()].map(({ genesis }) => record("state", genesis)),
    ];
    const frames = Buffer.concat([
      Buffer.from(`${FEED_HELLO}\n`),
      ...dump.map(printFrame),
      printFrame({ kind: "end" }),
    ]);
    const { status, stderr } = await this.run("restore", frames);
    assert.equal(status, 0, stderr);
  }

  /** As shoal-accept makes them. */
  addFolders(name: string): void {
    for (const path of ["mail", "ledger", "del"]) mkdirSync(join(this.mail, name, path), { recursive: true });
  }

  /** A verb of the program. */
  async run(
    verb: string,
    input: Buffer | string = "",
  ): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const program = [process.execPath, join(root, "src/roles/ledger/main.ts"), verb, this.config];
    const [command = "", ...args] = asUser(NOBODY, this.folder, program);
    return await run(command, args, input);
  }

  async status(): Promise<MailboxesStatus> {
    const { status, stdout, stderr } = await this.run("status");
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout).mailboxes;
  }

  async signer(): Promise<SignerReport> {
    const { status, stdout, stderr } = await this.run("signer");
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  }

  /** The operator lists the program's key. */
  async certify(list: SignerList | null = null): Promise<SignerList> {
    const now = Math.floor(Date.now() / 1000);
    const { publicKey } = await this.signer();
    const added = { domain: DOMAIN, key: publicKey, now, validForSeconds: 60 * 24 * HOUR };
    const next = withNewSigner(list, added, 6 * HOUR);
    const { status, stdout, stderr } = await this.run("certify", this.sign(next));
    assert.equal(status, 0, stdout + stderr);
    return next;
  }

  sign(list: SignerList, key = this.operator.key): Buffer {
    const body = printSigners(list);
    return joinSigned({ body, signatures: [signMessage(key, signersNamespace(DOMAIN), body)] });
  }

  /** From now on the program's clock is so many seconds ahead. */
  shiftClock(seconds: number): void {
    writeFileSync(join(this.folder, "shift"), String(seconds));
  }

  courier(): AppendClient {
    const courier = new AppendClient(join(this.folder, "append"));
    this.#couriers.push(courier);
    return courier;
  }

  owner(name: string): Owner {
    const owner = this.owners.get(name);
    if (owner === undefined) throw new RangeError(`no owner "${name}"`);
    return owner;
  }

  path(name: string, path: string): string {
    return join(this.mail, name, path);
  }

  /** Puts a mail where couriers do; gives what they say of it. */
  deposit(
    name: string,
    bytes: Buffer = randomBytes(64),
  ): { account: string; digest: string; size: number; version: number } {
    const digest = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(this.path(name, `mail/${mailName({ digest })}`), bytes);
    return { account: this.owner(name).id, digest, size: bytes.length, version: 1 };
  }

  /** Reads a mailbox as a device does and audits it, twice if it asks for that. */
  audit(name: string, memory: AuditMemory | null = null, now = Math.floor(Date.now() / 1000)): AuditResult {
    const { standing, device } = this.owner(name);
    const roots = new Set([this.operator.key.publicKey.line]);
    const read = (path: string): Buffer | null => {
      const file = this.path(name, `ledger/${path}`);
      return existsSync(file) ? readFileSync(file) : null;
    };
    const look = (before?: AuditResult): AuditResult => {
      const [head, signers, entries] = [read("head"), read("signers"), read("entries")];
      const names = readdirSync(this.path(name, "mail"));
      const mail = names.map((file) => ({ name: file, size: statSync(this.path(name, `mail/${file}`)).size }));
      const digests = new Map(names.map((file) => [file, file.slice(0, 64)]));
      const shown = { head, signers, entries, mail, del: [], standing, digests, roots, memory, now };
      const input = { ...shown, formerKeys: new Set([device.publicKey.line]) };
      return audit(before === undefined ? input : { ...input, before });
    };
    const first = look();
    return first.readAgain ? look(first) : first;
  }

  async stop(): Promise<void> {
    for (const courier of this.#couriers) courier.close();
    await this.program.kill();
    await this.sshd.stop();
    // A session may be about to end.
    if (this.#isMounted) await run("umount", ["-l", this.mail]);
    for (const folder of [this.mail, this.folder]) rmSync(folder, { recursive: true, force: true });
  }
}

async function run(
  command: string,
  args: readonly string[],
  input: Buffer | string = "",
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once("exit", resolve)),
  ]);
  return { status, stdout, stderr };
}
