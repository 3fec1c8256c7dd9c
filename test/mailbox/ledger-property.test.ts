/**
 * The ledger's own code in random honest histories: deliveries, days that pass, states, new keys, connections and lives that end
 * between any two steps, the last step of which may still be carried out later. Whatever happens, no device that looks at any
 * moment is alarmed, and every answer stays true.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { joinSigned } from "#core/account/signed-text.ts";
import { HostError } from "#core/errors.ts";
import { type AuditResult, audit } from "#core/mailbox/audit.ts";
import { mailName } from "#core/mailbox/entry.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import { printSigners, type SignerList, signersNamespace, withNewSigner } from "#core/mailbox/signers.ts";
import { FILE_LAG_SECONDS } from "#core/mailbox/writer.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { SftpStatusError } from "#host/sftp.ts";
import { Mailboxes } from "#roles/ledger/mailboxes/mailboxes.ts";
import { NamedStates } from "#roles/ledger/mailboxes/named-states.ts";
import { Readiness } from "#roles/ledger/mailboxes/readiness.ts";
import { Held, Showing } from "#roles/ledger/mailboxes/showing.ts";
import { Signer } from "#roles/ledger/mailboxes/signer.ts";
import { MailboxStore } from "#roles/ledger/mailboxes/store.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { FakeFetch, FakeSftp } from "./fake-sftp.ts";
import { Random } from "./random.ts";

const DOMAIN = "example.org";
const KEEP_SECONDS = 3 * 86_400;
const HISTORIES = 8;
const STEPS = 120;
/** Of what a device is patient about a file without an entry. */
const BEHIND_SECONDS = 500;
const FOLDER = "/alice/ledger";

/** The ledger dies here. */
class Killed extends Error {}

/** In memory where that is: what a power failure leaves is not what is looked at here. */
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "shoal-ledger-"));
after(() => rmSync(folder, { recursive: true, force: true }));

