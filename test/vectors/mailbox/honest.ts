/** What may look like an attack and is none: on the way, cut off, late, or long ago. */

import {
  type DeletionRecord,
  deletionName,
  deviceOf,
  doneName,
  openDeletions,
  signDeletion,
} from "#core/mailbox/deletion.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { nextState, signState } from "#test/owner.ts";
import { copyOf, DOMAIN, sha256 } from "#test/mailbox/fetch.ts";
import { headIn } from "#test/mailbox/attacks.ts";
import { HonestWorld, KEEP_SECONDS } from "#test/mailbox/honest-world.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import type { Recorder } from "./make.ts";

type Record = (world: HonestWorld) => Recorder;

const SEED = 11;
const DAY = 86_400;

/** Nothing may be found; the name says what is seen. */
function quiet(name: string, found: readonly string[]): void {
  if (found.length > 0) throw new Error(`${name}: found ${String(found)}`);
}

/** A mailbox with mail that is there, and some that a device removed; devices `a` and `b` have seen it. */
function settled(
  name: string,
  record: Record,
  play: (scene: ReturnType<typeof sceneOf>, recorder: Recorder) => void,
): Buffer {
  const scene = sceneOf(SEED, 0);
  const recorder = record(scene.world);
  quiet(name, recorder.look("a", scene.world.folder));
  play(scene, recorder);
  return recorder.end();
}

/** A record by the second device over the first files that are there. */
function recordOver(
  scene: ReturnType<typeof sceneOf>,
  count: number,
  index = 1,
): { record: DeletionRecord; bytes: Buffer } {
  const { world, present } = scene;
  const device = world.devices[index];
  if (device === undefined) throw new RangeError("no such device");
  const { last, time } = headIn(world.folder);
  device.number += 1;
  const record: DeletionRecord = {
    account: world.standing.id,
    device: deviceOf(device.key.publicKey),
    number: device.number,
    time: world.time,
    head: { ...last, time },
    deleted: present.slice(0, count).map(({ seq, digest }) => ({ seq, digest })),
  };
  return { record, bytes: signDeletion(record, DOMAIN, device.key) };
}

function define(
  name: string,
  play: (scene: ReturnType<typeof sceneOf>, look: (device: string, time?: number) => void) => void,
) {
  return [
    name,
    (record: Record): Buffer =>
      settled(name, record, (scene, recorder) => {
        play(scene, (device, time) => quiet(name, recorder.look(device, scene.world.folder, time)));
      }),
  ] as const;
}

