/** The programs of ledger, in, fetch and keys as real processes, with sockets where sshd would be between them. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  FEED_HELLO,
  type FeedReader,
  type Frame,
  printFrame,
  type ReplyFrame,
  toOperator,
} from "#core/account/feed.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import type { LedgerStatus } from "#roles/ledger/serve.ts";
import { asUser, seenIn } from "#test/as-user.ts";
import { PATIENCE_SECONDS } from "#test/until.ts";
import { root } from "#tools/build.ts";

export const DOMAIN = "example.org";
/** Of the programs that refuse to be root. */
export const NOBODY = 65_534;
/** Stands in for `ssh`: leads to the socket that the forced command would. */
const FAKE_SSH = `import { createConnection } from "node:net";
const { argv } = process;
const user = argv[argv.indexOf("-l") + 1];
const host = argv.at(-1);
const socket = createConnection(process.env.LINKS + "/" + host + (user === "proposals" ? ".keys" : ".accept"));
socket.on("error", () => process.exit(255));
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("close", () => process.exit(0));
process.stdin.on("close", () => process.exit(0));
`;

export type Role = "fetch" | "in" | "keys";

/** A program that can be killed and started again. */
export class Program {
  readonly #folder: string;
  readonly #args: readonly string[];
  readonly #uid: number;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  log = "";

  /** @param folder one that the user can reach */
  constructor(folder: string, args: readonly string[], uid: number, env: NodeJS.ProcessEnv = {}) {
    this.#folder = folder;
    this.#args = args;
    this.#uid = uid;
    this.#env = env;
  }

  /** Starts it, and waits until it says "ready" unless told not to. */
  async start(wait = true): Promise<void> {
    const [command = "", ...args] = asUser(this.#uid, this.#folder, [process.execPath, ...this.#args]);
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"], ...this.#env },
    });
    this.#child = child;
    this.log = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      this.log += chunk.toString("utf8");
    });
    if (wait)
      await until(
        () => this.log.includes("ready") || child.exitCode !== null,
        () => this.log,
      );
    if (wait) assert.equal(child.exitCode, null, this.log);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves with the exit status, null when it was killed. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    return await new Promise((resolve) => child.once("exit", resolve));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = this.ended();
    child.kill("SIGKILL");
    await gone;
  }
}