class World {
  readonly random: Random;
  readonly fetch = new FakeFetch();
  readonly operator = makeKey();
  readonly owner = new Owner(DOMAIN, 1_790_000_000);
  readonly mail = new Map<string, { size: number; deposited: number }>();
  /** Digest -> number, as answered. */
  readonly told = new Map<string, number>();
  readonly #path: string;
  time = 1_790_001_000;
  /** Of the ledger's clock against the truth. */
  skew = 0;
  #key = makeKey();
  #list: SignerList | null = null;
  #memory: AuditMemory | null = null;
  /** Since when there is a delivery that is not shown. */
  #behindSince: number | null = null;
  /** Whether a step of a dead connection is on its way still. */
  #late: (() => Promise<void>)[] = [];
  #sftp: FakeSftp | null = null;
  #showing: Showing | null = null;
  #life: ReturnType<World["begin"]>;
  audits = 0;
  kills = 0;
  /** Nothing fails any more, and nothing comes between. */
  isQuiet = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#path = join(folder, `${seed}.db`);
    this.#life = this.begin();
    this.certify();
  }

  /** A new life of the program on what is durable. */
  begin(): { store: MailboxStore; mailboxes: Mailboxes; signer: Signer; states: NamedStates; readiness: Readiness } {
    const store = MailboxStore.open(this.#path);
    const mailboxes = new Mailboxes(store, () => this.time + this.skew);
    const signer = new Signer(this.#key, store, DOMAIN);
    const states = new NamedStates({ standing: () => this.owner.standing });
    return { store, mailboxes, signer, states, readiness: new Readiness(() => undefined) };
  }

  kill(): void {
    this.kills++;
    this.#life.store.close();
    this.disconnect();
    this.#life = this.begin();
    if (this.random.chance(0.1)) {
      // The machine is made anew with its store, and without its key.
      this.#key = makeKey();
      this.#life.store.close();
      this.#life = this.begin();
      this.certify();
    }
  }

  disconnect(): void {
    if (this.#sftp !== null) this.#sftp.lost = true;
    this.#sftp = null;
    this.#showing = null;
  }

  certify(): void {
    const added = { domain: DOMAIN, key: lineOf(this.#key), now: this.time, validForSeconds: 60 * 86_400 };
    this.#list = withNewSigner(this.#list, added, 7200);
    const body = printSigners(this.#list);
    const signed = joinSigned({ body, signatures: [signMessage(this.operator, signersNamespace(DOMAIN), body)] });
    this.#life.signer.certify(signed, [lineOf(this.operator)], this.time);
  }

  /** One step of a publication is about to be taken. */
  async #before(): Promise<void> {
    if (this.isQuiet) return;
    if (this.random.chance(0.3)) this.look();
    if (this.random.chance(0.1)) this.deliver();
    if (this.random.chance(0.03)) throw new SftpStatusError(4, "failure");
    if (this.random.chance(0.04)) throw new Killed();
    if (this.random.chance(0.03)) {
      if (this.#sftp !== null) this.#sftp.lost = true;
      throw new HostError("NETWORK", "lost");
    }
    await Promise.resolve();
  }

  async show(): Promise<void> {
    const { mailboxes, signer, states, readiness } = this.#life;
    if (this.#sftp === null || this.#sftp.lost || this.#showing === null) {
      const fetch = this.fetch;
      const late = this.#late;
      const { random } = this;
      let dead = false;
      const turns = {
        before: async (): Promise<void> => {
          if (dead) return;
          try {
            await this.#before();
          } catch (error) {
            if (!(error instanceof SftpStatusError)) dead = true;
            throw error;
          }
        },
        cut: (length: number) => (random.chance(0.05) ? random.between(0, length) : length),
      };
      const sftp = new FakeSftp(fetch, turns);
      // What was asked for last may be carried out when nobody waits for it any more.
      const plain = sftp.replace.bind(sftp);
      sftp.replace = async (from, to) => {
        try {
          await plain(from, to);
        } catch (error) {
          const again = new FakeSftp(fetch, { before: async () => await Promise.resolve(), cut: (length) => length });
          if (dead) late.push(async () => await again.replace(from, to).catch(() => undefined));
          throw error;
        }
      };
      this.#sftp = sftp;
      this.#showing = new Showing(
        {
          ...{ domain: DOMAIN, mailboxes, signer, states, readiness, heartbeatSeconds: 300 },
          nameOf: () => "alice",
          takenBy: () => this.owner.standing.state.version,
          operators: () => [lineOf(this.operator)],
        },
        sftp,
      );
    }
    try {
      await this.#showing.show(this.owner.id);
    } catch (error) {
      if (error instanceof Killed) this.kill();
      else if (error instanceof HostError && !(error instanceof SftpStatusError)) this.disconnect();
      else if (!(error instanceof SftpStatusError) && !(error instanceof Held)) throw error;
    }
  }

  /** Until it has been shown once, whatever fails. */
  async showNow(): Promise<void> {
    const before = this.fetch.read(`${FOLDER}/head`);
    for (let tries = 0; tries < 200; tries++) {
      await this.show();
      if (this.fetch.read(`${FOLDER}/head`) !== before && this.#sftp !== null) return;
    }
    assert.fail("it can't be shown");
  }

  async comeLate(): Promise<void> {
    const late = this.#late.splice(0);
    for (const step of late) await step();
  }

  /** A delivery, or a part of one, or one again. */
  deliver(): void {
    const { mailboxes, readiness } = this.#life;
    const account = this.owner.id;
    const isAgain = this.random.chance(0.2) && this.told.size > 0;
    const bytes = this.random.bytes(20);
    const digest = isAgain ? this.random.pick([...this.told.keys()]) : createHash("sha256").update(bytes).digest("hex");
    if (!readiness.isReady(account)) return;
    const [known] = mailboxes.answer([{ kind: "known", tag: 1, account, digest }], KEEP_SECONDS);
    if (known?.kind === "lack" && isAgain) {
      // Long forgotten: it would be a new delivery, which its courier has given up by then.
      return;
    }
    if (known?.kind === "lack") this.mail.set(mailName({ digest }), { size: bytes.length, deposited: this.time });
    const [answer] = mailboxes.answer(
      [{ kind: "append", tag: 2, account, digest, size: 20, version: 1 }],
      KEEP_SECONDS,
    );
    assert.ok(answer?.kind === "have");
    const before = this.told.get(digest);
    assert.ok(before === undefined || before === answer.seq, "two numbers for one digest");
    if (before === undefined) assert.ok(![...this.told.values()].includes(answer.seq), "one number for two digests");
    this.told.set(digest, answer.seq);
  }

  look(): AuditResult {
    this.audits++;
    const read = (name: string): Buffer | null => this.fetch.read(`${FOLDER}/${name}`);
    const { standing, device } = this.owner;
    const shown = {
      ...{ head: read("head"), signers: read("signers"), entries: read("entries"), del: [], standing },
      mail: [...this.mail].map(([name, { size }]) => ({ name, size })),
      digests: new Map([...this.mail.keys()].map((name) => [name, name.slice(0, 64)])),
      formerKeys: new Set([lineOf(device)]),
      roots: new Set([lineOf(this.operator)]),
      memory: this.#memory,
      now: this.time,
    };
    const first = audit(shown);
    const result = first.readAgain ? audit({ ...shown, before: first }) : first;
    this.#memory = result.memory;
    // The ledger may be down for long here, and its clock be wrong; nothing else may be seen.
    const alarms = result.findings.filter(({ code }) => code !== "STALE" && code !== "CLOCK");
    const isBefore = result.head === null && shown.head === null;
    assert.deepEqual(isBefore ? [] : alarms, []);
    return result;
  }

  /** A ledger that is up has shown every delivery before a device begins to wonder about its file. */
  async advance(seconds: number): Promise<void> {
    const head = this.look().head?.last.seq ?? 0;
    if (Math.max(0, ...this.told.values()) === head) this.#behindSince = null;
    else this.#behindSince ??= this.time;
    if (this.#behindSince !== null && this.time + seconds - this.#behindSince > BEHIND_SECONDS) {
      this.isQuiet = true;
      await this.showNow();
      this.isQuiet = false;
      this.#behindSince = null;
    }
    this.time += seconds;
    for (const [name, { deposited }] of this.mail) {
      // By its own age, and later where the ledger's clock was ahead.
      if (deposited + KEEP_SECONDS + FILE_LAG_SECONDS + 1000 <= this.time) this.mail.delete(name);
    }
  }

  close(): void {
    this.#life.store.close();
  }
}

for (const part of [0, 1, 2, 3]) {
  test(`histories, part ${part}`, { timeout: 300_000 }, async (context) => {
    const first = (Date.now() % 100_000) * 1000 + part * HISTORIES;
    let [audits, kills, mails] = [0, 0, 0];
    for (let seed = first; seed < first + HISTORIES; seed++) {
      const world = new World(seed);
      const { random } = world;
      try {
        await world.showNow();
        for (let step = 0; step < STEPS; step++) {
          const dice = random.next();
          if (dice < 0.35) world.deliver();
          else if (dice < 0.65) await world.show();
          else if (dice < 0.7) world.kill();
          else if (dice < 0.73) world.disconnect();
          else if (dice < 0.78) world.skew = random.between(-400, 400);
          else if (dice < 0.8) world.certify();
          else if (dice < 0.9) await world.advance(random.between(1, 600));
          else if (dice < 0.97) await world.advance(random.between(600, 86_400));
          else await world.advance(random.between(86_400, 3 * 86_400));
          world.look();
          if (random.chance(0.3)) {
            await world.showNow();
            await world.comeLate();
          }
          world.look();
        }
        world.isQuiet = true;
        await world.showNow();
        const { head } = world.look();
        assert.equal(head?.last.seq ?? 0, Math.max(0, ...world.told.values()));
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      } finally {
        world.close();
      }
      [audits, kills, mails] = [audits + world.audits, kills + world.kills, mails + world.told.size];
    }
    context.diagnostic(`${audits} audits, ${kills} kills, ${mails} mails, first seed ${first}`);
  });
}
