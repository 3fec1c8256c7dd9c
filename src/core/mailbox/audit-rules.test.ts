/** Rules of the audit that attacks on a whole history do not reach, one by one. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { headIn } from "#test/mailbox/attacks.ts";
import { copyOf, type Folder, shownBy } from "#test/mailbox/fetch.ts";
import { HonestWorld, KEEP_SECONDS } from "#test/mailbox/honest-world.ts";
import { auditFolder, wordsOf } from "#test/mailbox/scene.ts";
import { nextState, signState } from "#test/owner.ts";
import { type AuditResult, audit, isGenuine } from "./audit.ts";
import { firstPoint } from "./chain.ts";
import { printEntries } from "./entries.ts";
import { mailName } from "./entry.ts";
import { type Head, signHead } from "./head.ts";
import { type AuditMemory, acknowledge, noteRemoved } from "./memory.ts";

const DAY = 86_400;

function worldWith(count: number): HonestWorld {
  const world = new HonestWorld(21);
  for (let made = 0; made < count; made++) {
    world.advance(700);
    world.deliverNow();
  }
  return world;
}

/** The folder with another head, signed by the ledger. */
function headed(world: HonestWorld, change: (head: Head) => Partial<Head>): Folder {
  const folder = copyOf(world.folder);
  const head = headIn(folder);
  folder.head = signHead({ ...head, ...change(head) }, world.signer);
  return folder;
}

const look = (world: HonestWorld, folder: Folder, memory: AuditMemory | null, now?: number): AuditResult =>
  auditFolder(world, folder, memory, now);
const found = (world: HonestWorld, folder: Folder, memory: AuditMemory | null, now?: number): string[] =>
  wordsOf(look(world, folder, memory, now));

