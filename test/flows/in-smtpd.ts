/** A real OpenSMTPD 7.6 from Debian 13, run for one test: own root (an overlay over a shared one), own mounts and processes. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import { root as repository } from "#tools/build.ts";

/** Where the shared root is kept; `SHOAL_IN_ROOT` names another. */
const cached = process.env["SHOAL_IN_ROOT"] ?? "/var/cache/shoal/in-root";
const packages = [
  "opensmtpd",
  "opensmtpd-filter-rspamd",
  "libatomic1",
  "iproute2",
  "procps",
  "openssh-client",
  "ca-certificates",
];

async function sharedRoot(): Promise<string> {
  if (existsSync(join(cached, "usr/sbin/smtpd"))) return cached;
  const fresh = `${cached}.${process.pid}`;
  await exec("mkdir", ["-p", cached.slice(0, cached.lastIndexOf("/"))]);
  await exec("mmdebstrap", ["--variant=minbase", `--include=${packages.join(",")}`, "trixie", fresh]);
  await rename(fresh, cached);
  return cached;
}

export interface SmtpdOptions {
  /** smtpd.conf */
  config: string;
  /** A port on 127.0.0.1 that answers once smtpd is up. */
  port: number;
  /** Files of the root: path -> content. */
  files?: Record<string, string>;
  /** Folder of the host -> the same path inside. */
  binds?: readonly string[];
  /** Shell commands run as root inside before smtpd. */
  before?: string;
}

export class TestSmtpd {
  readonly #process: ChildProcess;
  readonly #folder: string;
  #log = "";

  private constructor(child: ChildProcess, folder: string) {
    this.#process = child;
    this.#folder = folder;
  }

  static async start(options: SmtpdOptions): Promise<TestSmtpd> {
    const lower = await sharedRoot();
    const folder = await mkdtemp(join(tmpdir(), "shoal-smtpd-"));
    await writeFile(join(folder, "smtpd.conf"), options.config);
    const files = Object.entries({
      "/etc/resolv.conf": "",
      "/etc/mailname": "mx.example.org\n",
      "/etc/smtpd.conf": options.config,
      ...options.files,
    });
    const script = `
      set -e
      mount -t tmpfs -o mode=755 tmpfs "$1"
      mkdir "$1/upper" "$1/work" "$1/root"
      mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
      r="$1/root"
      mount -t proc proc "$r/proc"
      mount --rbind /dev "$r/dev"
      ${[repository, ...(options.binds ?? [])].map((path) => `mkdir -p "$r${path}"; mount --bind "${path}" "$r${path}"`).join("\n")}
      ${files.map(([path, text]) => `mkdir -p "$(dirname "$r${path}")"; printf %s '${text.replaceAll("'", "'\\''")}' > "$r${path}"`).join("\n")}
      mkdir -p -m 711 "$r/var/spool/smtpd"
      chroot "$r" /bin/sh -c '${(options.before ?? ":").replaceAll("'", "'\\''")}'
      ulimit -n 4096
      exec chroot "$r" smtpd -d
    `;
    const child = spawn(
      "unshare",
      ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "smtpd", folder, lower],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const smtpd = new TestSmtpd(child, folder);
    child.stdout?.on("data", (chunk: Buffer) => (smtpd.#log += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (smtpd.#log += chunk.toString()));
    await smtpd.#answering(options.port);
    return smtpd;
  }

  /** What smtpd and its filters have logged. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The root of the running smtpd as seen from here. */
  async root(): Promise<string> {
    const { stdout } = await exec("pgrep", ["-P", String(this.#process.pid)]);
    return `/proc/${stdout.toString().trim().split("\n")[0]}/root`;
  }

  /** Runs a program inside. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await exec("pgrep", ["-P", String(this.#process.pid)]);
    const pid = stdout.toString().trim().split("\n")[0] ?? "";
    const result = await exec("nsenter", ["-t", pid, "-m", "-p", "-r", command, ...args]);
    return result.stdout.toString();
  }

  async stop(): Promise<void> {
    if (this.running) {
      const ended = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGKILL");
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #answering(port: number): Promise<void> {
    for (let turn = 0; turn < 200; turn += 1) {
      if (!this.running) throw new Error(`smtpd ended at once:\n${this.#log}`);
      const there = await new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.destroy();
          resolve(true);
        });
        socket.once("error", () => resolve(false));
      });
      if (there) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.stop();
    throw new Error(`smtpd does not listen on port ${port}:\n${this.#log}`);
  }
}

/** A free port on 127.0.0.1. */
export async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
