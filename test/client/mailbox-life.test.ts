/** Honest lives of a mailbox on a real server: three devices, cut off at any write, away for weeks, clocks that differ by minutes. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { HostError } from "#core/errors.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { OPEN, SftpConnection } from "#host/sftp.ts";
import { HonestWorld } from "#test/mailbox/honest-world.ts";
import { Random } from "#test/mailbox/random.ts";
import { putFolder, takeBack } from "#test/mailbox-server.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";
import { ProvenDevice, type ServerPlace, wordsOf } from "./proven-device.ts";

const STEPS = 120;
const BEGIN = Math.floor(Date.now() / 1000) - 60 * 86_400;

let sshd: TestSshd;
let sftp: SftpConnection;

before(async () => {
  sshd = await startSshd();
  sftp = await SftpConnection.open(sshd.target);
});
after(async () => {
  await sftp.end();
  await sshd.stop();
});

/** The connection as a device has it that dies at its so manieth write: before it is done, or before it hears that it was. */
function dyingAt(count: number, isDone: boolean): SftpConnection {
  let left = count;
  const died = (): Promise<never> => Promise.reject(new HostError("NETWORK", "cut off"));
  const isWrite = (name: string, args: readonly unknown[]): boolean =>
    ["write", "remove", "close"].includes(name) || (name === "open" && args[1] !== OPEN.read);
  return new Proxy(sftp, {
    get(target, name: string) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (name === "entries") return call;
      return (...args: unknown[]): unknown => {
        if (left < 0) return died();
        if (!isWrite(name, args)) return call(...args);
        left -= 1;
        if (left >= 0) return call(...args);
        return isDone ? Promise.resolve(call(...args)).then(died) : died();
      };
    },
  });
}

for (const seed of [1, 2, 3]) {
  test(`an honest life raises no alarm, loses no mail, and keeps few records: ${seed}`, async () => {
    const random = new Random(seed);
    const world = new HonestWorld(seed, BEGIN);
    while (world.devices.length < 3) world.addDevice();
    world.publishNow();
    const server: ServerPlace = {
      folder: join(sshd.folder, `life-${seed}`),
      knownHosts: join(sshd.folder, `root-${seed}`),
    };
    const [root = ""] = world.roots;
    await writeFile(server.knownHosts, `operator.example.org ${root}\n`);
    const devices = await Promise.all(
      world.devices.map(async ({ key, skew }) => ({
        skew,
        device: await ProvenDevice.create(sshd.folder, server, key, world.standing.id),
      })),
    );
    const tally = { syncs: 0, cut: 0, removed: 0, opened: 0, expiredUnseen: 0 };
    const sync = async ({ skew, device }: (typeof devices)[number], keep: boolean, through = sftp): Promise<void> => {
      await putFolder(server.folder, world.folder);
      const done = await device.sync(through, world.time + skew, keep);
      // What a dying device has asked for is done when this is answered.
      await sftp.lstat(server.folder);
      await takeBack(server.folder, world.folder);
      tally.syncs += 1;
      tally.removed += done.result.deleted;
      tally.expiredUnseen += done.expiredUnseen;
      if (done.removalError !== undefined) tally.cut += 1;
      if (through === sftp) assert.equal(done.removalError, undefined);
      assert.deepEqual(wordsOf(done), [], `sync ${tally.syncs}`);
      assert.deepEqual(device.openedWrongly, []);
    };
    for (let step = 0; step < STEPS; step++) {
      const dice = random.next();
      if (dice < 0.35) for (let count = random.between(1, 6); count > 0; count--) world.deliverNow();
      else if (dice < 0.5) world.advance(random.between(1, 20_000));
      else if (dice < 0.53) world.advance(random.between(86_400, 16 * 86_400));
      else {
        const isCut = random.chance(0.4);
        const through = isCut ? dyingAt(random.between(0, 12), random.chance(0.5)) : sftp;
        await sync(random.pick(devices), random.chance(0.3), through);
      }
    }
    for (const each of [...devices, ...devices]) await sync(each, false);
    assert.equal(world.folder.mail.size, 0, "everything came home");
    const expired = new Set(world.delivered.filter(({ expiry }) => expiry < world.time + 600).map(mailName));
    const opened = new Set(
      devices.flatMap(({ device }) => [...device.opened.keys()].map((digest) => mailName({ digest }))),
    );
    tally.opened = opened.size;
    const lost = world.delivered.map(mailName).filter((name) => !opened.has(name) && !expired.has(name));
    assert.deepEqual(lost, []);
    assert.ok(tally.cut > 3 && tally.removed > 20 && tally.opened > 50, JSON.stringify(tally));
    const records = [...world.folder.del.keys()].filter((name) => !name.endsWith(".done"));
    assert.ok(records.length <= 3 * 7 + tally.cut, `${records.length} records`);
  });
}
