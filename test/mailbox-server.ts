/** The server's side of a mailbox on a disk: a ledger that writes it honestly, and folders as hostile machines show them. */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { printChain } from "#core/account/chain.ts";
import { joinSigned } from "#core/account/signed-text.ts";
import type { AccountState } from "#core/account/state.ts";
import { acceptStep, parseProposal, type Standing } from "#core/account/step.ts";
import { printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { signHead } from "#core/mailbox/head.ts";
import { printSigners, signersNamespace, withNewSigner } from "#core/mailbox/signers.ts";
import { append, headOf, type Mailbox, newMailbox, prune } from "#core/mailbox/writer.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { exists } from "#host/files.ts";
import type { Folder } from "./mailbox/fetch.ts";
import { lineOf, makeKey, signState } from "./owner.ts";

const KEEP_SECONDS = 14 * 86_400;
const HEARTBEAT_SECONDS = 300;

/** Operator and ledger of one domain, for one mailbox. */
export class TestLedger {
  readonly domain: string;
  /** The account's folder on `fetch`: `mail`, `del`, `ledger` and `account` are in it. */
  readonly folder: string;
  readonly root = makeKey();
  readonly #signer = makeKey();
  readonly #signers: Buffer;
  #mailbox: Mailbox | null = null;
  #kept: Entry[] = [];

  constructor(domain: string, folder: string) {
    this.domain = domain;
    this.folder = folder;
    const now = unixNow();
    const added = { domain, key: lineOf(this.#signer), now: now - 40 * 86_400, validForSeconds: 90 * 86_400 };
    const body = printSigners(withNewSigner(null, added, 0));
    this.#signers = joinSigned({ body, signatures: [signMessage(this.root, signersNamespace(domain), body)] });
  }

  /** The line of known_hosts. */
  get operatorLine(): string {
    return `operator.${this.domain} ${lineOf(this.root)}\n`;
  }

  get entries(): readonly Entry[] {
    return this.#kept;
  }

  /** Puts sealed files into `mail/` and takes them into the chain; {@link publish} shows that. */
  async deliver(account: string, files: readonly Buffer[], time = unixNow()): Promise<Entry[]> {
    await mkdir(join(this.folder, "mail"), { recursive: true });
    const delivered: Entry[] = [];
    for (const file of files) {
      const digest = createHash("sha256").update(file).digest("hex");
      await writeFile(join(this.folder, "mail", mailName({ digest })), file);
      const known = this.#kept.find((entry) => entry.digest === digest);
      const mailbox = this.#mailbox ?? newMailbox(account);
      const appended = append(mailbox, { digest, size: file.length, version: 1 }, known, time, KEEP_SECONDS);
      this.#mailbox = appended.mailbox;
      if (appended.isNew) this.#kept.push(appended.entry);
      delivered.push(appended.entry);
    }
    return delivered;
  }

  /** Writes entries and head, by the ledger's clock. */
  async publish({ id, state, hash, accepted }: Standing, time = unixNow()): Promise<void> {
    const pruned = prune(this.#mailbox ?? newMailbox(id), this.#kept, time);
    this.#mailbox = pruned;
    this.#kept = this.#kept.filter(({ seq }) => seq > pruned.dropped.seq);
    const head = headOf(pruned, this.domain, { version: state.version, hash, accepted }, time, HEARTBEAT_SECONDS);
    await mkdir(join(this.folder, "ledger"), { recursive: true });
    await mkdir(join(this.folder, "del"), { recursive: true });
    await this.#replace("signers", this.#signers);
    await this.#replace("entries", printEntries(this.#kept));
    await this.#replace("head", signHead(head, this.#signer));
  }

  async #replace(name: string, content: Buffer): Promise<void> {
    const path = join(this.folder, "ledger", name);
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  }
}

/** An account in its first version, with one device, and what machines show of it. */
export function accountOf(domain: string, device: string, accepted: number): { standing: Standing; chain: Buffer } {
  const master = makeKey();
  const state: AccountState = {
    ...{ domain, account: null, version: 1, prev: null, time: accepted },
    ...{ master: [lineOf(master)], recovery: [], devices: [{ auth: true, seal: true, key: device }] },
  };
  const signed = signState(state, [master]);
  return {
    standing: acceptStep(null, parseProposal(signed), accepted, domain),
    chain: printChain([{ accepted, signed }]),
  };
}

function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** Makes an account's folder on a disk what one in memory is, byte for byte. */
export async function putFolder(path: string, folder: Folder): Promise<void> {
  const { head, signers, entries, versions, mail, del } = folder;
  const ledger = new Map(
    Object.entries({ head, signers, entries }).flatMap(([name, bytes]) => (bytes === null ? [] : [[name, bytes]])),
  );
  const chain = new Map([["chain", printChain(versions)]]);
  for (const [name, files] of Object.entries({ ledger, account: chain, mail, del })) {
    const parent = join(path, name);
    await mkdir(parent, { recursive: true });
    for (const old of await readdir(parent)) if (!files.has(old)) await rm(join(parent, old));
    for (const [file, bytes] of files) {
      const target = join(parent, file);
      if ((await exists(target)) && (await readFile(target)).equals(bytes)) continue;
      await writeFile(target, bytes);
    }
  }
}

/** What devices have changed on the disk comes back. */
export async function takeBack(path: string, folder: Folder): Promise<void> {
  for (const name of ["mail", "del"] as const) {
    const parent = join(path, name);
    const there = new Set(await readdir(parent));
    for (const old of folder[name].keys()) if (!there.has(old)) folder[name].delete(old);
    for (const file of there) folder[name].set(file, await readFile(join(parent, file)));
  }
}