export const honestCases: readonly (readonly [string, (record: Record) => Buffer])[] = [
  define("seen-again", ({ world }, look) => {
    look("a");
    world.advance(3000);
    look("a");
    look("b");
  }),
  define("new-mail", ({ world }, look) => {
    world.deliverNow();
    look("a");
  }),
  define("file-on-its-way", ({ world }, look) => {
    const bytes = Buffer.from("a file that no entry names yet");
    world.folder.mail.set(mailName({ digest: sha256(bytes) }), bytes);
    look("a");
    look("a", world.time + 600);
    look("b", world.time + 600);
  }),
  define("entry-before-its-head", ({ world }, look) => {
    const bytes = Buffer.from("a file whose entry no head covers yet");
    world.folder.mail.set(mailName({ digest: sha256(bytes) }), bytes);
    const line = world.nextLine(sha256(bytes), bytes.length);
    world.folder.entries = Buffer.concat([world.folder.entries ?? Buffer.alloc(0), Buffer.from(line)]);
    look("a");
    look("b");
  }),
  define("last-line-half-written", ({ world }, look) => {
    const line = world.nextLine("ab".repeat(32), 100).slice(0, 30);
    world.folder.entries = Buffer.concat([world.folder.entries ?? Buffer.alloc(0), Buffer.from(line)]);
    look("a");
    look("b");
  }),
  define("removal-not-begun", (scene, look) => {
    const { record, bytes } = recordOver(scene, 2);
    scene.world.folder.del.set(deletionName(record), bytes);
    look("a");
    look("b");
  }),
  define("removal-cut-off", (scene, look) => {
    const { record, bytes } = recordOver(scene, 2);
    const [first] = scene.present;
    scene.world.folder.del.set(deletionName(record), bytes);
    if (first !== undefined) scene.world.folder.mail.delete(mailName(first));
    look("a");
    look("b");
  }),
  define("removal-not-marked", (scene, look) => {
    const { record, bytes } = recordOver(scene, 2);
    scene.world.folder.del.set(deletionName(record), bytes);
    for (const entry of scene.present.slice(0, 2)) scene.world.folder.mail.delete(mailName(entry));
    look("a");
    look("b");
  }),
  define("removal-of-all", (scene, look) => {
    const { record, bytes } = recordOver(scene, scene.present.length);
    scene.world.folder.del.set(deletionName(record), bytes);
    scene.world.folder.mail.clear();
    scene.world.folder.del.set(doneName(record), Buffer.alloc(0));
    look("a");
    look("b");
  }),
  define("record-half-uploaded", (scene, look) => {
    const { record, bytes } = recordOver(scene, 2);
    for (const length of [0, 40, 300, bytes.length - 1]) {
      scene.world.folder.del.set(deletionName(record), bytes.subarray(0, length));
      look("a");
    }
    look("b");
  }),
  define("records-put-together", (scene, look) => {
    const { world, removed } = scene;
    const { record } = recordOver(scene, 1);
    const deleted = openDeletions([removed.record, record], { seq: 0 });
    const whole = { ...record, deleted };
    const key = world.devices[1]?.key;
    if (key === undefined) throw new RangeError("no second device");
    world.folder.del.clear();
    world.folder.del.set(deletionName(whole), signDeletion(whole, DOMAIN, key));
    for (const entry of scene.present.slice(0, 1)) world.folder.mail.delete(mailName(entry));
    world.folder.del.set(doneName(whole), Buffer.alloc(0));
    look("a");
    look("b");
  }),
  define("other-files-beside-records", ({ world }, look) => {
    world.folder.del.set("notes.txt", Buffer.from("my own"));
    world.folder.del.set("0123456789abcdef-1.done", Buffer.alloc(0));
    look("a");
    look("b");
  }),
  define("device-removed", (scene, look) => {
    scene.world.removeDevice();
    look("a");
    look("b");
  }),
  define("record-of-a-removed-device", (scene, look) => {
    // Nothing depends on it any more: the one who removed the device has signed it again.
    const left = scene.world.devices.map((_, index) => recordOver(scene, 1, index));
    const gone = scene.world.removeDevice();
    const own = left.find(({ record }) => record.device === gone?.name);
    if (own !== undefined) scene.world.folder.del.set(deletionName(own.record), own.bytes);
    look("a");
    look("b");
  }),
  define("signer-replaced", ({ world }, look) => {
    world.replaceSigner();
    look("a");
    world.advance(600);
    look("a");
    look("b");
    world.advance(40 * DAY);
    world.replaceSigner();
    world.advance(600);
    look("a");
  }),
  define("account-state-on-its-way", ({ world }, look) => {
    const { versions } = world.folder;
    world.accept(signState(nextState(world.standing, { time: world.time }), [world.master]));
    world.publishNow();
    world.folder.versions = versions;
    look("a");
    look("b");
  }),
  define("account-state-before-its-head", ({ world }, look) => {
    world.accept(signState(nextState(world.standing, { time: world.time }), [world.master]));
    world.folder.versions = world.versions;
    look("a");
    look("b");
  }),
  define("expired", ({ world }, look) => {
    world.advance(KEEP_SECONDS + 2 * 3600);
    look("a");
    look("b");
  }),
  define("expired-and-behind-the-base", ({ world }, look) => {
    world.advance(KEEP_SECONDS + 30 * 3600);
    look("a");
    look("b");
  }),
  define("expired-and-lines-dropped", ({ world }, look) => {
    world.advance(KEEP_SECONDS + 30 * 3600);
    world.advance(30 * 3600);
    look("b");
    world.deliverNow();
    look("a");
    look("b");
  }),
  define("all-lines-dropped-and-a-new-one-before-its-head", ({ world }, look) => {
    world.advance(KEEP_SECONDS + 30 * 3600);
    world.advance(30 * 3600);
    const line = world.nextLine("ab".repeat(32), 100);
    world.folder.entries = Buffer.concat([world.folder.entries ?? Buffer.alloc(0), Buffer.from(line)]);
    look("a");
    look("b");
  }),
  define("away-for-weeks", ({ world }, look) => {
    for (let count = 0; count < 8; count++) {
      world.deliverNow();
      world.advance(5 * DAY);
    }
    look("a");
    look("b");
  }),
  define("clock-9-minutes-ahead", ({ world }, look) => {
    look("a", world.time + 540);
    look("b", world.time + 540);
  }),
  define("clock-9-minutes-behind", ({ world }, look) => {
    look("a", world.time - 540);
    look("b", world.time - 540);
  }),
  [
    "empty",
    (record) => {
      const world = new HonestWorld(SEED);
      const recorder = record(world);
      quiet("empty", recorder.look("a", world.folder));
      world.deliverNow();
      quiet("empty", recorder.look("a", world.folder));
      return recorder.end();
    },
  ],
  [
    "new-without-head",
    (record) => {
      const world = new HonestWorld(SEED);
      const recorder = record(world);
      const folder = copyOf(world.folder);
      Object.assign(folder, { head: null, signers: null, entries: null });
      quiet("new", recorder.look("a", folder, world.time + 100));
      quiet("new", recorder.look("a", folder, world.time + 700));
      quiet("new", recorder.look("a", world.folder, world.time + 800));
      return recorder.end();
    },
  ],
];
