/**
 * What an owner sees of `keys` and `fetch`: two sshd with the account's folders, and a judge that answers proposals by
 * the step rule. Only the surface: the machines' own programs are tested elsewhere.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Accepted, printChain } from "#core/account/chain.ts";
import { authKeys, ownerKeys } from "#core/account/derive.ts";
import { acceptStep, parseProposal, type Standing } from "#core/account/step.ts";
import { tryExec } from "#host/exec.ts";
import { TestLedger } from "#test/mailbox-server.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

const POLL_MS = 25;
/** What the machines let through, as src/fleet/roles/keys.ts and fetch.ts have it. */
const OWNER_REQUESTS = "open,read,write,close,lstat,stat,fstat,opendir,readdir,realpath,limits,expand-path";
const READER_REQUESTS =
  "open,read,write,fsync,close,lstat,stat,fstat,opendir,readdir,remove,realpath,limits,expand-path";

export class AccountMachines {
  readonly domain = "example.org";
  readonly keys: TestSshd;
  readonly fetch: TestSshd;
  /** The account's folder on each. */
  readonly keysFolder: string;
  readonly fetchFolder: string;
  readonly knownHosts: string;
  /** Signs the mailbox; what it is given lies in {@link fetchFolder}. */
  readonly ledger: TestLedger;
  readonly versions: Accepted[] = [];
  standing: Standing | null = null;
  /** What the judge says instead of judging. */
  answer: { code: string; text: string } | "judge" | "nothing" = "judge";
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #last = "";
  #judged = "";

  private constructor(keys: TestSshd, fetch: TestSshd) {
    this.keys = keys;
    this.fetch = fetch;
    this.keysFolder = join(keys.folder, "account");
    this.fetchFolder = join(fetch.folder, "account");
    this.knownHosts = join(fetch.folder, "both_hosts");
    this.ledger = new TestLedger(this.domain, this.fetchFolder);
  }

  static async start(): Promise<AccountMachines> {
    const machines = new AccountMachines(
      await startSshd([`ForceCommand internal-sftp -p ${OWNER_REQUESTS}`]),
      await startSshd([`ForceCommand internal-sftp -u 0377 -p ${READER_REQUESTS}`]),
    );
    const { keysFolder, fetchFolder, keys, fetch } = machines;
    for (const folder of ["answer", "account"]) await mkdir(join(keysFolder, folder), { recursive: true });
    for (const folder of ["mail", "ledger", "del", "account"])
      await mkdir(join(fetchFolder, folder), { recursive: true });
    await writeFile(join(keysFolder, "proposal"), "");
    const hosts = await Promise.all([keys, fetch].map(({ knownHostsFile }) => readFile(knownHostsFile, "utf8")));
    // Two names of one computer, so that messages tell which machine they are of.
    const lines = hosts.map((line) => line + line.replace("127.0.0.1", "localhost"));
    await writeFile(machines.knownHosts, [...lines, machines.ledger.operatorLine].join(""));
    await machines.#publish();
    machines.#timer = setInterval(() => void machines.#judge(), POLL_MS);
    return machines;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#busy) await new Promise((done) => setTimeout(done, POLL_MS));
    await this.keys.stop();
    await this.fetch.stop();
  }

  /** Options of `shoal account create` and `shoal init` that lead here. */
  get options(): string[] {
    return [
      ...["--host", "127.0.0.1", "--port", String(this.fetch.port), "--keys-port", String(this.keys.port)],
      ...["--keys-host", "localhost", "--ssh-option", "AddressFamily=inet"],
      ...["--folder", join(this.fetchFolder, "mail"), "--keys-folder", this.keysFolder],
      ...["--known-hosts", this.knownHosts, "--ssh-option", `User=${this.fetch.user}`],
    ];
  }

  /** A new home on a computer of the owner's. */
  async computer(name: string): Promise<Computer> {
    const home = join(this.fetch.folder, "computers", name);
    await mkdir(home, { recursive: true });
    return new Computer(home);
  }

