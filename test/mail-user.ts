/** A mail user on a test sshd: an account with a mail folder on the server, and a home with a profile. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseRecipient, type Recipient, seal } from "#core/age/age.ts";
import { composeSealedMail, type Trace } from "#core/mail/sealed-mail.ts";
import type { TestSshd } from "#test/sshd.ts";

export interface Ran {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export const TRACE: Trace = {
  sender: "bob@example.com",
  addresses: ["alice@example.org"],
  helo: "mx.example.com",
  rdns: "mx.example.com",
  ip: "192.0.2.7",
  host: "in.alpha.example.org",
  protocol: "ESMTPS",
  time: 1_800_000_000,
};

export class MailUser {
  readonly sshd: TestSshd;
  /** The mail folder on the server. */
  readonly mail: string;
  readonly home: string;
  readonly maildir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly profilePath: string;
  readonly recipient: Recipient;

  private constructor(sshd: TestSshd, name: string, recipient: Recipient) {
    this.sshd = sshd;
    this.mail = join(sshd.folder, "users", name, "mail");
    this.home = join(sshd.folder, "users", name, "home");
    this.maildir = join(this.home, "Mail");
    this.recipient = recipient;
    const { SSH_AUTH_SOCK: _agent, SHOAL_PASSPHRASE_FILE: _file, ...env } = process.env;
    this.env = {
      ...env,
      HOME: this.home,
      XDG_CONFIG_HOME: join(this.home, "config"),
      XDG_STATE_HOME: join(this.home, "state"),
    };
    this.profilePath = join(this.home, "config/shoal/default/profile.json");
  }

  static async create(sshd: TestSshd, name = "alice"): Promise<MailUser> {
    const recipient = parseRecipient((await readFile(`${sshd.identityFile}.pub`, "utf8")).trim());
    const user = new MailUser(sshd, name, recipient);
    await mkdir(user.mail, { recursive: true });
    await mkdir(join(user.home, "config/shoal/default"), { recursive: true });
    await user.writeProfile({});
    return user;
  }

  /** Writes the profile with some of its values changed; null removes one. */
  async writeProfile(changes: Record<string, unknown>): Promise<void> {
    const profile: Record<string, unknown> = {
      account: this.sshd.user,
      host: "127.0.0.1",
      port: this.sshd.port,
      folder: this.mail,
      identities: [this.sshd.identityFile],
      knownHosts: this.sshd.knownHostsFile,
      maildir: this.maildir,
      ...changes,
    };
    await writeFile(
      this.profilePath,
      JSON.stringify(Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== null))),
    );
  }

  /** Puts a sealed message into the mail folder; gives its name there. */
  async deliver(message: string | Buffer, trace: Partial<Trace> = {}, recipient = this.recipient): Promise<string> {
    const file = seal([recipient], composeSealedMail({ ...TRACE, ...trace }, Buffer.from(message)));
    return await this.deposit(file);
  }

  async deposit(file: Buffer): Promise<string> {
    const name = `${createHash("sha256").update(file).digest("hex")}.age`;
    await writeFile(join(this.mail, name), file);
    return name;
  }

  async onServer(): Promise<string[]> {
    return await readdir(this.mail);
  }

  /** Everything that mail programs see in the Maildir. */
  async stored(): Promise<string[]> {
    const contents: string[] = [];
    for (const folder of ["new", "cur"]) {
      for (const name of await readdir(join(this.maildir, folder)).catch(() => [])) {
        contents.push(await readFile(join(this.maildir, folder, name), "latin1"));
      }
    }
    return contents;
  }

  /** Starts `shoal` from the sources; {@link run} waits for it. */
  start(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): { done: Promise<Ran>; pid: number | undefined; kill: () => void } {
    const main = new URL("../src/client/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...this.env, ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
    const done = new Promise<Ran>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
    });
    return { done, pid: child.pid, kill: () => void child.kill("SIGKILL") };
  }

  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return await this.start(args, env).done;
  }
}
