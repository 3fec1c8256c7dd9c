/**
 * What this computer knows of the account, durably, in the state folder: `id` (one line: the account id and how it became
 * known), `chain` (as machines show it, verified), `pending` (a signed state that waits), `shown.json` (which chain files
 * were looked at and found good).
 */

import { existsSync } from "node:fs";
import { readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { parseChain, printChain, verifySteps } from "#core/account/chain.ts";
import { isChainId } from "#core/account/chain-id.ts";
import { type Proposal, parseProposal } from "#core/account/step.ts";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import { exists, makeFolder, readBounded, writeDurably } from "#host/files.ts";
import { type Lock, takeLock } from "#host/lock.ts";
import type { Places } from "../places.ts";
import { judgeShown, type KnownChain } from "./shown-chain.ts";

/** How the id became known: made here, typed by the user, or shown by a machine that was believed. */
export type Origin = "created" | "trusted" | "seen";

export interface Knowledge extends KnownChain {
  readonly origin: Origin | null;
}

export interface Learned {
  readonly before: Knowledge;
  readonly after: Knowledge;
  /** How many versions the machine shows. */
  readonly shown: number;
  /** What became of the state that waited; null if none did, or still does. */
  readonly settled: "accepted" | "overtaken" | null;
}

/** A chain of ten thousand versions is longer than any; nothing larger is taken from a machine. */
export const MAX_CHAIN_BYTES = 64 * 1024 * 1024;
const MAX_PENDING_BYTES = 1024 * 1024;
const LOCK_ATTEMPTS = 50;
const LOCK_WAIT_MS = 100;

export class AccountMemory {
  readonly #folder: string;
  readonly #domain: string | null;

  /** @param domain of the profile; null for profiles that name none */
  constructor(places: Places, domain: string | null) {
    this.#folder = places.account;
    this.#domain = domain;
  }

  /** @throws HostError FILE when the files are damaged */
  async load(): Promise<Knowledge> {
    const line = await this.#read("id", 256);
    const match = /^(\S{22}) (created|trusted|seen)\n$/.exec(line?.toString("latin1") ?? "");
    const chain = await this.#read("chain", MAX_CHAIN_BYTES);
    if (line === null && chain === null) return { id: null, origin: null, versions: [], standing: null, learned: null };
    const [, id = "", origin] = match ?? [];
    try {
      if (!isChainId(id)) throw new FormatError("CONFIG", '"id" does not hold an account id');
      const versions = parseChain(chain ?? Buffer.alloc(0));
      const [first] = versions;
      const begin = first === undefined ? null : parseProposal(first.signed);
      if (begin !== null && begin.id !== id)
        throw new VerifyError("ACCOUNT", `the chain is of the account ${begin.id}`);
      const standing = verifySteps(versions, this.#domain ?? begin?.state.domain ?? "", null);
      const learned = chain === null ? null : Math.floor((await stat(this.#path("chain"))).mtimeMs / 1000);
      return { id, origin: origin as Origin, versions, standing, learned };
    } catch (cause) {
      throw new HostError(
        "FILE",
        `what this computer remembers of the account is damaged: ${(cause as Error).message}`,
        {
          cause,
          hint: `if another device still knows the account, move "${this.#folder}" away and type "shoal account trust ID" with the id that it shows`,
        },
      );
    }
  }

  /**
   * Remembers a new account with its first state, which waits.
   * @throws PolicyError USAGE when an account is known already
   */
  async create({ id }: Proposal, signed: Buffer): Promise<void> {
    await this.#locked(async () => {
      const known = await this.load();
      if (known.id !== null) {
        throw new PolicyError("USAGE", `this profile has the account ${known.id} already`, {
          hint: "choose another name with --profile",
        });
      }
      await writeDurably(this.#path("pending"), signed);
      await writeDurably(this.#path("id"), `${id} created\n`);
    });
  }

  /** Takes {@link create} back, as long as no machine has shown the account. */
  async forgetCreation(): Promise<void> {
    await this.#locked(async () => {
      const { origin, versions } = await this.load();
      if (origin !== "created" || versions.length > 0) return;
      await unlink(this.#path("id"));
      await writeDurably(this.#path("pending"), "");
    });
  }

  /**
   * Pins an account id.
   * @returns false if it was known to be that one already
   * @throws PolicyError USAGE for another id than the one known
   */
  async trust(id: string): Promise<boolean> {
    return await this.#locked(async () => {
      const known = await this.load();
      if (known.id !== null && known.id !== id) {
        throw new PolicyError("USAGE", `this computer knows the account as ${known.id}, not ${id}`, {
          hint:
            known.origin === "seen"
              ? `it was shown by a machine and never pinned: if ${id} is right, that machine is lying; tell the operator, and move "${this.#folder}" away to start again`
              : "check what you typed; another account is another profile",
        });
      }
      await writeDurably(this.#path("id"), `${id} ${known.origin === "created" ? "created" : "trusted"}\n`);
      return known.origin === null || known.origin === "seen";
    });
  }

  /**
   * Takes in a chain that a machine shows. A state that waited is settled when the chain has come to its version.
   * @param machine its name, for messages
   * @throws VerifyError as {@link judgeShown}, the machine's name in front
   */
  async learn(machine: string, shown: Buffer, now: number): Promise<Learned> {
    return await this.#locked(async () => {
      const before = await this.load();
      const known = namingMachine(machine, () => judgeShown(before, shown, this.#domain, now));
      if (known.versions.length > before.versions.length) {
        await writeDurably(this.#path("chain"), printChain(known.versions));
        if (before.id === null && known.id !== null) await writeDurably(this.#path("id"), `${known.id} seen\n`);
      }
      const after = { ...known, origin: before.origin ?? (known.id === null ? null : ("seen" as const)) };
      return { before, after, shown: parseChain(shown).length, settled: await this.#settle(after) };
    });
  }

  async #settle({ versions }: KnownChain): Promise<"accepted" | "overtaken" | null> {
    const pending = await this.pending();
    if (pending === null) return null;
    const { state, signed } = parseProposal(pending);
    const there = versions[state.version - 1];
    if (there === undefined) return null;
    await writeDurably(this.#path("pending"), "");
    return parseProposal(there.signed).signed.body.equals(signed.body) ? "accepted" : "overtaken";
  }

  /** The signed state that waits to be accepted; null if none does. */
  async pending(): Promise<Buffer | null> {
    const bytes = await this.#read("pending", MAX_PENDING_BYTES);
    return bytes === null || bytes.length === 0 ? null : bytes;
  }

  /** @param signed null when nothing waits any more */
  async setPending(signed: Buffer | null): Promise<void> {
    await this.#locked(() => writeDurably(this.#path("pending"), signed ?? ""));
  }

  /** True while no machine has shown the account. */
  get isBlank(): boolean {
    return !existsSync(this.#path("chain"));
  }

  get pendingPath(): string {
    return this.#path("pending");
  }

  /**
   * True if a chain file of these attributes was looked at and found good, and nothing more has become known since: a
   * chain only ever grows.
   */
  async hasSeen(machine: string, size: number, mtimeSeconds: number): Promise<boolean> {
    if ((await this.#shown())[machine] !== `${size} ${mtimeSeconds}` || this.isBlank) return false;
    return (await stat(this.#path("chain"))).size === size;
  }

  async noteSeen(machine: string, size: number, mtimeSeconds: number): Promise<void> {
    await this.#locked(async () => {
      const shown = { ...(await this.#shown()), [machine]: `${size} ${mtimeSeconds}` };
      await writeDurably(this.#path("shown.json"), `${JSON.stringify(shown)}\n`);
    });
  }

  async #shown(): Promise<Record<string, string>> {
    try {
      return JSON.parse(await readFile(this.#path("shown.json"), "utf8")) as Record<string, string>;
    } catch {
      // It only saves work: what is not known to have been looked at is looked at.
      return {};
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  async #read(name: string, maxBytes: number): Promise<Buffer | null> {
    return (await exists(this.#path(name))) ? await readBounded(this.#path(name), maxBytes) : null;
  }

  /** `shoal sync` of a timer and a person's command may meet. */
  async #locked<T>(work: () => Promise<T>): Promise<T> {
    await makeFolder(this.#folder, 0o700);
    const lock = await this.#lock();
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  async #lock(): Promise<Lock> {
    for (let attempt = 1; ; attempt++) {
      try {
        return takeLock(this.#path("lock"), "another shoal for this profile");
      } catch (error) {
        if (!(error instanceof HostError && error.code === "BUSY") || attempt === LOCK_ATTEMPTS) throw error;
        await new Promise((done) => setTimeout(done, LOCK_WAIT_MS));
      }
    }
  }
}

function namingMachine<T>(machine: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof VerifyError)) throw cause;
    throw new VerifyError(cause.code, `${cause.code}: "${machine}": ${cause.message}`, { cause, hint: cause.hint });
  }
}
