/** `shoalctl` as an operator uses it, the built program. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cellStatus } from "#fleet/cell/cell.ts";
import { networkFolder } from "#fleet/cell/places.ts";
import { type ExecResult, exec, tryExec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { bundle, programs } from "#tools/build.ts";

const name = "ops";
let folder: string;
let program: string;
let key: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-fleet-"));
  for (const one of Object.keys(programs)) program = (await bundle(one, join(folder, "dist"))).path;
  program = join(folder, "dist/shoalctl.mjs");
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, "key")]);
  key = (await readFile(join(folder, "key.pub"), "utf8")).trim();
  await define();
});

after(async () => {
  await shoalctl("down", "--destroy");
  await rm(folder, { recursive: true, force: true });
});

/** Writes the definition, with these changes. */
async function define(changes: { quota?: string; more?: string } = {}): Promise<void> {
  await writeFile(
    join(folder, "fleet.yaml"),
    `fleet: ${name}
domain: shoal.example
network: 10.181.0.0/16
resolver: 192.0.2.53
uplink: host
sites: { alpha: {} }
live: alpha
roles: { in: 1, spam-in: 1, fetch: 1 }
retention-days: 14
limits:
  message: 35 MB
  quota: ${changes.quota ?? "100 MB"}
  recipients: 100
  connections: 500
  connections-per-address: 50
accounts:
  alice:
    keys:
      - auth,seal ${key}
${changes.more ?? ""}`,
  );
}

function shoalctl(verb: string, ...args: string[]): Promise<ExecResult> {
  return tryExec(process.execPath, [program, verb, "--fleet", join(folder, "fleet.yaml"), ...args], {
    timeoutSeconds: 300,
  });
}

/** Runs it and expects success. */
async function ok(verb: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await shoalctl(verb, ...args);
  assert.equal(status, 0, `${verb}: ${stderr}`);
  return stdout.toString("utf8") + stderr;
}

/** Everything on the host that has the fleet's name: namespaces, mounts, interfaces, containers, folders of cells. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  const namespaces = (await exec("ip", ["netns", "list"])).stdout.toString("utf8");
  found.push(...namespaces.split("\n").filter((line) => line.startsWith(`shoal-${name}`)));
  const mounts = await readFile("/proc/self/mounts", "utf8");
  found.push(...mounts.split("\n").filter((line) => line.includes(`${networkFolder(name)}/`)));
  const links = (await exec("ip", ["-o", "link"])).stdout.toString("utf8");
  found.push(...links.split("\n").filter((line) => line.includes(`sh-${name}@`)));
  const containers = (await exec("runc", ["--root", "/run/shoal/runc", "list", "--quiet"])).stdout.toString("utf8");
  found.push(...containers.split("\n").filter((line) => line.startsWith(`shoal-${name}-`)));
  if (await exists(join(networkFolder(name), "cells"))) found.push("cells");
  return found;
}

/** Processes whose root is the root of one of the fleet's machines: each sees its own mount of it. */
async function processes(): Promise<string[]> {
  const script = `for pid in /proc/[0-9]*; do
    grep -qs ' / / .*lowerdir=.*upperdir=${networkFolder(name)}/' $pid/mountinfo && tr '\\0' ' ' < $pid/cmdline && echo; done; true`;
  return (await exec("sh", ["-c", script])).stdout.toString("utf8").split("\n").filter(Boolean);
}

async function startTimes(): Promise<Record<string, number | undefined>> {
  const pids = await Promise.all(
    ["in", "spam-in", "fetch"].map(async (role) => [role, (await cellStatus(name, `alpha-${role}`))?.pid] as const),
  );
  return Object.fromEntries(pids);
}

