/** A stand-in for machine `fetch`: the host's sshd with the folders and fences of the role, in mounts and processes of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import { freePort } from "#test/sshd.ts";

export interface TestFetch {
  port: number;
  /** Private key of the courier, and the host's public key for it. */
  identity: string;
  knownHosts: string;
  /** `/srv/mail` of the running machine as seen from here. */
  mail(): Promise<string>;
  /** Runs a shell command inside. */
  run(command: string): Promise<string>;
  /** Kills every process but sshd's listener, without warning. */
  killSessions(): Promise<void>;
  stop(): Promise<void>;
}

const script = `
set -e
mount -t tmpfs -o size=40m,mode=755 tmpfs /srv
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /srv/mail /srv/usage
install -m 644 "$1/courier.pub" /run/authorized_keys
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
chmod 711 /srv/mail
for name in alice bob; do
  install -d -m 0751 -o root -g $name /srv/mail/$name
  install -d -m 1730 -o $name -g deposit /srv/mail/$name/mail
  install -d -m 1730 -o root -g deposit /srv/mail/$name/incoming
done
printf 'shoal-usage/v1\\ntime %s\\nalice 100\\n' $(date +%s) > /srv/usage/usage
mount -t proc proc /proc
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`;

export async function startFetch(port?: number): Promise<TestFetch> {
  const listening = port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "shoal-fetch-"));
  const path = (name: string): string => join(folder, name);
  for (const name of ["host", "courier"]) {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path(name)]);
  }
  const users = ["deposit 900", "usage 901", "alice 902", "bob 903"].map((line) => line.split(" "));
  await writeFile(
    path("passwd"),
    `${await readFile("/etc/passwd", "utf8")}${users.map(([name, id]) => `${name}:x:${id}:${id}::/:/usr/sbin/nologin\n`).join("")}`,
  );
  await writeFile(
    path("group"),
    `${await readFile("/etc/group", "utf8")}${users.map(([name, id]) => `${name}:x:${id}:\n`).join("")}`,
  );
  await writeFile(
    path("sshd_config"),
    [
      `Port ${listening}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${path("host")}`,
      "AuthorizedKeysFile /run/authorized_keys",
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      "MaxStartups 100",
      "Subsystem sftp internal-sftp",
      "Match User deposit",
      "ChrootDirectory /srv/mail",
      "ForceCommand internal-sftp -u 0333 -p open,write,fsync,close,hardlink,lstat,limits",
      "Match User usage",
      "ChrootDirectory /srv/usage",
      "ForceCommand internal-sftp -R -p open,read,close,lstat,fstat,limits",
      "",
    ].join("\n"),
  );
  const child = spawn("unshare", ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "fetch", folder], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await listeningNow(child);
  async function pid(): Promise<string> {
    const { stdout } = await exec("pgrep", ["-P", String(child.pid)]);
    return stdout.toString().trim();
  }
  async function run(command: string): Promise<string> {
    return (await exec("nsenter", ["-t", await pid(), "-m", "-p", "sh", "-c", command])).stdout.toString();
  }
  return {
    port: listening,
    identity: await readFile(path("courier"), "utf8"),
    knownHosts: `[127.0.0.1]:${listening} ${(await readFile(path("host.pub"), "utf8")).trim()}\n`,
    mail: async () => `/proc/${await pid()}/root/srv/mail`,
    run,
    async killSessions() {
      // Within its own processes "all" means all but the first one, sshd's listener; itself is told last.
      await run("kill -9 -1 || true").catch(() => undefined);
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function listeningNow(child: ChildProcess): Promise<void> {
  let log = "";
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error(`sshd did not start: ${log}`)));
    child.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes("Server listening on")) resolve();
    });
  });
}
