/** `shoalctl` as an operator uses it, the built program. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Addition } from "#fleet/accounts/additions.ts";
import { cellStatus } from "#fleet/cell/cell.ts";
import { networkFolder } from "#fleet/cell/places.ts";
import { unixTime } from "#host/clock.ts";
import { type ExecResult, exec, tryExec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { lineOf, makeKey } from "#test/owner.ts";
import { until } from "#test/until.ts";
import { additionOf, generatedAdditions } from "#test/world/more-accounts.ts";
import { bundle, programs } from "#tools/build.ts";

const name = "ops";
const domain = "shoal.example";
let folder: string;
let program: string;
/** Alice's, which she logs in with. */
let key: string;
/** The line that `shoalctl directory create` printed. */
let directory: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-fleet-"));
  for (const one of Object.keys(programs)) program = (await bundle(one, join(folder, "dist"))).path;
  program = join(folder, "dist/shoalctl.mjs");
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, "key")]);
  key = (await readFile(join(folder, "key.pub"), "utf8")).trim();
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, "operator")]);
  await begin();
});

after(async () => {
  await shoalctl("down", "--destroy");
  await rm(folder, { recursive: true, force: true });
});

/** Begins a directory, as for a new fleet. */
async function begin(): Promise<void> {
  await rm(join(folder, "fleet.directory"), { force: true });
  directory = "";
  await define();
  const created = await shoalctl("directory", "create", "--key", join(folder, "operator"));
  assert.equal(created.status, 0, created.stderr);
  directory = created.stdout.toString("utf8");
  assert.match(directory, /^directory: [A-Za-z0-9_-]{22}\n$/);
  await define();
}

/** Adds accounts as an operator does: files of first states, and a list of them where there are several. */
async function add(additions: readonly Addition[]): Promise<string> {
  return await ok(...(await addCommand(additions)));
}

/** The same, and waits for machines that are not done when the operator has been told so. */
async function addMany(additions: readonly Addition[]): Promise<void> {
  const { status, stdout, stderr } = await shoalctl(...(await addCommand(additions)));
  const said = `${stdout.toString("utf8")}${stderr}`;
  if (status !== 0) assert.match(said, /accounts are added; not yet on .* behind/);
  const ask = ["exec", "ledger", "--", "/usr/bin/node", "/usr/lib/shoal/shoal-ledger.mjs", "status"];
  await until("all machines have all accounts", async () => {
    const { stdout: answer } = await shoalctl(...ask);
    const { machines } = JSON.parse(answer.toString("utf8")) as { machines: { behind: number | null }[] };
    return machines.every(({ behind }) => behind === 0);
  });
}

async function addCommand(additions: readonly Addition[]): Promise<string[]> {
  const lines: string[] = [];
  for (const { name: account, genesis, quotaBytes } of additions) {
    await writeFile(join(folder, `${account}.account`), genesis);
    lines.push(`${account} ${account}.account ${quotaBytes}\n`);
  }
  await writeFile(join(folder, "list"), lines.join(""));
  const [first] = additions;
  const what =
    first !== undefined && additions.length === 1
      ? [first.name, join(folder, `${first.name}.account`)]
      : ["--from", join(folder, "list")];
  return ["account", "add", "--key", join(folder, "operator"), ...what];
}

function person(account: string, keyLine = lineOf(makeKey())): Addition {
  return additionOf({ name: account, keys: [`auth,seal ${keyLine}`] }, domain, unixTime());
}

/** Writes the definition, with these changes. */
async function define(changes: { message?: string; retention?: number } = {}): Promise<void> {
  await writeFile(
    join(folder, "fleet.yaml"),
    `fleet: ${name}
domain: ${domain}
network: 10.181.0.0/16
resolver: 192.0.2.53
uplink: host
sites: { alpha: {} }
live: alpha
${directory}roles: { in: 1, spam-in: 1, fetch: 1, keys: 1, ledger: 1 }
retention-days: ${changes.retention ?? 14}
limits:
  message: ${changes.message ?? "35 MB"}
  quota: 100 MB
  recipients: 100
  connections: 500
  connections-per-address: 50
`,
  );
}

function shoalctl(...words: string[]): Promise<ExecResult> {
  const [verb = "", ...args] = words;
  const isGroup = verb === "account" || verb === "directory";
  const command = isGroup ? [verb, args.shift() ?? ""] : [verb];
  return tryExec(process.execPath, [program, ...command, "--fleet", join(folder, "fleet.yaml"), ...args], {
    timeoutSeconds: 300,
  });
}

/** Runs it and expects success. */
async function ok(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await shoalctl(...words);
  assert.equal(status, 0, `${words.join(" ")}: ${stdout.toString("utf8")}${stderr}`);
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
    ["in", "spam-in", "fetch", "keys", "ledger"].map(
      async (role) => [role, (await cellStatus(name, `alpha-${role}`))?.pid] as const,
    ),
  );
  return Object.fromEntries(pids);
}