test("check says what is wrong, all of it, and render gives the same bytes each time, no private key among them", async () => {
  assert.match(await ok("check"), /shoal\.example: 3 machines on site alpha, 1 accounts/);
  const bad = join(folder, "bad.yaml");
  await writeFile(
    bad,
    (await readFile(join(folder, "fleet.yaml"), "utf8")).replace("live: alpha", "live: omega").replace("14", "0"),
  );
  const { status, stderr } = await tryExec(process.execPath, [program, "check", "--fleet", bad]);
  assert.equal(status, 78);
  assert.match(stderr, /bad\.yaml:7: live: found "omega", expected/);
  assert.match(stderr, /bad\.yaml:9: retention-days: found "?0"?, expected/);

  await ok("render", join(folder, "one"));
  await ok("render", join(folder, "two"));
  await exec("diff", ["--recursive", join(folder, "one"), join(folder, "two")]);
  assert.equal((await tryExec("grep", ["-r", "PRIVATE KEY", join(folder, "one")])).status, 1);
  assert.match(
    await readFile(join(folder, "one/alpha-in/MACHINE"), "utf8"),
    /^file \/etc\/shoal\/tls\.key 0400 shoal-front:shoal-front secret tls\/alpha-in$/m,
  );
  const refused = await shoalctl("render", folder);
  assert.equal(refused.status, 64, "a folder that holds something else is not replaced");
});

test("up, up again, status, exec, logs, known-hosts, down", async () => {
  assert.match(await ok("up"), /started alpha-in, alpha-spam-in, alpha-fetch/);
  const first = await startTimes();
  assert.match(await ok("up"), /everything runs as defined/);
  assert.deepEqual(await startTimes(), first, "nothing was started again");

  const status = JSON.parse((await shoalctl("status", "--json")).stdout.toString("utf8")) as {
    well: boolean;
    machines: { name: string; services: Record<string, string> }[];
  };
  assert.equal(status.well, true);
  assert.deepEqual(
    status.machines.map((machine) => machine.name),
    ["alpha-in", "alpha-spam-in", "alpha-fetch"],
  );
  assert.ok(Object.keys(status.machines[0]?.services ?? {}).includes("smtpd"));
  await ok("exec", "fetch", "--", "sv", "down", "sshd");
  assert.equal((await shoalctl("status")).status, 1, "a service that is down shows");
  await ok("exec", "fetch", "--", "sv", "up", "sshd");

  assert.equal((await shoalctl("exec", "in", "--", "sh", "-c", "exit 7")).status, 7);
  assert.match(await ok("logs", "in", "front"), /shoal-front: ready/);
  assert.equal((await shoalctl("logs", "in", "nothing")).status, 64);
  assert.match(await ok("known-hosts"), /^fetch\.mail\.shoal\.example,10\.181\.0\.49 ssh-ed25519 \S+$/m);

  await ok("down");
  assert.deepEqual(await traces(), []);
  assert.equal((await shoalctl("exec", "in", "--", "true")).status, 75);
});

test("a changed definition shows in diff and replaces only the machines that it concerns; kept mail survives", async () => {
  await ok("up");
  await ok(
    "exec",
    "fetch",
    "--",
    "sh",
    "-c",
    "cd /srv/mail/alice/mail && echo sealed > kept.age && chown deposit kept.age",
  );
  assert.equal((await shoalctl("diff")).status, 0);
  const before = await startTimes();
  await define({
    quota: "200 MB",
    more: `  bob:\n    quota: 100 MB\n    keys:\n      - auth,seal ${key.replace(/AAAA\S+/, await otherKey())}\n`,
  });
  const { status, stdout } = await shoalctl("diff");
  assert.equal(status, 1);
  assert.match(stdout.toString("utf8"), /^\+account bob 100000000 alpha-fetch$/m);
  assert.match(stdout.toString("utf8"), /^-account alice 100000000 alpha-fetch$/m);
  assert.match(await ok("up"), /started alpha-in, alpha-fetch/);
  assert.equal((await startTimes())["spam-in"], before["spam-in"]);
  assert.equal(
    (await shoalctl("exec", "fetch", "--", "cat", "/srv/mail/alice/mail/kept.age")).stdout.toString(),
    "sealed\n",
  );

  // A removed account can't log in any more; its id is never given to another.
  await define();
  await ok("up");
  assert.equal((await shoalctl("exec", "fetch", "--", "id", "bob")).status, 1);
  assert.match(await readFile(join(networkFolder(name), "user-ids"), "utf8"), /^bob \d+$/m);
});

