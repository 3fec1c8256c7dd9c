/** A Debian 13 with OpenSMTPD 7.6 to run one program in: an overlay over a shared root, own mounts and processes. */

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exec } from "#host/exec.ts";
import { root as repository } from "#tools/build.ts";

/** Where the shared root is kept; `SHOAL_IN_ROOT` names another. */
const shared = process.env["SHOAL_IN_ROOT"] ?? "/var/cache/shoal/in-root";
const packages = "opensmtpd,opensmtpd-filter-rspamd,libatomic1,iproute2,procps,openssh-client,ca-certificates";

/** Inside: this repository, readable for everybody whatever its place outside, and the Node that runs the test. */
export const inside = { repository: "/opt/shoal", node: "/usr/bin/node" } as const;

export interface RootOptions {
  /** What to run inside: program and arguments. */
  command: readonly string[];
  /** Files to write: path -> content. */
  files?: Record<string, string>;
  /** A shell script, run as root inside before the command. */
  before?: string;
  stdio: SpawnOptions["stdio"];
  env?: Record<string, string>;
}

export interface TestRoot {
  child: ChildProcess;
  /** Resolves to the root of the running command as seen from here. */
  path(): Promise<string>;
  /** Runs another program inside and gives its output. */
  run(command: string, ...args: string[]): Promise<string>;
  /** Ends everything inside and removes it. */
  stop(): Promise<void>;
}

async function sharedRoot(): Promise<string> {
  if (existsSync(join(shared, "usr/sbin/smtpd"))) return shared;
  const fresh = `${shared}.${process.pid}`;
  await exec("mkdir", ["-p", dirname(shared)]);
  await exec("mmdebstrap", ["--variant=minbase", `--include=${packages}`, "trixie", fresh]);
  await rename(fresh, shared);
  return shared;
}

/** $1: an empty folder, $2: the shared root, $3: files to copy in; the command follows. */
const script = `
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
r="$1/root"
mount -t proc proc "$r/proc"
mount --rbind /dev "$r/dev"
mkdir -p "$r${inside.repository}" "$r/tmp/files"
mount --bind "${repository}" "$r${inside.repository}"
touch "$r${inside.node}"
mount --bind "${process.execPath}" "$r${inside.node}"
cp -r "$3/." "$r"
shift 3
chroot "$r" /bin/sh /before
ulimit -n 4096
exec chroot "$r" "$@"
`;

export async function startInRoot(options: RootOptions): Promise<TestRoot> {
  const lower = await sharedRoot();
  const folder = await mkdtemp(join(tmpdir(), "shoal-root-"));
  const files = join(folder, "files");
  const all = { "/before": options.before ?? ":", ...options.files };
  for (const [path, text] of Object.entries(all)) {
    await exec("mkdir", ["-p", join(files, dirname(path))]);
    await writeFile(join(files, path), text);
    await chmod(join(files, path), 0o644);
  }
  await exec("mkdir", [join(folder, "root")]);
  const child = spawn(
    "unshare",
    [
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "sh",
      "-c",
      script,
      "in-root",
      join(folder, "root"),
      lower,
      files,
      ...options.command,
    ],
    { stdio: options.stdio, env: { PATH: process.env["PATH"], ...options.env } },
  );
  async function pid(): Promise<string> {
    const { stdout } = await exec("pgrep", ["-P", String(child.pid)]);
    return stdout.toString().trim().split("\n")[0] ?? "";
  }
  return {
    child,
    path: async () => `/proc/${await pid()}/root`,
    async run(command, ...args) {
      return (await exec("nsenter", ["-t", await pid(), "-m", "-p", "-r", command, ...args])).stdout.toString();
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        // With the first process of its namespace everything in it ends; `--kill-child` is lost when that changed its user.
        process.kill(Number(await pid()), "SIGKILL");
        await ended;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
