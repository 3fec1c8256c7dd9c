/**
 * One mailbox in an honest world, in memory: courier, ledger, fetch, owner and several devices, each of which may be
 * interrupted between any two of its writes. Clocks differ by minutes.
 */

import { strict as assert } from "node:assert";
import type { Accepted } from "#core/account/chain.ts";
import { joinSigned } from "#core/account/signed-text.ts";
import type { Standing } from "#core/account/step.ts";
import { type AuditResult, audit, isGenuine } from "#core/mailbox/audit.ts";
import {
  type DeletionRecord,
  deletionName,
  deviceOf,
  doneName,
  openDeletions,
  resign,
  signDeletion,
} from "#core/mailbox/deletion.ts";
import { printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName, printEntry } from "#core/mailbox/entry.ts";
import { signHead } from "#core/mailbox/head.ts";
import { type AuditMemory, noteRemoved, parseMemory, printMemory } from "#core/mailbox/memory.ts";
import { printSigners, type SignerList, signersNamespace, withNewSigner } from "#core/mailbox/signers.ts";
import { append, headOf, type Mailbox, newMailbox, prune } from "#core/mailbox/writer.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { type Ed25519Key, lineOf, makeKey, nextState, signState } from "#test/owner.ts";
import { copyOf, DOMAIN, type Folder, sha256, standingOf } from "./fetch.ts";
import { Random } from "./random.ts";

export const KEEP_SECONDS = 14 * 86_400;
const HEARTBEAT_SECONDS = 300;
/** Of fetch and devices against the ledger. */
const MAX_SKEW_SECONDS = 270;
const RETENTION_LAG_SECONDS = 3600;
const MAX_DEVICES = 4;

export interface TestDevice {
  readonly key: Ed25519Key;
  readonly name: string;
  readonly skew: number;
  memory: AuditMemory | null;
  /** Of its last record. */
  number: number;
  /** What it does not finish at once. */
  work: Generator<void> | null;
}

export interface Look {
  readonly result: AuditResult;
  readonly now: number;
  /** True if it asked to read again, and this is what came of that. */
  readonly isSecond: boolean;
}

export function keyFrom(random: Random): Ed25519Key {
  return makeKey(random.bytes(32));
}

export class HonestWorld {
  readonly random: Random;
  readonly root: Ed25519Key;
  readonly master: Ed25519Key;
  /** True time, which is the ledger's. */
  time: number;
  folder: Folder;
  devices: TestDevice[] = [];
  readonly formerKeys = new Set<string>();
  signer: Ed25519Key;
  signerList: SignerList;
  mailbox: Mailbox;
  /** Of the ledger: those behind `mailbox.dropped`. */
  kept: Entry[] = [];
  versions: readonly Accepted[];
  /** Every mail that was accepted. */
  readonly delivered: Entry[] = [];
  /** Earlier states of the folder, for who rolls back. */
  readonly past: { time: number; folder: Folder }[] = [];
  readonly #fetchSkew: number;
  /** Repeats of deliveries that were cut off. */
  #again: { due: number; bytes: Buffer }[] = [];
  #deliveries: { readonly bytes: Buffer; readonly since: number; readonly work: Generator<void> }[] = [];
  #publishing: Generator<void> | null = null;
  #lastHeadTime = 0;
  /** One program at a time works on a device's memory. */
  #looking: TestDevice | null = null;
  ledgerDownUntil = 0;