async function otherKey(): Promise<string> {
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "other")]);
  return (await readFile(join(folder, "other.pub"), "utf8")).split(" ")[1] ?? "";
}

test("up that is killed at any moment is made good by the next one, and down removes whatever there is", async () => {
  // From the first key to the last service; a random part of a millisecond more finds another place each time.
  for (const moment of [200, 600, 1000, 1500, 2000]) {
    const milliseconds = moment + Math.random() * 400;
    await ok("down");
    const child = spawn(process.execPath, [program, "up", "--fleet", join(folder, "fleet.yaml")], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await sleep(milliseconds);
    child.kill("SIGKILL");
    await ended;
    await ok("up");
    assert.equal((await shoalctl("status")).status, 0, `after a kill at ${milliseconds} ms`);
  }
  const running = await processes();
  assert.ok(running.length > 20, running.join("\n"));
  const status = await cellStatus(name, "alpha-in");
  process.kill(status?.pid ?? Number.NaN, "SIGKILL");
  await exec("ip", ["netns", "delete", `shoal-${name}-alpha-fetch`]);
  // The runtime has forgotten this one, and its processes live on.
  await exec("rm", ["-r", `/run/shoal/runc/shoal-${name}-alpha-spam-in`]);
  await ok("down");
  assert.deepEqual(await traces(), []);
  assert.deepEqual(await processes(), []);
});

test("ten thousand accounts come up and log in about as fast as ten", async (context) => {
  const blob = Buffer.from(key.split(" ")[1] ?? "", "base64");
  const measure = async (accounts: number): Promise<{ up: number; login: number }> => {
    await ok("down", "--destroy");
    // Keys of people who never come: the right form is all that counts, so points of the curve are made from small numbers.
    const lines: string[] = [];
    const { stdout } = await exec(process.execPath, ["-e", manyKeys, String(accounts)], { maxOutputBytes: 1 << 26 });
    for (const [index, raw] of stdout.toString("utf8").trim().split("\n").entries()) {
      const line = Buffer.concat([blob.subarray(0, 19), Buffer.from(raw, "hex")]).toString("base64");
      lines.push(`  user${index}:\n    keys:\n      - auth,seal ssh-ed25519 ${line}\n`);
    }
    await define({ more: lines.join("") });
    const started = performance.now();
    await ok("up");
    const up = (performance.now() - started) / 1000;
    const hosts = join(folder, "hosts");
    await writeFile(hosts, (await shoalctl("known-hosts")).stdout);
    const options = [
      "BatchMode=yes",
      `UserKnownHostsFile=${hosts}`,
      `IdentityFile=${join(folder, "key")}`,
      "IdentitiesOnly=yes",
    ];
    const logins: number[] = [];
    for (let round = 0; round < 5; round++) {
      const from = performance.now();
      await exec(
        "sftp",
        ["-F", "none", "-q", "-b", "-", ...options.flatMap((option) => ["-o", option]), "alice@10.181.0.49"],
        { input: "ls mail\n" },
      );
      logins.push((performance.now() - from) / 1000);
    }
    return { up, login: logins.sort((a, b) => a - b)[2] ?? Number.NaN };
  };
  const ten = await measure(10);
  const many = await measure(10_000);
  context.diagnostic(`10 accounts: up ${ten.up.toFixed(1)} s, login ${ten.login.toFixed(3)} s`);
  context.diagnostic(`10,000 accounts: up ${many.up.toFixed(1)} s, login ${many.login.toFixed(3)} s`);
  assert.ok(many.login < ten.login * 2 + 0.2, "a login does not wait for the number of accounts");
});

/** Prints that many ed25519 public keys, hex. */
const manyKeys = `
const { generateKeyPairSync } = require("node:crypto");
const out = [];
for (let i = 0; i < Number(process.argv[1]); i++) {
  out.push(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex"));
}
console.log(out.join("\\n"));
`;
