/** A real sshd on loopback with its own configuration and keys, for tests. */

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import type { SshOptions } from "#host/ssh.ts";

export interface TestSshd {
  port: number;
  user: string;
  /** Where everything of this server lies; removed by {@link TestSshd.stop}. */
  folder: string;
  /** A key that may log in. */
  identityFile: string;
  /** Knows the server's host key. */
  knownHostsFile: string;
  authorizedKeysFile: string;
  /** Options that log in. */
  target: SshOptions;
  log(): string;
  /** Ends the listener; connections that exist live on. */
  stopListening(): Promise<void>;
  stop(): Promise<void>;
}

/** A TCP port of 127.0.0.1 that nobody listens on right now, and that the kernel gives to no connection meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}

/** OpenSSH 9.8 and later turn addresses away from which logins have failed, as they do in tests. */
async function withoutPenalties(): Promise<string[]> {
  const { stderr } = await exec("ssh", ["-V"]);
  const version = /OpenSSH_([0-9]+\.[0-9]+)/.exec(stderr)?.[1];
  return Number(version) >= 9.8 ? ["PerSourcePenalties no"] : [];
}

/**
 * @param config further lines of `sshd_config`, which win over ours
 * @param subsystem without it the server has no SFTP
 * @param parent where its folder is made
 */
export async function startSshd(
  config: readonly string[] = [],
  subsystem = true,
  parent = tmpdir(),
): Promise<TestSshd> {
  const folder = await mkdtemp(join(parent, "shoal-sshd-"));
  const path = (name: string): string => join(folder, name);
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", path("host_key")]);
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f", path("alice")]);
  await writeFile(path("authorized_keys"), await readFile(path("alice.pub")));
  const port = await freePort();
  const user = userInfo().username;
  const hostKey = (await readFile(path("host_key.pub"), "utf8")).trim();
  await writeFile(path("known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`);
  const lines = [
    ...config,
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${path("host_key")}`,
    `AuthorizedKeysFile ${path("authorized_keys")}`,
    "PidFile none",
    "UsePAM no",
    "StrictModes no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "MaxStartups 100",
    ...(await withoutPenalties()),
    subsystem ? "Subsystem sftp internal-sftp" : "",
  ];
  await writeFile(path("sshd_config"), `${lines.join("\n")}\n`);
  // sshd's unprivileged child lives in this empty folder.
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", path("sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`sshd did not start: ${log}`)));
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString("utf8");
      if (log.includes("Server listening on")) resolve();
    });
  });
  async function stopListening(): Promise<void> {
    child.kill("SIGTERM");
    await ended;
  }
  return {
    port,
    user,
    folder,
    identityFile: path("alice"),
    knownHostsFile: path("known_hosts"),
    authorizedKeysFile: path("authorized_keys"),
    target: {
      host: "127.0.0.1",
      port,
      user,
      identityFiles: [path("alice")],
      knownHostsFile: path("known_hosts"),
      // The developer's own configuration must not change what is tested.
      options: ["IdentityAgent=none"],
    },
    log: () => log,
    stopListening,
    async stop() {
      await stopListening();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