describe("against what was believed", () => {
  test("a base that goes back is a rollback", () => {
    const world = worldWith(2);
    world.advance(KEEP_SECONDS + 2 * DAY);
    world.deliverNow();
    const { memory } = look(world, world.folder, null);
    assert.equal(memory.believed?.base.seq, 2);
    assert.deepEqual(
      found(
        world,
        headed(world, () => ({ base: firstPoint(world.standing.id) })),
        memory,
      ),
      ["ROLLBACK"],
    );
  });

  test("an older state of the account is a rollback, another of the same version a fork", () => {
    const world = worldWith(1);
    const before = copyOf(world.folder);
    world.accept(signState(nextState(world.standing, { time: world.time }), [world.master]));
    world.publishNow();
    const { memory } = look(world, world.folder, null);
    const old = headed(world, () => ({ state: headIn(before).state }));
    assert.deepEqual(found(world, { ...old, versions: before.versions }, memory), ["ROLLBACK"]);
    const other = headed(world, ({ state }) => ({ state: { ...state, hash: headIn(before).state.hash } }));
    assert.deepEqual(found(world, other, memory), ["FORK"]);
    assert.deepEqual(found(world, other, null), ["FORK"], "the chain says so, too");
    assert.deepEqual(found(world, { ...other, versions: before.versions }, memory), ["FORK"], "memory alone says so");
  });

  test("a version of the account that never was harms no device for longer than it is told", () => {
    const world = worldWith(1);
    const lie = headed(world, ({ time, state }) => ({ state: { ...state, version: 1_000_000, accepted: time } }));
    const { memory, findings } = look(world, lie, null);
    assert.deepEqual(findings, []);
    assert.equal(memory.believed?.state.version, 1);
    world.advance(300);
    world.publishNow();
    assert.deepEqual(found(world, world.folder, memory), []);
  });

  test("a base that is not on the chain that was seen is a fork; lines that lead nowhere are a broken ledger", () => {
    const world = worldWith(3);
    const { memory } = look(world, world.folder, null);
    world.deliverNow();
    world.deliverNow();
    const [kept, last] = [world.kept, world.mailbox.last];
    world.advance(KEEP_SECONDS + 25 * 3600);
    const file = printEntries(kept);
    const honest = { ...world.folder, entries: file };
    assert.equal(headIn(honest).base.seq, last.seq);
    assert.deepEqual(found(world, honest, memory), []);
    const lie = headed(world, ({ base }) => ({ base: { seq: base.seq - 1, hash: base.hash } }));
    assert.deepEqual(found(world, { ...lie, entries: file }, memory), ["FORK"]);
    assert.deepEqual(found(world, { ...lie, entries: file }, null), ["LEDGER-BROKEN"]);
    const changed = kept.map((entry) => (entry.seq === 5 ? { ...entry, size: 999 } : entry));
    assert.deepEqual(found(world, { ...honest, entries: printEntries(changed) }, memory), ["LEDGER-BROKEN"]);
  });

  test("what is found keeps an audit from being believed, and STALE does not", () => {
    const world = worldWith(3);
    const { memory } = look(world, world.folder, null);
    const entry = world.deliverNow();
    const folder = copyOf(world.folder);
    folder.mail.delete(mailName(entry));
    const missing = look(world, folder, memory);
    assert.deepEqual(wordsOf(missing), ["MISSING 4"]);
    assert.deepEqual(missing.memory.believed, memory.believed);
    const stale = look(world, world.folder, memory, world.time + 5000);
    assert.deepEqual(wordsOf(stale), ["STALE"]);
    assert.equal(stale.memory.believed?.last.seq, 4);
    assert.deepEqual(
      [stale.findings[0]?.severity, look(world, folder, null, world.time + 7 * 3600).findings[0]?.severity],
      ["notice", "alarm"],
    );
  });

  test("what is acknowledged is not found again, keeps nothing from being believed, and must not come back", () => {
    const world = worldWith(3);
    const folder = copyOf(world.folder);
    const [entry] = world.kept;
    assert.ok(entry !== undefined);
    folder.mail.delete(mailName(entry));
    const first = look(world, folder, null);
    const [finding] = first.findings;
    assert.ok(finding !== undefined);
    const memory = acknowledge(first.memory, finding);
    const second = look(world, folder, memory);
    assert.deepEqual([wordsOf(second), second.acknowledged.length], [[], 1]);
    assert.equal(second.memory.believed?.last.seq, 3);
    const third = look(world, folder, second.memory);
    assert.deepEqual([wordsOf(third), third.acknowledged.length], [[], 0]);
    assert.deepEqual(found(world, world.folder, third.memory), ["RESURRECTED 1"]);
    const rolledBack = found(
      world,
      headed(world, ({ time }) => ({ time: time - 1 })),
      third.memory,
    );
    assert.deepEqual(rolledBack, ["ROLLBACK"]);
    const broken = look(world, { ...folder, head: null }, null).findings[0];
    assert.ok(broken !== undefined && acknowledge(third.memory, broken) === null);
  });

  test("what this device has removed must not come back, and needs no record to be gone", () => {
    const world = worldWith(2);
    const { memory } = look(world, world.folder, null);
    const folder = copyOf(world.folder);
    const [entry] = world.kept;
    assert.ok(entry !== undefined);
    folder.mail.delete(mailName(entry));
    assert.deepEqual(found(world, folder, memory), ["MISSING 1"]);
    assert.deepEqual(found(world, folder, noteRemoved(memory, [1])), []);
    assert.deepEqual(found(world, world.folder, noteRemoved(memory, [1])), ["RESURRECTED 1"]);
  });

  test("a device that was away is told how much it can't have seen", () => {
    const world = worldWith(2);
    const { memory } = look(world, world.folder, null);
    world.deliverNow();
    world.advance(3 * DAY);
    world.deliverNow();
    world.advance(KEEP_SECONDS - 3 * DAY + 2 * 3600);
    assert.equal(look(world, world.folder, memory).expiredUnseen, 1);
    world.advance(10 * DAY);
    const late = look(world, world.folder, memory);
    assert.deepEqual([late.expiredUnseen, late.head?.base.seq, wordsOf(late)], [2, 4, []]);
    assert.equal(look(world, world.folder, late.memory).expiredUnseen, 0);
    assert.equal(look(world, world.folder, null).expiredUnseen, 0);
  });
});

describe("without a head", () => {
  const world = new HonestWorld(21);
  const without = { ...world.folder, head: null };
  const begun = world.time;

  test("a new mailbox may be, for a quarter of an hour, and by the device's own memory", () => {
    const first = look(world, without, null, begun + 100);
    assert.deepEqual([wordsOf(first), first.mayOpen.length, first.memory.headlessSince], [[], 0, begun + 100]);
    assert.deepEqual(found(world, without, null, begun + 899), []);
    assert.deepEqual(found(world, without, null, begun + 900), ["BAD-HEAD"]);
    const moved = world.versions.map((version) => ({ ...version, accepted: begun + 900 }));
    assert.deepEqual(found(world, { ...without, versions: moved }, first.memory, begun + 999), []);
    assert.deepEqual(found(world, { ...without, versions: moved }, first.memory, begun + 1000), ["BAD-HEAD"]);
  });

  test("one with mail, or one that had a head, may not", () => {
    const { memory } = look(world, world.folder, null, begun);
    assert.deepEqual(found(world, without, memory, begun + 100), ["BAD-HEAD"]);
    const mail = new Map([["a", Buffer.from("a")]]);
    assert.deepEqual(found(world, { ...without, mail }, null, begun + 100), ["BAD-HEAD"]);
  });
});