  constructor(seed: number, time = 1_790_000_000) {
    this.time = time;
    this.random = new Random(seed);
    this.root = keyFrom(this.random);
    this.master = keyFrom(this.random);
    this.signer = keyFrom(this.random);
    this.#fetchSkew = this.random.between(-MAX_SKEW_SECONDS, MAX_SKEW_SECONDS);
    const first = this.#newDevice();
    this.devices.push(first);
    const genesis = signState(
      {
        domain: DOMAIN,
        account: null,
        version: 1,
        prev: null,
        time: this.time,
        master: [lineOf(this.master)],
        recovery: [],
        devices: [{ auth: true, seal: true, key: lineOf(first.key) }],
      },
      [this.master],
    );
    this.versions = [{ accepted: this.time, signed: genesis }];
    this.mailbox = newMailbox(this.standing.id);
    this.signerList = this.#signerListWith(null);
    this.folder = {
      ...{ mail: new Map(), deposited: new Map(), head: null, signers: this.signedSigners(), entries: null },
      ...{ del: new Map(), versions: this.versions },
    };
    this.publishNow();
  }

  get roots(): Set<string> {
    return new Set([lineOf(this.root)]);
  }

  #newDevice(): TestDevice {
    const key = keyFrom(this.random);
    this.formerKeys.add(lineOf(key));
    const skew = this.random.between(-MAX_SKEW_SECONDS, MAX_SKEW_SECONDS);
    return { key, name: deviceOf(key.publicKey), skew, memory: null, number: 0, work: null };
  }

  // The operator.

  #signerListWith(list: SignerList | null): SignerList {
    const added = { domain: DOMAIN, key: lineOf(this.signer), now: this.time, validForSeconds: 60 * 86_400 };
    return withNewSigner(list, added, 2 * 3600);
  }

  signedSigners(list = this.signerList, root = this.root): Buffer {
    const body = printSigners(list);
    return joinSigned({ body, signatures: [signMessage(root, signersNamespace(DOMAIN), body)] });
  }

  replaceSigner(): void {
    this.signer = keyFrom(this.random);
    this.signerList = this.#signerListWith(this.signerList);
    this.folder.signers = this.signedSigners();
  }

  // The ledger.

  get isLedgerUp(): boolean {
    return this.time >= this.ledgerDownUntil;
  }

  /** Writes entries, then the head; one at a time, each as the ledger was when it began. */
  *#publish(): Generator<void> {
    const { mailbox, kept } = this;
    const time = Math.max(this.time, this.#lastHeadTime);
    const whole = printEntries(kept);
    const before = this.folder.entries ?? Buffer.alloc(0);
    if (whole.length > before.length && whole.subarray(0, before.length).equals(before)) {
      // Appended, so a reader may see a part of a line.
      this.folder.entries = whole.subarray(0, this.random.between(before.length, whole.length));
      yield;
    }
    this.folder.entries = whole;
    yield;
    const { id, state, hash, accepted } = this.standing;
    assert.equal(id, mailbox.account);
    const named = { version: state.version, hash, accepted };
    this.folder.versions = this.versions;
    this.#lastHeadTime = time;
    this.folder.head = signHead(headOf(mailbox, DOMAIN, named, time, HEARTBEAT_SECONDS), this.signer);
  }

  #stepPublishing(): void {
    if (!this.isLedgerUp) return;
    this.#publishing ??= this.#publish();
    if (this.#publishing.next().done === true) this.#publishing = null;
  }

  publishNow(): void {
    if (!this.isLedgerUp) return;
    while (this.#publishing !== null) this.#stepPublishing();
    this.#stepPublishing();
    while (this.#publishing !== null) this.#stepPublishing();
  }

  #prune(): void {
    const after = prune(this.mailbox, this.kept, this.time);
    this.kept = this.kept.filter(({ seq }) => seq > after.dropped.seq);
    this.mailbox = after;
  }

  crashLedger(downSeconds: number): void {
    this.#publishing = null;
    this.ledgerDownUntil = Math.max(this.ledgerDownUntil, this.time + downSeconds);
  }

  // The courier.

  *#deliver(bytes: Buffer): Generator<void> {
    const digest = sha256(bytes);
    const known = (): Entry | undefined => this.kept.find((entry) => entry.digest === digest);
    if (!this.isLedgerUp) this.#repeat(bytes);
    if (!this.isLedgerUp || known() !== undefined) return;
    yield;
    const name = mailName({ digest });
    if (!this.folder.mail.has(name)) {
      this.folder.mail.set(name, bytes);
      this.folder.deposited.set(name, this.time + this.#fetchSkew);
    }
    yield;
    if (!this.isLedgerUp) {
      this.#repeat(bytes);
      return;
    }
    const version = this.standing.state.version;
    const appended = append(this.mailbox, { digest, size: bytes.length, version }, known(), this.time, KEEP_SECONDS);
    this.mailbox = appended.mailbox;
    if (appended.isNew) {
      this.kept = [...this.kept, appended.entry];
      this.delivered.push(appended.entry);
    }
    yield;
    // The sender is told now; if the ledger dies here, it writes the file when it is back.
    this.#publishing ??= this.#publish();
  }

  #repeat(bytes: Buffer): void {
    this.#again.push({ due: Math.max(this.time + this.random.between(1, 400), this.ledgerDownUntil), bytes });
  }

  /** Begins a delivery; it goes on step by step with whatever else happens. */
  startDelivery(): void {
    const bytes = this.random.bytes(this.random.between(16, 60));
    this.#deliveries.push({ bytes, since: this.time, work: this.#deliver(bytes) });
  }

  deliverNow(bytes = this.random.bytes(this.random.between(16, 60))): Entry {
    for (const _ of this.#deliver(bytes)) this.#stepPublishing();
    this.publishNow();
    const entry = this.kept.find(({ digest }) => digest === sha256(bytes));
    assert.ok(entry !== undefined);
    return entry;
  }

  /** One small step of a delivery, of the ledger, or of a device. */
  tick(): void {
    const { random } = this;
    const busy = this.devices.filter((device) => device.work !== null && device !== this.#looking);
    const delivery = this.#deliveries.length === 0 ? undefined : random.pick(this.#deliveries);
    if (delivery !== undefined && random.chance(0.5)) {
      const drop = (): void => void (this.#deliveries = this.#deliveries.filter((one) => one !== delivery));
      if (random.chance(0.03)) {
        // The courier dies. Its queue has the bytes still, and asks for them again.
        this.#repeat(delivery.bytes);
        drop();
      } else if (delivery.work.next().done === true) drop();
    } else if (busy.length > 0 && random.chance(0.6)) {
      const device = random.pick(busy);
      if (random.chance(0.05) || device.work?.next().done === true) device.work = null;
    } else if (random.chance(0.01))
      this.crashLedger(random.chance(0.8) ? random.between(1, 120) : random.between(120, 9000));
    else if (random.chance(0.2)) this.startDelivery();
    else this.#stepPublishing();
  }

  /** Everything that was begun comes to its end. */
  settle(): void {
    if (!this.isLedgerUp) this.advance(this.ledgerDownUntil - this.time);
    for (const device of this.devices) {
      if (device.work !== null) for (const _ of device.work) continue;
      device.work = null;
    }
    for (const { work } of this.#deliveries) for (const _ of work) this.publishNow();
    this.#deliveries = [];
    while (this.#again.length > 0) this.advance(401);
    this.publishNow();
  }

  // Time.

  advance(seconds: number): void {
    const current = this.signerList.signers.find(({ key }) => key === lineOf(this.signer));
    if ((current?.until ?? 0) < this.time + seconds + 86_400) this.replaceSigner();
    // A courier does not sleep: within a minute it is through, or dead.
    for (const { bytes, work } of this.#deliveries.filter(({ since }) => this.time + seconds - since > 60)) {
      if (this.random.chance(0.1)) this.#repeat(bytes);
      else for (const _ of work) continue;
    }
    this.#deliveries = this.#deliveries.filter(({ since }) => this.time + seconds - since <= 60);
    const to = this.time + seconds;
    while (this.time < to) {
      const due = Math.min(...this.#again.map((one) => one.due), to);
      this.time = Math.min(Math.max(due, this.time), to);
      const again = this.#again.filter((one) => one.due <= this.time);
      this.#again = this.#again.filter((one) => one.due > this.time);
      for (const { bytes } of again) {
        for (const _ of this.#deliver(bytes)) continue;
        this.publishNow();
      }
      // Long waits are told by what happened in their last minutes, and now and then on the way.
      if (this.isLedgerUp) this.#prune();
    }
    if (this.isLedgerUp) {
      const silent = this.random.between(0, HEARTBEAT_SECONDS - 10);
      this.time -= Math.min(silent, seconds);
      this.publishNow();
      this.time = to;
    }
    for (const [name, deposited] of this.folder.deposited) {
      if (deposited + KEEP_SECONDS + RETENTION_LAG_SECONDS > this.time + this.#fetchSkew) continue;
      this.folder.mail.delete(name);
      this.folder.deposited.delete(name);
    }
    if (this.random.chance(0.2)) this.past.push({ time: this.time, folder: copyOf(this.folder) });
  }

  // The owner.

  changeAccount(devices: readonly TestDevice[]): void {
    const state = nextState(this.standing, {
      time: this.time,
      devices: devices.map(({ key }) => ({ auth: true, seal: true, key: lineOf(key) })),
    });
    this.accept(signState(state, [this.master]));
    this.devices = [...devices];
    if (this.random.chance(0.5)) this.folder.versions = this.versions;
    this.publishNow();
  }

  /** Takes the next version of the account, which nobody knows of yet. */
  accept(signed: Buffer, accepted = this.time): void {
    this.versions = [...this.versions, { accepted, signed }];
  }

  get standing(): Standing {
    return standingOf(this.versions);
  }

  addDevice(): void {
    // Without the ledger nothing is accepted, and before fetch has the state the device can do nothing there.
    if (this.isLedgerUp && this.devices.length < MAX_DEVICES) this.changeAccount([...this.devices, this.#newDevice()]);
  }

  /** @returns the device that is gone; null where it would have been the last */
  removeDevice(): TestDevice | null {
    const [leaving, staying] = [...this.devices].sort(() => this.random.next() - 0.5);
    if (leaving === undefined || staying === undefined || !this.isLedgerUp) return null;
    leaving.work = null;
    this.publishNow();
    const { result } = this.look(staying);
    if (result.head === null) return null;
    const records = result.records.map(({ record }) => record).filter(({ device }) => device === leaving.name);
    const { last, base, time } = result.head;
    const again = resign(
      records,
      lineOf(staying.key),
      staying.number + 1,
      { ...last, time, base },
      this.clockOf(staying),
    );
    if (again !== null) {
      staying.number = again.number;
      this.folder.del.set(deletionName(again), signDeletion(again, DOMAIN, staying.key));
    }
    this.changeAccount(this.devices.filter((device) => device !== leaving));
    return leaving;
  }

  // Devices.

  clockOf({ skew }: TestDevice): number {
    return this.time + skew;
  }

  /**
   * Reads the mailbox and audits it, once more if it asks for that. Between two reads the world goes on.
   * @param isBusy false to read everything at one moment
   */
  look(device: TestDevice, isBusy = false): Look {
    const now = this.clockOf(device);
    this.#looking = device;
    const first = this.#read(device, isBusy, now);
    const result = first.readAgain ? this.#read(device, isBusy, now, first) : first;
    this.#looking = null;
    device.memory = parseMemory(printMemory(result.memory));
    return { result, now, isSecond: result !== first };
  }

  #read(device: TestDevice, isBusy: boolean, now: number, before?: AuditResult): AuditResult {
    const meanwhile = (): void => {
      if (isBusy) for (let count = this.random.between(0, 6); count > 0; count--) this.tick();
    };
    const { head } = this.folder;
    meanwhile();
    const { signers } = this.folder;
    meanwhile();
    const { entries } = this.folder;
    meanwhile();
    const standing = standingOf(this.folder.versions);
    meanwhile();
    const mail = [...this.folder.mail].map(([name, bytes]) => ({ name, size: bytes.length }));
    meanwhile();
    const del: { name: string; bytes: Buffer }[] = [];
    for (const name of [...this.folder.del.keys()]) {
      if (this.random.chance(0.1)) meanwhile();
      const bytes = this.folder.del.get(name);
      if (bytes !== undefined) del.push({ name, bytes });
    }
    const digests = new Map<string, string>();
    const { memory } = device;
    const { formerKeys, roots } = this;
    const shown = { head, signers, entries, standing, mail, del, digests, memory, now, formerKeys, roots };
    return audit(before === undefined ? shown : { ...shown, before });
  }

  /** Opens what may be opened, and removes some of it as a device does. */
  startRemoving(device: TestDevice, { result }: Look): Entry[] {
    const opened = result.toHash.filter((entry) => {
      const bytes = this.folder.mail.get(mailName(entry));
      return bytes !== undefined && isGenuine(entry, bytes.length, sha256(bytes));
    });
    const removed = opened.filter(() => this.random.chance(0.5));
    device.work = this.#remove(device, result, removed);
    return removed;
  }

  *#remove(
    device: TestDevice,
    { head, records, toRemove, toMark }: AuditResult,
    removed: readonly Entry[],
  ): Generator<void> {
    if (head === null) return;
    const { del, mail } = this.folder;
    // Those before it are finished first, whoever began them.
    for (const entry of toRemove) {
      mail.delete(mailName(entry));
      yield;
      if (device.memory !== null) device.memory = noteRemoved(device.memory, [entry.seq]);
    }
    for (const name of toMark) {
      del.set(name, Buffer.alloc(0));
      yield;
    }
    if (removed.length > 0) {
      const record = this.#recordOf(device, head, removed);
      const bytes = signDeletion(record, DOMAIN, device.key);
      del.set(deletionName(record), bytes.subarray(0, this.random.between(0, bytes.length - 1)));
      yield;
      del.set(deletionName(record), bytes);
      yield;
      for (const entry of removed) {
        mail.delete(mailName(entry));
        yield;
        if (device.memory !== null) device.memory = noteRemoved(device.memory, [entry.seq]);
      }
      del.set(doneName(record), Buffer.alloc(0));
      yield;
    }
    yield* this.#tidy(device, head, records);
  }

  /** One record in place of many, and none for what is past. */
  *#tidy(device: TestDevice, head: NonNullable<AuditResult["head"]>, records: AuditResult["records"]): Generator<void> {
    const { del } = this.folder;
    const own = records.filter(({ record }) => record.device === device.name && del.has(doneName(record)));
    const open = openDeletions(
      own.map(({ record }) => record),
      head.base,
    );
    const isWorthIt = own.length > 4 || (own.length > 0 && open.length === 0);
    if (!isWorthIt) return;
    if (open.length > 0) {
      const record = this.#recordOf(device, head, open);
      del.set(deletionName(record), signDeletion(record, DOMAIN, device.key));
      yield;
      del.set(doneName(record), Buffer.alloc(0));
      yield;
    }
    for (const { record } of own) {
      del.delete(deletionName(record));
      yield;
      del.delete(doneName(record));
      yield;
    }
  }

  #recordOf(
    device: TestDevice,
    { last, time }: NonNullable<AuditResult["head"]>,
    deleted: readonly { seq: number; digest: string }[],
  ): DeletionRecord {
    device.number += 1;
    return {
      account: this.standing.id,
      device: device.name,
      number: device.number,
      time: this.clockOf(device),
      head: { ...last, time },
      deleted: deleted.map(({ seq, digest }) => ({ seq, digest })),
    };
  }

  /** A line as the ledger would write it next; for forgers. */
  nextLine(digest: string, size: number): string {
    const seq = this.mailbox.last.seq + 1;
    return printEntry({ seq, time: this.time, expiry: this.time + KEEP_SECONDS, size, digest, version: 1 });
  }
}
