/** Every attack on a mailbox, as files of a real server, against a device that has seen the honest one and one that has not. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mailName } from "#core/mailbox/entry.ts";
import { SftpConnection } from "#host/sftp.ts";
import { type Attack, attacks, type Scene } from "#test/mailbox/attacks.ts";
import { copyOf, type Folder } from "#test/mailbox/fetch.ts";
import { formatAttacks } from "#test/mailbox/format-attacks.ts";
import { ledgerAttacks } from "#test/mailbox/ledger-attacks.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import { putFolder } from "#test/mailbox-server.ts";
import { lineOf } from "#test/owner.ts";
import { startSshd, type TestSshd } from "#test/sshd.ts";
import { ProvenDevice, type ServerPlace, wordsOf } from "./proven-device.ts";

const SEED = 7;
/** Accounts that were changed in the future are not believed, so the scene lies in the past. */
const BEGIN = Math.floor(Date.now() / 1000) - 60_000;

let sshd: TestSshd;
let sftp: SftpConnection;
let server: ServerPlace;

before(async () => {
  sshd = await startSshd();
  sftp = await SftpConnection.open(sshd.target);
  server = { folder: join(sshd.folder, "account"), knownHosts: join(sshd.folder, "operator_hosts") };
});
after(async () => {
  await sftp.end();
  await sshd.stop();
});

async function device(scene: Scene): Promise<ProvenDevice> {
  const [first] = scene.world.devices;
  if (first === undefined) throw new RangeError("no device");
  return await ProvenDevice.create(sshd.folder, server, first.key, scene.world.standing.id);
}

/** The server shows that, and the operator's key is that of the scene. */
async function show(scene: Scene, folder: Folder): Promise<void> {
  await putFolder(server.folder, folder);
  const [root = ""] = scene.world.roots;
  await writeFile(server.knownHosts, `operator.example.org ${root}\n`);
}

async function play(attack: Attack, scene: Scene): Promise<void> {
  const { world } = scene;
  const attacked = async (): Promise<ReturnType<Attack["apply"]>> => {
    const folder = copyOf(world.folder);
    const expected = attack.apply(folder, scene);
    await show(scene, folder);
    return expected;
  };
  await show(scene, world.folder);
  const seasoned = await device(scene);
  assert.deepEqual(wordsOf(await seasoned.sync(sftp, world.time, true)), [], "honest before");
  const honest = new Set([...seasoned.opened.keys()].map((digest) => mailName({ digest })));
  assert.deepEqual(honest, new Set(scene.present.map(mailName)));
  seasoned.opened.clear();
  const fresh = await device(scene);

  let expected = await attacked();
  let [memory, first] = [await seasoned.sync(sftp, world.time, true), await fresh.sync(sftp, world.time, true)];
  if (attack.after !== undefined) {
    world.advance(attack.after);
    expected = await attacked();
    [memory, first] = [await seasoned.sync(sftp, world.time, true), await fresh.sync(sftp, world.time, true)];
  }
  assert.deepEqual(wordsOf(memory), [...expected.memory].sort(), "device with memory");
  assert.deepEqual(wordsOf(first), [...expected.fresh].sort(), "new device");
  const mayOpen = new Set([...honest, ...(expected.opens ?? [])]);
  for (const each of [seasoned, fresh]) {
    assert.deepEqual(each.openedWrongly, []);
    const others = [...each.opened.keys()].map((digest) => mailName({ digest })).filter((name) => !mayOpen.has(name));
    assert.deepEqual(others, [], "nothing but what was delivered is opened");
  }
}

describe("attacks", () => {
  for (const attack of [...attacks, ...formatAttacks, ...ledgerAttacks]) {
    test(attack.name, async () => await play(attack, sceneOf(SEED, 0, BEGIN)));
  }
});

test("the keys of the test's scene are the account's", () => {
  const { world } = sceneOf(SEED, 0, BEGIN);
  const keys = world.standing.state.devices.map(({ key }) => key);
  for (const { key } of world.devices) assert.ok(keys.includes(lineOf(key)));
});