describe("files", () => {
  test("a device whose clock is days behind misses nothing", () => {
    const world = worldWith(2);
    world.advance(KEEP_SECONDS + 2 * 3600);
    assert.deepEqual(found(world, world.folder, null, world.time - 3 * DAY), ["CLOCK"]);
  });

  test("absent is right from 10 minutes before the expiry", () => {
    const world = worldWith(1);
    const [entry] = world.kept;
    assert.ok(entry !== undefined);
    world.advance(KEEP_SECONDS - 1000);
    const folder = copyOf(world.folder);
    folder.mail.clear();
    assert.deepEqual(found(world, folder, null, entry.expiry - 601), ["MISSING 1"]);
    assert.deepEqual(found(world, folder, null, entry.expiry - 600), []);
  });

  test("before they are read, sizes speak; then digests; nothing opens without both", () => {
    const world = worldWith(2);
    const { roots, formerKeys, time: now } = world;
    const shown = { ...shownBy(world.folder), roots, formerKeys, now, memory: null };
    const unread = audit({ ...shown, digests: new Map() });
    assert.deepEqual([unread.mayOpen.length, unread.toHash.length, unread.findings.length], [0, 2, 0]);
    const [entry] = unread.toHash;
    assert.ok(entry !== undefined);
    assert.ok(isGenuine(entry, entry.size, entry.digest));
    assert.ok(!isGenuine(entry, entry.size + 1, entry.digest) && !isGenuine(entry, entry.size, "0".repeat(64)));
    const mail = shown.mail.map((file) => ({ ...file, size: file.size + (file.name === mailName(entry) ? 1 : 0) }));
    const larger = audit({ ...shown, mail, digests: new Map() });
    assert.deepEqual([wordsOf(larger), larger.toHash.length], [["MODIFIED 1"], 1]);
    const twice = audit({ ...shown, mail: [...mail, ...shown.mail], digests: new Map() });
    assert.deepEqual(wordsOf(twice), ["MODIFIED 1"], "listed twice with two sizes");
  });

  test("a file without an entry waits for a quarter of an hour in which there are heads", () => {
    const world = worldWith(1);
    const name = mailName({ digest: "ab".repeat(32) });
    const withIt = (): Folder => ({ ...world.folder, mail: new Map([...world.folder.mail, [name, Buffer.alloc(9)]]) });
    const at = (memory: AuditMemory | null, now: number): AuditResult => {
      const { roots, formerKeys } = world;
      return audit({ ...shownBy(withIt()), digests: new Map(), roots, formerKeys, now, memory });
    };
    const first = at(null, world.time);
    const silent = at(first.memory, world.time + 1200);
    assert.deepEqual(wordsOf(silent), ["STALE"]);
    world.advance(1500);
    const again = at(silent.memory, world.time);
    assert.deepEqual(wordsOf(again), []);
    world.advance(599);
    assert.deepEqual(wordsOf(at(again.memory, world.time)), []);
    world.advance(1);
    assert.deepEqual(wordsOf(at(again.memory, world.time)), [`UNSIGNED ${name}`]);
    assert.deepEqual(wordsOf(at(null, world.time)), [], "each device by its own memory");
  });

  test("only what is there in both readings is back", () => {
    const world = worldWith(2);
    world.addDevice();
    const [device] = world.devices;
    assert.ok(device !== undefined);
    const seen = world.look(device);
    const before = copyOf(world.folder);
    let removed = world.startRemoving(device, seen);
    while (removed.length === 0) removed = world.startRemoving(device, seen);
    world.settle();
    // The list of files is from before the removal, the records from behind it.
    const { roots, formerKeys, time: now } = world;
    const mixed = { ...shownBy(world.folder), ...{ mail: shownBy(before).mail, digests: shownBy(before).digests } };
    const input = { ...mixed, roots, formerKeys, now, memory: null };
    const first = audit(input);
    assert.ok(first.readAgain && first.findings.length === removed.length);
    const second = audit({ ...input, ...shownBy(world.folder), before: first });
    assert.deepEqual([wordsOf(second), second.readAgain], [[], false]);
    assert.deepEqual(wordsOf(audit({ ...input, before: first })), wordsOf(first));
    const other = audit({ ...input, before: { ...first, findings: [] } });
    assert.deepEqual(wordsOf(other), []);
    assert.ok(!other.mayOpen.some(({ seq }) => removed.some((entry) => entry.seq === seq)));
  });
});