test("check says what is wrong, all of it, and render gives the same bytes each time, no private key among them", async () => {
  assert.match(await ok("check"), /shoal\.example: 5 machines on site alpha, directory \S{22}/);
  const bad = join(folder, "bad.yaml");
  await writeFile(
    bad,
    (await readFile(join(folder, "fleet.yaml"), "utf8"))
      .replace("live: alpha", "live: omega")
      .replace("days: 14", "days: 0"),
  );
  const { status, stderr } = await tryExec(process.execPath, [program, "check", "--fleet", bad]);
  assert.equal(status, 78);
  assert.match(stderr, /bad\.yaml:7: live: found "omega", expected/);
  assert.match(stderr, /bad\.yaml:10: retention-days: found "?0"?, expected/);

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
  assert.match(await ok("up"), /started alpha-in, alpha-spam-in, alpha-fetch, alpha-keys, alpha-ledger/);
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
    ["alpha-in", "alpha-spam-in", "alpha-fetch", "alpha-keys", "alpha-ledger"],
  );
  assert.ok(Object.keys(status.machines[0]?.services ?? {}).includes("smtpd"));
  await ok("exec", "fetch", "--", "sv", "down", "sshd");
  assert.equal((await shoalctl("status")).status, 1, "a service that is down shows");
  await ok("exec", "fetch", "--", "sv", "up", "sshd");

  assert.equal((await shoalctl("exec", "in", "--", "sh", "-c", "exit 7")).status, 7);
  assert.match(await ok("logs", "in", "front"), /shoal-front: ready/);
  assert.equal((await shoalctl("logs", "in", "nothing")).status, 64);
  assert.match(await ok("known-hosts"), /^fetch\.mail\.shoal\.example,10\.181\.0\.49 ssh-ed25519 \S+$/m);
  assert.match(await ok("known-hosts"), /^keys\.mail\.shoal\.example,10\.181\.0\.65 ssh-ed25519 \S+$/m);
  const operator = (await readFile(join(folder, "operator.pub"), "utf8")).split(" ").slice(0, 2).join(" ");
  assert.ok((await ok("known-hosts")).includes(`operator.shoal.example ${operator}\n`));

  await ok("down");
  assert.deepEqual(await traces(), []);
  assert.equal((await shoalctl("exec", "in", "--", "true")).status, 75);
});

test("a changed definition shows in diff and replaces only the machines that it concerns; kept mail and accounts survive", async () => {
  await ok("up");
  assert.match(await add([person("alice", key)]), /"alice" is added, on all machines/);
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
  await define({ message: "30 MB", retention: 15 });
  const { status, stdout } = await shoalctl("diff");
  assert.equal(status, 1);
  assert.match(stdout.toString("utf8"), /^\+ {2}"maxMessageBytes": 30000000,?$/m);
  assert.match(await ok("up"), /started alpha-in, alpha-fetch, alpha-ledger\n/);
  for (const role of ["spam-in", "keys"]) assert.equal((await startTimes())[role], before[role], role);
  assert.equal(
    (await shoalctl("exec", "fetch", "--", "cat", "/srv/mail/alice/mail/kept.age")).stdout.toString(),
    "sealed\n",
  );
  await define();
  await ok("up");
  await until("alice is a user of the new machine", async () => (await onFetch("id", "alice")).status === 0);
  assert.match(await ok("account", "verify"), /1 accounts are the same on all machines/);
});