export class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), "shoal-accounts-"));
  readonly ledger: Program;
  readonly machines = new Map<Role, Program>();
  readonly keys: Program;
  readonly #links = join(this.folder, "links");
  readonly #directory: string;

  constructor(directory: string, roles: readonly Role[]) {
    assert.equal(process.getuid?.(), 0, "these tests make users' files: run them as root");
    this.#directory = directory;
    chmodSync(this.folder, 0o755);
    this.#makeFolder(this.#links, 0o777);
    const fakeSsh = join(this.folder, "ssh.mjs");
    writeFileSync(fakeSsh, FAKE_SSH);
    const program = join(this.folder, "ssh");
    writeFileSync(
      program,
      `#!/bin/sh\nLINKS=${this.#links} exec ${seenIn(this.folder, process.execPath)} ${fakeSsh} "$@"\n`,
      {
        mode: 0o755,
      },
    );
    this.#makeFolder(join(this.folder, "ledger"), 0o700);
    const ledger = this.#writeConfig("ledger", {
      domain: DOMAIN,
      directory,
      store: join(this.folder, "ledger/accounts.db"),
      socket: join(this.folder, "ledger/socket"),
      machines: roles.map((role) => {
        return {
          machine: `alpha-${role}`,
          role,
          host: role,
          port: 22,
          identity: "/none",
          knownHosts: "/none",
          program,
        };
      }),
    });
    this.ledger = new Program(this.folder, [join(root, "src/roles/ledger/main.ts"), "serve", ledger], NOBODY);
    for (const role of roles) this.machines.set(role, this.#machine(role));
    const keys = this.#writeConfig("keys", {
      folder: this.path("keys", "srv"),
      socket: join(this.#links, "keys.keys"),
    });
    this.keys = new Program(this.folder, [join(root, "src/roles/keys/main.ts"), "serve", keys], NOBODY);
  }

  /** A path on a machine. */
  path(role: Role | "ledger", path: string): string {
    return join(this.folder, role, path);
  }

  read(role: Role, path: string): string | null {
    const file = this.path(role, path);
    return existsSync(file) ? readFileSync(file, "latin1") : null;
  }

  #makeFolder(path: string, mode: number): void {
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
    chownSync(path, NOBODY, NOBODY);
  }

  #writeConfig(name: string, config: object): string {
    const path = join(this.folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  #machine(role: Role): Program {
    this.#makeFolder(this.path(role, ""), 0o755);
    mkdirSync(this.path(role, "etc/ssh/authorized_keys"), { recursive: true });
    writeFileSync(
      this.path(role, "etc/passwd"),
      `root:x:0:0::/root:/bin/sh\nshoal-keys:x:${NOBODY}:${NOBODY}::/:/bin/false\ndeposit:x:900:900::/:/bin/false\nmailboxes:x:903:903::/:/bin/false\n`,
    );
    writeFileSync(this.path(role, "etc/group"), "root:x:0:\nshadow:x:42:\ndeposit:x:900:\nmailboxes:x:903:\n");
    writeFileSync(this.path(role, "etc/shadow"), "root:*:20000:0:99999:7:::\nshoal-keys:*:20000:0:99999:7:::\n", {
      mode: 0o640,
    });
    mkdirSync(this.path(role, "srv"));
    // A machine without sessions: ids of accounts may be somebody's here.
    mkdirSync(this.path(role, "proc"));
    writeFileSync(this.path(role, "proc/uptime"), "1.00 1.00\n");
    const serves = {
      in: { role, recipientsFile: this.path(role, "recipients"), fetch: { 1: "alpha-fetch" } },
      fetch: { role, number: 1, mailFolder: this.path(role, "srv") },
      keys: { role, folder: this.path(role, "srv") },
    }[role];
    const config = this.#writeConfig(`accept-${role}`, {
      domain: DOMAIN,
      directory: this.#directory,
      store: this.path(role, "accounts.db"),
      socket: join(this.#links, `${role}.accept`),
      serves,
      etc: this.path(role, "etc"),
      proc: this.path(role, "proc"),
    });
    const args = [join(root, "src/roles/accept/main.ts"), "serve", config];
    return new Program(this.folder, args, role === "in" ? NOBODY : 0);
  }

  /** Connects as the ledger would, or as shoal-keys' ledger. */
  async connect<Incoming extends Frame>(
    role: Role,
    reader: FeedReader<Incoming>,
    end: "accept" | "keys" = "accept",
  ): Promise<FeedConnection<Incoming>> {
    const socket = await this.raw(role, end);
    return new FeedConnection({ readable: socket, writable: socket, destroy: () => socket.destroy() }, reader);
  }

  /** The same without any manners. */
  async raw(role: Role, end: "accept" | "keys" = "accept"): Promise<Socket> {
    const socket = createConnection(this.link(role, end));
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return socket;
  }

  /** The socket that the ledger's connection leads to. */
  link(role: Role, end: "accept" | "keys" = "accept"): string {
    return join(this.#links, `${role}.${end}`);
  }

  /** `shoal-ledger VERB` or `shoal-accept VERB`. */
  async run(program: "accept" | "ledger", verb: string, options: { role?: Role; frames?: readonly Frame[] } = {}) {
    const { role, frames = [] } = options;
    const config = join(this.folder, role === undefined ? "ledger.json" : `accept-${role}.json`);
    const main = join(root, `src/roles/${program}/main.ts`);
    const uid = program === "ledger" ? NOBODY : 0;
    const [command = "", ...args] = asUser(uid, this.folder, [process.execPath, main, verb, config]);
    const child = spawn(command, args, { stdio: "pipe" });
    child.stdin.on("error", (error: NodeJS.ErrnoException) => assert.equal(error.code, "EPIPE"));
    child.stdin.end(Buffer.concat([Buffer.from(`${FEED_HELLO}\n`), ...frames.map(printFrame)]));
    const [stdout, stderr, status] = await Promise.all([
      buffer(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.once("exit", resolve)),
    ]);
    return { status, stdout, stderr };
  }

  /** Says something on the operator's socket; gives as many frames as asked for. */
  async ask(frames: readonly Frame[]): Promise<ReplyFrame[]> {
    const socket = createConnection(join(this.folder, "ledger/socket"));
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const streams = { readable: socket, writable: socket, destroy: () => socket.destroy() };
    const connection = new FeedConnection(streams, toOperator());
    try {
      await connection.send(...frames);
      const replies: ReplyFrame[] = [];
      while (replies.length < frames.length) {
        const more = await connection.next();
        if (more === null) throw new Error("the ledger has gone");
        replies.push(...more);
      }
      return replies;
    } finally {
      connection.close();
    }
  }

  /** Hands in records as the operator; gives the codes. */
  async submit(...frames: readonly { of: "directory" | "state"; signed: Buffer }[]): Promise<string[]> {
    const replies = await this.ask(frames.map((frame) => ({ kind: "submit", ...frame })));
    return replies.map((reply) => (reply.kind === "reply" ? reply.code : reply.kind));
  }

  async status(): Promise<LedgerStatus> {
    const [frame] = await this.ask([{ kind: "ask", what: "status" }]);
    assert.ok(frame?.kind === "status");
    return JSON.parse(frame.json.toString("utf8"));
  }

  /** Whether every machine is connected and has everything. */
  async isSettled(): Promise<boolean> {
    return (await this.status()).machines.every(({ connected, behind }) => connected && behind === 0);
  }

  async stop(): Promise<void> {
    await Promise.all([this.ledger, this.keys, ...this.machines.values()].map((program) => program.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for something that is near. */
export async function until(holds: () => boolean | Promise<boolean>, say: () => string = () => ""): Promise<void> {
  const end = performance.now() + PATIENCE_SECONDS * 1000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within ${PATIENCE_SECONDS} s: ${say()}`);
    await sleep(15);
  }
}
