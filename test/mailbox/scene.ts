/** Makes scenes of random honest histories, and plays attacks on them. */

import { type AuditResult, audit } from "#core/mailbox/audit.ts";
import { type DeletionRecord, deletionName, deviceOf, doneName, signDeletion } from "#core/mailbox/deletion.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { isAboutOneFile, keyOf } from "#core/mailbox/finding.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import type { Attack, Expected, Scene } from "./attacks.ts";
import { copyOf, DOMAIN, type Folder, shownBy } from "./fetch.ts";
import { HonestWorld, KEEP_SECONDS } from "./honest-world.ts";
import { emptyTally, simulate } from "./simulate.ts";

/**
 * A random history, or one that begins at a time and is short, and at its end a removal by one device and some mail that nobody
 * touched.
 */
export function sceneOf(seed: number, steps: number, begin?: number): Scene {
  const world = begin === undefined ? simulate(seed, steps, emptyTally()) : new HonestWorld(seed, begin);
  world.settle();
  while (world.devices.length < 2) world.addDevice();
  for (let count = world.random.between(2, 5); count > 0; count--) world.deliverNow();
  world.advance(world.random.between(3000, 9000));
  world.past.push({ time: world.time, folder: copyOf(world.folder) });
  world.advance(world.random.between(3000, 9000));
  const doomed = world.deliverNow();
  const other = world.deliverNow();
  const bytes = world.folder.mail.get(mailName(doomed)) ?? Buffer.alloc(0);
  world.deliverNow();
  world.deliverNow();
  const record = remove(world, doomed.seq, other.seq);
  world.publishNow();
  const taken = new Set([...world.folder.del.keys()]);
  if (!taken.has(deletionName(record))) throw new RangeError("no record");
  // Every device has finished what it began, and what is there is there to stay.
  for (const device of world.devices) {
    const { result } = world.look(device);
    for (const entry of result.toRemove) world.folder.mail.delete(mailName(entry));
    for (const name of result.toMark) world.folder.del.set(name, Buffer.alloc(0));
  }
  const present = world.kept.filter(
    (entry) => world.folder.mail.has(mailName(entry)) && entry.time > world.time - KEEP_SECONDS + 86_400,
  );
  for (const [name] of world.folder.mail) {
    if (!present.some((entry) => mailName(entry) === name)) world.folder.mail.delete(name);
  }
  return { world, present, removed: { entry: doomed, bytes, record } };
}

function remove(world: HonestWorld, ...seqs: number[]): DeletionRecord {
  const [, device] = world.devices;
  if (device === undefined) throw new RangeError("no second device");
  const { head } = world.look(device).result;
  if (head === null) throw new RangeError("no head");
  device.number += 1;
  const deleted = world.kept.filter(({ seq }) => seqs.includes(seq));
  const record: DeletionRecord = {
    account: world.standing.id,
    device: deviceOf(device.key.publicKey),
    number: device.number,
    time: world.clockOf(device),
    head: { ...head.last, time: head.time },
    deleted: deleted.map(({ seq, digest }) => ({ seq, digest })),
  };
  world.folder.del.set(deletionName(record), signDeletion(record, DOMAIN, device.key));
  for (const entry of deleted) world.folder.mail.delete(mailName(entry));
  world.folder.del.set(doneName(record), Buffer.alloc(0));
  return record;
}

/** Audits a folder as a device does: twice, if it is asked to. */
export function auditFolder(
  world: HonestWorld,
  folder: Folder,
  memory: AuditMemory | null,
  now = world.time,
): AuditResult {
  const { roots, formerKeys } = world;
  const input = { ...shownBy(folder), roots, formerKeys, memory, now };
  const first = audit(input);
  return first.readAgain ? audit({ ...input, before: first }) : first;
}

export interface Outcome {
  readonly expected: Expected;
  readonly memory: readonly string[];
  readonly fresh: readonly string[];
  /** Names of files that were allowed to be opened and are not, byte for byte, what was delivered and not removed. */
  readonly opened: readonly string[];
}

/** Findings as `CODE`, or `CODE SUBJECT` where they are about one file. */
export function wordsOf({ findings }: AuditResult): string[] {
  return [...new Set(findings.map((one) => (isAboutOneFile(one) ? keyOf(one) : one.code)))].sort();
}

/** Plays an attack on the scene, against a device that has seen the honest mailbox and one that has not. */
export function play(attack: Attack, scene: Scene): Outcome {
  const { world } = scene;
  const before = auditFolder(world, world.folder, null).memory;
  const attacked = (): { folder: Folder; expected: Expected } => {
    const folder = copyOf(world.folder);
    return { folder, expected: attack.apply(folder, scene) };
  };
  let { folder, expected } = attacked();
  let memory = auditFolder(world, folder, before);
  let fresh = auditFolder(world, folder, null);
  if (attack.after !== undefined) {
    world.advance(attack.after);
    ({ folder, expected } = attacked());
    memory = auditFolder(world, folder, memory.memory);
    fresh = auditFolder(world, folder, fresh.memory);
  }
  const { digests } = shownBy(folder);
  const honest = new Set([...scene.present.map(mailName), ...(expected.opens ?? [])]);
  const opened = [memory, fresh].flatMap(({ mayOpen, toHash }) =>
    [...mayOpen, ...toHash]
      .map(mailName)
      .filter((name) => digests.get(name) !== name.slice(0, 64) || !honest.has(name)),
  );
  return { expected, memory: wordsOf(memory), fresh: wordsOf(fresh), opened };
}
