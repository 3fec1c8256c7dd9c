/** Postfix as a stranger's mail server, and its `posttls-finger`, which judges DANE by code that is not ours. */

import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Identity } from "./authority.ts";
import { run } from "./run.ts";

/** Starts Postfix on port 25 of the address. It ends with the namespace that it was started in, at the latest. */
export async function startPostfix(
  folder: string,
  address: string,
  identity: Identity,
): Promise<{ stop(): Promise<void> }> {
  const config = join(folder, "postfix");
  await mkdir(config, { recursive: true });
  await chmod(folder, 0o755);
  const queue = join(folder, "postfix-queue");
  const data = join(folder, "postfix-data");
  await mkdir(queue);
  await writeFile(join(config, "identity.pem"), identity.key + identity.chain, { mode: 0o600 });
  await writeFile(
    join(config, "main.cf"),
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
myhostname = mx.postfix.example
mydestination =
inet_interfaces = all
inet_protocols = ipv4
maillog_file = ${join(folder, "postfix.log")}
maillog_file_prefixes = ${folder}
smtpd_tls_chain_files = ${join(config, "identity.pem")}
smtpd_tls_security_level = may
smtpd_relay_restrictions = reject
`,
  );
  const services = [
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    "rewrite unix - - n - - trivial-rewrite",
    "anvil unix - - n - 1 anvil",
  ];
  const log = ["postlog unix-dgram n - n - 1 postlogd", "proxymap unix - - n - - proxymap"];
  const lines = [`${address}:25 inet n - n - - smtpd`, ...services, ...log];
  await writeFile(join(config, "master.cf"), `${lines.join("\n")}\n`);
  await run("postfix", ["-c", config, "start"]);
  return {
    async stop() {
      await run("postfix", ["-c", config, "stop"]);
    },
  };
}

/** Points this mount namespace's programs, and nobody else's, at the resolver. */
export async function useResolver(folder: string, address: string): Promise<void> {
  const file = join(folder, "resolv.conf");
  await writeFile(file, `nameserver ${address}\noptions edns0 trust-ad timeout:1 attempts:2\n`);
  await run("mount", ["--bind", file, "/etc/resolv.conf"]);
}

/** What posttls-finger says of a domain: `verified` if a TLSA record matches the server that it came to. */
export async function tlsFinger(domain: string): Promise<{ verified: boolean; said: string }> {
  // -c: no certificates in the log; -l: a match of DANE, or nothing; -m 1, -t 3: quick.
  const args = ["-c", "-l", "dane-only", "-m", "1", "-t", "3", "-T", "3", domain];
  const said = await new Promise<string>((resolve) => {
    execFile("posttls-finger", args, { timeout: 10_000 }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
  return { verified: /^posttls-finger: Verified TLS connection established/m.test(said), said };
}