  /** Accepts a signed state, as the ledger would, and shows it everywhere. */
  async accept(signed: Buffer): Promise<void> {
    const accepted = Math.floor(Date.now() / 1000);
    this.standing = acceptStep(this.standing, parseProposal(signed), accepted, this.domain);
    this.versions.push({ accepted, signed });
    await this.#publish();
  }

  /** Shows only so many versions on a machine, or other ones. */
  async show(machine: "fetch" | "keys", versions: readonly Accepted[]): Promise<void> {
    const folder = machine === "keys" ? this.keysFolder : this.fetchFolder;
    const path = join(folder, "account/chain");
    await writeFile(`${path}.new`, printChain(versions));
    await rename(`${path}.new`, path);
  }

  async #publish(): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    const [owner, auth] = this.standing === null ? [[], []] : [ownerKeys(this.standing, now), authKeys(this.standing)];
    await writeFile(this.keys.authorizedKeysFile, owner.map((line) => `${line}\n`).join(""));
    await writeFile(this.fetch.authorizedKeysFile, auth.map((line) => `${line}\n`).join(""));
    if (this.versions.length === 0) return;
    await this.show("keys", this.versions);
    await this.show("fetch", this.versions);
    if (this.standing !== null) await this.ledger.publish(this.standing);
  }

  async #judge(): Promise<void> {
    if (this.#busy || this.answer === "nothing") return;
    this.#busy = true;
    try {
      const proposal = await readFile(join(this.keysFolder, "proposal"));
      const file = createHash("sha256").update(proposal).digest("base64");
      if (proposal.length === 0) this.#judged = "";
      if (proposal.length > 0 && file === this.#last && file !== this.#judged) {
        this.#judged = file;
        const { code, text } = await this.#answerTo(proposal);
        const result = `shoal-result/v1\nfile ${file}\ncode ${code}\nversion ${this.versions.length}\ntext ${text}\n`;
        await writeFile(join(this.keysFolder, "answer/.result"), result);
        await rename(join(this.keysFolder, "answer/.result"), join(this.keysFolder, "answer/result"));
      }
      this.#last = file;
    } finally {
      this.#busy = false;
    }
  }

  async #answerTo(proposal: Buffer): Promise<{ code: string; text: string }> {
    if (typeof this.answer === "object") return this.answer;
    try {
      await this.accept(proposal);
      return { code: "ACCEPTED", text: "accepted" };
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return { code, text: message };
    }
  }
}

/** A home folder with profile, keys and state. */
export class Computer {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(home: string) {
    this.home = home;
    const { SSH_AUTH_SOCK: _agent, SHOAL_PASSPHRASE_FILE: _file, ...env } = process.env;
    this.env = { ...env, HOME: home, XDG_CONFIG_HOME: join(home, "config"), XDG_STATE_HOME: join(home, "state") };
  }

  path(name: string): string {
    return join(this.home, name);
  }

  get config(): string {
    return this.path("config/shoal/default");
  }

  get state(): string {
    return this.path("state/shoal/default/account");
  }

  /** Runs `shoal` without a terminal. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const main = new URL("../src/client/main.ts", import.meta.url).pathname;
    const { status, stdout, stderr } = await tryExec(process.execPath, [main, ...args], {
      env: { ...this.env, ...env },
      cwd: this.home,
      timeoutSeconds: 60,
    });
    return { status, stdout: stdout.toString("utf8"), stderr };
  }

  /** Starts `shoal` without a terminal; `kill` ends it at once. */
  start(args: readonly string[]): { done: Promise<Ran & { signal: NodeJS.Signals | null }>; kill: () => void } {
    const main = new URL("../src/client/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.env,
      cwd: this.home,
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
    const done = new Promise<Ran & { signal: NodeJS.Signals | null }>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
    });
    return { done, kill: () => void child.kill("SIGKILL") };
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true });
  }
}