test("accounts are added, listed, suspended, resumed, changed and removed; verify sees what root of a machine changed", async () => {
  await ok("up");
  const operator = ["--key", join(folder, "operator")];
  const list = async (): Promise<Record<string, { status: string; quotaBytes: number; version: number }>> => {
    const rows = JSON.parse((await shoalctl("account", "list", "--json")).stdout.toString("utf8")) as {
      name: string;
      status: string;
      quotaBytes: number;
      version: number;
    }[];
    return Object.fromEntries(rows.map(({ name: account, ...row }) => [account, row]));
  };
  await add([person("bob"), person("carol")]);
  assert.deepEqual(Object.keys(await list()), ["alice", "bob", "carol"]);
  assert.equal((await list())["bob"]?.version, 1);
  assert.match(
    await ok("account", "list"),
    /^bob +active +fetch 1 +100 MB \S{22} version 1: 1 auth, 1 seal, 1 master, 0 recovery$/m,
  );
  assert.equal((await shoalctl("account", "add", ...operator, "bob", join(folder, "carol.account"))).status, 77);

  const keysOf = async (account: string): Promise<string> =>
    (await onFetch("cat", `/etc/ssh/authorized_keys/${account}`)).stdout.toString("utf8");
  assert.match(await keysOf("bob"), /^restrict ssh-ed25519 \S+\n$/);
  await ok("account", "suspend", ...operator, "bob");
  assert.equal(await keysOf("bob"), "");
  assert.equal((await list())["bob"]?.status, "suspended");
  assert.match(
    await ok("exec", "keys", "--", "cat", "/etc/ssh/authorized_keys/bob"),
    /^restrict ssh-ed25519 \S+\n$/,
    "the owner can still change the account",
  );
  assert.match(await ok("account", "verify"), /3 accounts are the same/);
  await ok("account", "resume", ...operator, "bob");
  assert.match(await keysOf("bob"), /^restrict /);
  await ok("account", "set", ...operator, "--quota", "200 MB", "bob");
  assert.equal((await list())["bob"]?.quotaBytes, 200_000_000);
  const recipients = (await shoalctl("exec", "in", "--", "cat", "/run/accept/recipients")).stdout.toString("utf8");
  assert.match(recipients, /^account bob [\w-]{22} 1 200000000 alpha-fetch$/m);

  await ok("account", "remove", ...operator, "carol");
  assert.equal((await onFetch("id", "carol")).status, 1);
  assert.equal((await list())["carol"]?.status, "removed");
  assert.equal((await shoalctl("account", "add", ...operator, "carol", join(folder, "carol.account"))).status, 77);

  assert.match(await ok("account", "verify"), /3 accounts are the same on all machines/);
  const spoils: [machine: string, script: string, finding: RegExp][] = [
    [
      "fetch",
      `echo 'restrict ${key}' >> /etc/ssh/authorized_keys/bob`,
      /^alpha-fetch: the keys that "bob" may log in/m,
    ],
    [
      "keys",
      `echo 'restrict ${key}' > /etc/ssh/authorized_keys/carol`,
      /^alpha-keys: the keys that "carol" may log in/m,
    ],
    ["fetch", "echo 'eve:x:20000:20000::/:/bin/sh' >> /etc/passwd", /^alpha-fetch: the user "eve" is not as/m],
    ["in", "sed -i 's/^seal .*/seal age1other/' /run/accept/recipients", /^alpha-in: the file of recipients is not/m],
  ];
  for (const [machine, script, finding] of spoils) {
    await ok("exec", machine, "--", "sh", "-c", script);
    const { status, stdout } = await shoalctl("account", "verify");
    assert.equal(status, 1, script);
    assert.match(stdout.toString("utf8"), finding);
    // What the service makes anew at its start is right again.
    await ok("exec", machine, "--", "sv", "restart", "accept");
    await until("the files are made anew", async () => (await shoalctl("account", "verify")).status === 0);
  }
});

function onFetch(...command: string[]): Promise<ExecResult> {
  return shoalctl("exec", "fetch", "--", ...command);
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
  // At two moments that a kill seldom meets: the router is there and forwards nothing, its way out has no route.
  await ok("down");
  await exec("ip", ["netns", "add", `shoal-${name}`]);
  await ok("up");
  await exec("ip", ["-n", `shoal-${name}`, "link", "set", "dev", "world", "alias", ""]);
  await exec("ip", ["-n", `shoal-${name}`, "route", "delete", "default"]);
  await ok("up");
  const { stdout: routes } = await exec("ip", ["-n", `shoal-${name}`, "route", "show", "default"]);
  assert.match(routes.toString(), /^default via /);
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
  const measure = async (accounts: number): Promise<number> => {
    await ok("down", "--destroy");
    await begin();
    const additions = [person("alice", key), ...generatedAdditions(accounts, domain, unixTime())];
    const from = performance.now();
    await ok("up");
    const added = performance.now();
    await addMany(additions);
    const end = performance.now();
    await ok("down");
    const again = performance.now();
    await ok("up");
    await until("alice is a user again", async () => (await onFetch("id", "alice")).status === 0);
    context.diagnostic(
      `${accounts} accounts: first up ${seconds(added - from)}, added in ${seconds(end - added)}, up again ${seconds(performance.now() - again)}`,
    );
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
      const asked = performance.now();
      await exec(
        "sftp",
        ["-F", "none", "-q", "-b", "-", ...options.flatMap((option) => ["-o", option]), "alice@10.181.0.49"],
        { input: "ls mail\n" },
      );
      logins.push((performance.now() - asked) / 1000);
    }
    const login = logins.sort((a, b) => a - b)[2] ?? Number.NaN;
    context.diagnostic(`${accounts} accounts: login ${login.toFixed(3)} s`);
    return login;
  };
  const ten = await measure(10);
  const many = await measure(10_000);
  assert.ok(many < ten * 2 + 0.2, "a login does not wait for the number of accounts");
});

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
