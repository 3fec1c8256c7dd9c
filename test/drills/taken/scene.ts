/** What the drills on accounts share: a fleet with owners who use the client, a thief, and ways to look and to meddle. */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { MAX_LAG_SECONDS } from "#client/account/shown-chain.ts";
import { parseChain, verifySteps } from "#core/account/chain.ts";
import { FEED_HELLO, printFrame } from "#core/account/feed.ts";
import { parseProposal, type Standing } from "#core/account/step.ts";
import { parsePrivateKey } from "#core/ssh/private-key.ts";
import { unixTime } from "#host/clock.ts";
import type { ExecResult } from "#host/exec.ts";
import { type Ed25519Key, lineOf, nextState, signState } from "#test/owner.ts";
import { until } from "#test/until.ts";
import { asPerson, openStage, type Stage, type StageOptions } from "#test/world/stage.ts";

export const domain = "shoal.example";

/** Keys of one person, read from their home. */
export interface Keys {
  name: string;
  master: Ed25519Key;
  recovery: Ed25519Key;
  laptop: Ed25519Key;
}

export interface Scene {
  stage: Stage;
  alice: Keys;
  bob: Keys;
  /** A stranger's key, in `/root/thief` of the users' computer. */
  thief: Ed25519Key;
  tell: (text: string) => void;
}

export const masterFile = ".config/shoal/default/master_ed25519";
export const recoveryFile = "recovery";
export const laptopFile = ".config/shoal/default/id_ed25519";

export async function openScene(options: Pick<StageOptions, "name" | "net">, tell: Scene["tell"]): Promise<Scene> {
  const stage = await openStage({
    ...options,
    people: ["alice", "bob"],
    recovery: ["alice", "bob"],
    userPackages: ["fake-clock"],
    changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n  spam-out: 1\n"]],
    onProgress: tell,
  });
  try {
    const made = "test -e /root/thief || ssh-keygen -q -t ed25519 -N '' -C thief -f /root/thief; cat /root/thief";
    const thief = ed25519((await must(stage.exec("user", ["sh", "-c", made]))).stdout.toString("latin1"));
    return { stage, thief, tell, alice: await keysOf(stage, "alice"), bob: await keysOf(stage, "bob") };
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Keys that the client made for a person of the stage. */
export async function keysOf(stage: Stage, name: string): Promise<Keys> {
  const read = async (file: string): Promise<Ed25519Key> => ed25519(await stage.as(name, `cat ${file}`));
  return { name, master: await read(masterFile), recovery: await read(recoveryFile), laptop: await read(laptopFile) };
}

function ed25519(text: string): Ed25519Key {
  const key = parsePrivateKey(text);
  if (key.type !== "ssh-ed25519") throw new TypeError(`expected an ed25519 key, found ${key.type}`);
  return key;
}

/** @throws Error unless the exit status is 0 */
export async function must(running: Promise<ExecResult>): Promise<ExecResult> {
  const result = await running;
  if (result.status !== 0) throw new Error(`exit status ${result.status}: ${result.stderr.slice(-2000)}`);
  return result;
}

/** Runs a shell script as root of a machine. */
export async function asRoot(scene: Scene, machine: string, script: string, input?: Uint8Array): Promise<string> {
  const options = input === undefined ? {} : { input };
  return (await must(scene.stage.exec(machine, ["sh", "-c", script], options))).stdout.toString("latin1");
}

/** True if anything at this end takes a connection from the machine. */
export async function answersFrom(scene: Scene, machine: string, host: string, port: number): Promise<boolean> {
  const script = `timeout 3 perl -MIO::Socket::INET -e 'exit(IO::Socket::INET->new(PeerAddr => "${host}", PeerPort => ${port}, Timeout => 2) ? 0 : 1)'`;
  return (await scene.stage.exec(machine, ["sh", "-c", script])).status === 0;
}

/** Lets what a client has just learned grow old enough that less than it is no mere delay. */
export async function outlastDelay(): Promise<void> {
  await sleep((MAX_LAG_SECONDS + 1) * 1000);
}

const folders = { fetch: "/srv/mail", keys: "/srv/keys" } as const;

export function chainFile(machine: keyof typeof folders, name: string): string {
  return `${folders[machine]}/${name}/account/chain`;
}

/** The chain that a machine shows to an owner. */
export async function chainAt(scene: Scene, machine: keyof typeof folders, name: string): Promise<Buffer> {
  return (await must(scene.stage.exec(machine, ["cat", chainFile(machine, name)]))).stdout;
}

export async function standingAt(scene: Scene, machine: keyof typeof folders, name: string): Promise<Standing> {
  const standing = verifySteps(parseChain(await chainAt(scene, machine, name)), domain, null);
  if (standing === null) throw new Error(`${machine} shows no state of ${name}`);
  return standing;
}

/** Lines of an account's `authorized_keys` on a machine. */
export async function authorizedKeys(scene: Scene, machine: string, name: string): Promise<string> {
  return await asRoot(scene, machine, `cat /etc/ssh/authorized_keys/${name} 2>/dev/null || true`);
}

/** The lines of an account in the file that `in` seals by. */
export async function sealLines(scene: Scene, name: string): Promise<string> {
  return await asRoot(scene, "in", `sed -n '/^account ${name} /,/^account [^ ]*/p' /run/accept/recipients`);
}

/** True if the key is of any use anywhere: logs in, or mail is sealed to it. */
export async function hasPower(scene: Scene, name: string, key: Ed25519Key): Promise<string | null> {
  const line = lineOf(key);
  const places = [
    ["fetch lets it in", await authorizedKeys(scene, "fetch", name)],
    ["keys lets it in", await authorizedKeys(scene, "keys", name)],
    ["mail is sealed to it", await sealLines(scene, name)],
  ] as const;
  return places.find(([, text]) => text.includes(line))?.[0] ?? null;
}

/** The next state with the thief's key as a device, and as a master where the signers' power is tried. */
export function withThief(scene: Scene, standing: Standing, signers: readonly Ed25519Key[]): Buffer {
  const { devices } = standing.state;
  const device = { auth: true, seal: true, key: lineOf(scene.thief) };
  return signState(nextState(standing, { devices: [...devices, device] }), signers);
}

export interface Answer {
  code: string;
  version: string;
  text: string;
}

/** Hands a state in as an owner would by hand, and waits for the answer to exactly these bytes; null for none. */
export async function handIn(
  scene: Scene,
  name: string,
  signed: Buffer,
  { key = masterFile, seconds = 60 } = {},
): Promise<Answer | null> {
  const sftp = `sftp -q -b - -o BatchMode=yes -o IdentitiesOnly=yes -i ${key} ${name}@keys.mail.${domain}`;
  const put = `cat > /tmp/proposal-${name} && echo 'put /tmp/proposal-${name} /proposal' | ${sftp}`;
  await must(scene.stage.exec("user", asPerson(name, put), { input: signed }));
  const digest = createHash("sha256").update(signed).digest("base64");
  const deadline = performance.now() + seconds * 1000;
  do {
    const get = `echo "get /answer/result /tmp/result-${name}" | ${sftp} >&2 && cat /tmp/result-${name}`;
    const { status, stdout } = await scene.stage.exec("user", asPerson(name, get));
    const answer = status === 0 ? parseAnswer(stdout.toString("latin1")) : null;
    if (answer?.file === digest && answer.code !== "PENDING") return answer;
    await sleep(200);
  } while (performance.now() < deadline);
  return null;
}

function parseAnswer(text: string): (Answer & { file: string }) | null {
  const match = /^shoal-result\/v1\nfile (\S+)\ncode (\S+)\nversion (\S+)\ntext (.*)\n$/.exec(text);
  if (match === null) return null;
  const [, file = "", code = "", version = "", said = ""] = match;
  return { file, code, version, text: said };
}

/** What the client of a person prints, and how it ends. */
export async function client(scene: Scene, name: string, command: string): Promise<{ status: number; said: string }> {
  const result = await scene.stage.exec("user", asPerson(name, command));
  return { status: result.status ?? 1, said: `${result.stdout.toString("utf8")}${result.stderr}` };
}

/** The latest body's hash, for comparing. */
export function bodyOf(signed: Buffer): string {
  return parseProposal(signed).signed.body.toString("latin1");
}

/**
 * Takes the place of a service that listens on a socket: whoever comes hears `say` and is listened to, for some seconds at
 * most and no longer than it takes until there is nothing to be heard.
 * @returns what was heard
 */
export async function impersonate(
  scene: Scene,
  machine: string,
  { service, socket, say, seconds = 6 }: { service: string; socket: string; say: Buffer; seconds?: number },
): Promise<string> {
  const script = `
    const { createServer } = require("node:net");
    const { readFileSync, rmSync, chmodSync } = require("node:fs");
    const say = readFileSync(0);
    rmSync("${socket}", { force: true });
    const server = createServer((peer) => {
      peer.on("error", () => {});
      let silence;
      peer.on("data", (data) => {
        process.stdout.write(data);
        clearTimeout(silence);
        silence = setTimeout(() => process.exit(0), 800);
      });
      peer.write(say);
    });
    server.listen("${socket}", () => chmodSync("${socket}", 0o666));
    setTimeout(() => process.exit(0), ${seconds * 1000});`;
  await setService(scene, machine, service, "down");
  try {
    const run = scene.stage.exec(machine, ["/usr/bin/node", "-e", script], { input: say });
    return (await must(run)).stdout.toString("latin1");
  } finally {
    await asRoot(scene, machine, `rm -f ${socket}`);
    await setService(scene, machine, service, "up");
  }
}

/**
 * Speaks to shoal-accept of a machine in the ledger's place, with the ledger's own key.
 * @returns what accept said after all that it has: to the first answer to a record, and a second more
 */
export async function speakAsLedger(
  scene: Scene,
  machine: "keys" | "fetch" | "in",
  frames: readonly Parameters<typeof printFrame>[0][],
  raw: Buffer = Buffer.alloc(0),
): Promise<string> {
  const say = Buffer.concat([Buffer.from("shoal-feed/v1\n"), ...frames.map(printFrame), raw]);
  const ssh = `ssh -F none -T -o BatchMode=yes -i /etc/shoal/shoal-ledger/alpha-${machine}`;
  const known = "-o UserKnownHostsFile=/etc/shoal/shoal-ledger/known_hosts";
  const heardFile = `/tmp/heard-${machine}`;
  const answered = `for try in $(seq 300); do grep -q '^took \\|^refused ' ${heardFile} && break; sleep 0.1; done`;
  const patience = frames.length > 0 ? `${answered}; sleep 1` : "sleep 1";
  const run = `: > ${heardFile}; (cat; ${patience}) | timeout 60 ${ssh} ${known} ledger@${machine}.mail.${domain} > ${heardFile} || true; cat ${heardFile}`;
  const heard = await asRoot(scene, "ledger", run, say);
  return heard.slice(heard.indexOf("\nready\n") + 1);
}

/** Carries a state to the operator, who enters it at the ledger. */
export async function submit(scene: Scene, signed: Buffer): Promise<string> {
  const input = Buffer.concat([Buffer.from(`${FEED_HELLO}\n`), printFrame({ kind: "submit", of: "state", signed })]);
  const command = ["/usr/bin/node", "/usr/lib/shoal/shoal-ledger.mjs", "submit", "/etc/shoal/ledger.json"];
  const { stdout, stderr } = await scene.stage.exec("ledger", command, { input });
  return `${stdout.toString("latin1")}${stderr}`;
}

/** Waits until a machine shows the same state of an account as another one. */
export async function untilSame(scene: Scene, name: string): Promise<number> {
  return await until(`keys and fetch agree about ${name}`, async () => {
    const [keys, fetch] = [await standingAt(scene, "keys", name), await standingAt(scene, "fetch", name)];
    return keys.hash === fetch.hash;
  });
}

/** An honest change that changes nothing but the time. */
export function nextHonest(keys: Keys, standing: Standing): Buffer {
  const time = Math.max(standing.state.time, unixTime());
  return signState(nextState(standing, { time }), [keys.master]);
}

/**
 * Ends a service, or starts it. One that ends at each start is down between two of them, and runsv forgets what it is told then
 * if it is told two things: so this waits until it has taken the word in.
 */
export async function setService(scene: Scene, machine: string, service: string, to: "up" | "down"): Promise<void> {
  const wanted = to === "down" ? `grep '^down' | grep -qv 'want up'` : "grep -q '^run\\|want up'";
  const told = `sv -w 5 ${to} /etc/service/${service}; sv status /etc/service/${service} | ${wanted} && exit 0; sleep 0.2`;
  await asRoot(scene, machine, `for try in $(seq 50); do ${told}; done; exit 1`);
}

/** Files of each machine that remember the accounts. */
const stores = {
  keys: "/var/lib/shoal/accounts/accounts.db",
  fetch: "/var/lib/shoal/accounts/accounts.db",
  in: "/var/lib/shoal/accounts/accounts.db",
  out: "/var/lib/shoal/accounts/accounts.db",
  ledger: "/var/lib/shoal/ledger/accounts.db",
} as const;

/** Meddles with what a machine remembers, by SQL, while its program is down. `bytes` is the parameter `:signed`. */
export async function meddle(
  scene: Scene,
  machine: keyof typeof stores,
  sql: string,
  bytes: Buffer = Buffer.alloc(0),
): Promise<void> {
  const service = machine === "ledger" ? "ledger" : "accept";
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const signed = require("node:fs").readFileSync(0);
    const statement = new DatabaseSync("${stores[machine]}").prepare(${JSON.stringify(sql)});
    const { changes } = signed.length === 0 ? statement.run() : statement.run({ signed });
    if (changes === 0) { console.error("nothing was changed"); process.exit(1); }`;
  await setService(scene, machine, service, "down");
  // As the file's owner, or SQLite's own files beside it would be root's.
  const owner = (await asRoot(scene, machine, `stat -c %U ${stores[machine]}`)).trim();
  const run = ["chpst", "-u", owner, "/usr/bin/node", "-e", script];
  await must(scene.stage.exec(machine, run, { input: bytes }));
  await setService(scene, machine, service, "up");
}
