/** Every attack on a mailbox, as files of a real server, against a device that has seen the honest one and one that has not. */

import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AccountMemory } from "#client/account/memory.ts";
import { verifyServer } from "#client/verify/scratch.ts";
import { deviceOf } from "#core/mailbox/deletion.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { exec } from "#host/exec.ts";
import { SftpConnection, STATUS } from "#host/sftp.ts";
import { lyingProgram } from "#test/lying-sftp.ts";
import { type Attack, attacks, type Scene } from "#test/mailbox/attacks.ts";
import { copyOf, DOMAIN, type Folder } from "#test/mailbox/fetch.ts";
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

/** What an attack on the disk itself is found to be; `on` gives a path in the account's folder. */
interface Oddity {
  readonly name: string;
  readonly apply: (on: (path: string) => string, scene: Scene) => Promise<unknown>;
  readonly found: (scene: Scene) => readonly string[];
  /** By a new device; default: the same. */
  readonly fresh?: (scene: Scene) => readonly string[];
}

const newest = ({ present }: Scene): (typeof present)[number] => present.at(-1) ?? assert.fail("no mail");
const fileOf = (scene: Scene): string => `mail/${mailName(newest(scene))}`;
const modified = (scene: Scene): string[] => [`MODIFIED ${newest(scene).seq}`];
const missing = (entries: readonly { seq: number }[]): string[] => entries.map(({ seq }) => `MISSING ${seq}`);
const stranger = `${"ab".repeat(32)}.age`;

async function instead(path: string, make: (path: string) => Promise<unknown>): Promise<void> {
  await rm(path, { recursive: true });
  await make(path);
}

const fifo = async (path: string): Promise<unknown> => await exec("mkfifo", [path]);
const sparse = async (path: string): Promise<void> => {
  await writeFile(path, "");
  await truncate(path, 10_000_000_000);
};

const oddities: readonly Oddity[] = [
  { name: "a mail is a pipe", apply: (on, scene) => instead(on(fileOf(scene)), fifo), found: modified },
  { name: "a mail is a folder", apply: (on, scene) => instead(on(fileOf(scene)), mkdir), found: modified },
  {
    name: "a mail is a link to itself",
    apply: async (on, scene) => {
      await rename(on(fileOf(scene)), on("elsewhere"));
      await symlink("../elsewhere", on(fileOf(scene)));
    },
    found: modified,
  },
  {
    name: "a mail of ten gigabytes",
    apply: (on, scene) => truncate(on(fileOf(scene)), 10_000_000_000),
    found: modified,
  },
  {
    name: "a pipe that nobody delivered",
    apply: (on) => fifo(on(`mail/${stranger}`)),
    found: () => [`UNSIGNED ${stranger}`],
  },
  {
    name: "a link out of the mailbox",
    apply: (on) => symlink("/dev/zero", on(`mail/${stranger}`)),
    found: () => [`UNSIGNED ${stranger}`],
  },
  {
    name: "names that steer a terminal",
    apply: async (on) => {
      for (const name of ["\u001b]0;x\u0007", "a\nb", "\u202eabc"]) await writeFile(on(`mail/${name}`), "");
    },
    found: () => ["UNSIGNED \u001b]0;x\u0007", "UNSIGNED a\nb", "UNSIGNED \u202eabc"],
  },
  {
    name: "the folder of mail is gone",
    apply: (on) => rm(on("mail"), { recursive: true }),
    found: ({ present }) => missing(present),
  },
  {
    name: "the folder of records is a file",
    apply: (on) => instead(on("del"), (path) => writeFile(path, "")),
    found: () => [],
    fresh: ({ removed }) => missing(removed.record.deleted),
  },
  {
    name: "the device's record is a folder",
    apply: (on, { removed: { record } }) => instead(on(`del/${record.device}-${record.number}`), mkdir),
    found: () => [],
    fresh: ({ removed }) => missing(removed.record.deleted),
  },
  {
    name: "a record of ten gigabytes",
    apply: (on) => sparse(on("del/0123456789abcdef-1")),
    found: () => [],
  },
  { name: "the head is a folder", apply: (on) => instead(on("ledger/head"), mkdir), found: () => ["BAD-HEAD"] },
  { name: "the head is endless", apply: (on) => sparse(on("ledger/head")), found: () => ["BAD-HEAD"] },
  { name: "the list of signers is endless", apply: (on) => sparse(on("ledger/signers")), found: () => ["BAD-HEAD"] },
  {
    name: "the entries are a folder",
    apply: (on) => instead(on("ledger/entries"), mkdir),
    found: () => ["LEDGER-BROKEN"],
  },
  { name: "the entries are endless", apply: (on) => sparse(on("ledger/entries")), found: () => ["LEDGER-BROKEN"] },
  {
    name: "more lines than any list has, behind the last one",
    apply: (on) => appendFile(on("ledger/entries"), `9 1 1 1 ${"a".repeat(64)} 1\n`.repeat(450_000)),
    found: () => ["LEDGER-BROKEN"],
  },
];

/** A device that has seen the honest mailbox, one that has not, and the mailbox of nobody's. */
async function twoDevices(scene: Scene): Promise<{ seasoned: ProvenDevice; fresh: ProvenDevice }> {
  await rm(server.folder, { recursive: true, force: true });
  await show(scene, scene.world.folder);
  const seasoned = await device(scene);
  assert.deepEqual(wordsOf(await seasoned.sync(sftp, scene.world.time, true)), [], "honest before");
  return { seasoned, fresh: await device(scene) };
}

describe("files that are none", () => {
  for (const { name, apply, found, fresh: foundFresh } of oddities) {
    test(name, async () => {
      const scene = sceneOf(SEED, 0, BEGIN);
      const { time } = scene.world;
      const { seasoned, fresh } = await twoDevices(scene);
      seasoned.opened.clear();
      await apply((path) => join(server.folder, path), scene);
      const [first, second] = [await seasoned.sync(sftp, time, true), await fresh.sync(sftp, time, true)];
      assert.deepEqual(wordsOf(first), [...found(scene)].sort(), "device with memory");
      assert.deepEqual(wordsOf(second), [...(foundFresh ?? found)(scene)].sort(), "new device");
      const delivered = new Set(scene.present.map(({ digest }) => digest));
      for (const each of [seasoned, fresh]) {
        assert.deepEqual(each.openedWrongly, []);
        assert.deepEqual(
          [...each.opened.keys()].filter((digest) => !delivered.has(digest)),
          [],
        );
      }
      // Honest again, and nothing remains.
      await rm(server.folder, { recursive: true });
      await show(scene, scene.world.folder);
      assert.deepEqual(wordsOf(await seasoned.sync(sftp, time, true)), []);
    });
  }
});

describe("a server that refuses what it lists", () => {
  const refused: Record<string, [RegExp, known: (scene: Scene) => string[], fresh?: (scene: Scene) => string[]]> = {
    "the head": [/ledger\/head$/, () => ["BAD-HEAD"]],
    "the list of signers": [/ledger\/signers$/, () => ["BAD-HEAD"]],
    "the entries": [/ledger\/entries$/, () => ["LEDGER-BROKEN"]],
    records: [/\/del\/[^/]+$/, () => [], ({ removed }) => missing(removed.record.deleted)],
  };
  for (const [what, [pattern, known, unknown]] of Object.entries(refused)) {
    test(what, async () => {
      const scene = sceneOf(SEED, 0, BEGIN);
      const { time } = scene.world;
      const { seasoned, fresh } = await twoDevices(scene);
      const program = await lyingProgram(sshd.folder, STATUS.permissionDenied, pattern);
      const liar = await SftpConnection.open({ ...sshd.target, program });
      try {
        assert.deepEqual(wordsOf(await seasoned.sync(liar, time, true)), known(scene), "device with memory");
        assert.deepEqual(wordsOf(await fresh.sync(liar, time, true)), (unknown ?? known)(scene), "new device");
      } finally {
        await liar.end();
      }
    });
  }

  test("the account: what is known of it counts, and the person is told", async () => {
    const scene = sceneOf(SEED, 0, BEGIN);
    const { seasoned } = await twoDevices(scene);
    const program = await lyingProgram(sshd.folder, STATUS.permissionDenied, /account\/chain$/);
    const liar = await SftpConnection.open({ ...sshd.target, program });
    try {
      // What was learned just now may be on its way to a machine, and what was seen is not asked for.
      await rm(join(seasoned.places.account, "shown.json"));
      await utimes(join(seasoned.places.account, "chain"), scene.world.time, scene.world.time);
      const { accountError, audit } = await seasoned.sync(liar, scene.world.time, true);
      assert.deepEqual([(accountError as { code: string }).code, audit.findings], ["ROLLBACK", []]);
    } finally {
      await liar.end();
    }
  });
});

test("mail that the server lists and does not give is no mail that holds", async () => {
  const scene = sceneOf(SEED, 0, BEGIN);
  const { seasoned } = await twoDevices(scene);
  for (const status of [STATUS.noSuchFile, STATUS.permissionDenied, STATUS.failure]) {
    const program = await lyingProgram(sshd.folder, status, new RegExp(fileOf(scene)));
    const liar = await SftpConnection.open({ ...sshd.target, program });
    try {
      const { withheld } = await verifyServer(liar, seasoned.profile, seasoned.places, () => undefined);
      assert.deepEqual(withheld, [newest(scene)], `status ${status}`);
    } finally {
      await liar.end();
    }
  }
});

test("mail that the server lists and says is not there is told, each time, and comes when it is there", async () => {
  const scene = sceneOf(SEED, 0, BEGIN);
  const { fresh } = await twoDevices(scene);
  const program = await lyingProgram(sshd.folder, STATUS.noSuchFile, new RegExp(fileOf(scene)));
  const liar = await SftpConnection.open({ ...sshd.target, program });
  try {
    for (let round = 0; round < 2; round++) {
      const { result } = await fresh.sync(liar, scene.world.time, true);
      assert.deepEqual(
        result.failed.map(({ file, code }) => [file, code]),
        [[mailName(newest(scene)), "FILE"]],
      );
    }
  } finally {
    await liar.end();
  }
  const { result } = await fresh.sync(sftp, scene.world.time, true);
  assert.deepEqual([result.stored, result.failed], [1, []]);
});

test("a new device that was shown an empty account is as new afterwards", async () => {
  const scene = sceneOf(SEED, 0, BEGIN);
  const { fresh } = await twoDevices(scene);
  const chain = join(server.folder, "account/chain");
  const honest = await readFile(chain);
  await writeFile(chain, "");
  await assert.rejects(fresh.sync(sftp, scene.world.time, true), { code: "ACCOUNT" });
  await writeFile(chain, honest);
  // As one does that knows size and time, and no content.
  const { size, mtimeMs } = await stat(chain);
  const memory = new AccountMemory(fresh.places, DOMAIN);
  await memory.noteSeen(fresh.profile.host, size, Math.floor(mtimeMs / 1000));
  assert.deepEqual(wordsOf(await fresh.sync(sftp, scene.world.time, true)), []);
});

test("a name that uses up the numbers of records does not", async () => {
  const scene = sceneOf(SEED, 0, BEGIN);
  const { seasoned } = await twoDevices(scene);
  const [own] = scene.world.devices;
  const name = `${deviceOf(own?.key.publicKey ?? assert.fail())}-999999999999999`;
  await writeFile(join(server.folder, "del", name), "");
  const { removalError, result } = await seasoned.sync(sftp, scene.world.time, false);
  assert.deepEqual([removalError, result.deleted], [undefined, scene.present.length]);
  assert.equal(await seasoned.state.nextNumber(), 2);
});

test("more files than any mailbox has don't spoil what a device remembers", async () => {
  const scene = sceneOf(SEED, 0, BEGIN);
  const { seasoned } = await twoDevices(scene);
  const account = scene.world.standing.id;
  const memory = (await seasoned.state.memory(account)) ?? assert.fail("no memory");
  const name = (number: number): string => `${number.toString(16).padStart(64, "0")}.age`;
  const waiting = new Map(Array.from({ length: 150_000 }, (_, at) => [name(at), 150_000 - at]));
  await seasoned.state.remember({ ...memory, waiting });
  const kept = (await seasoned.state.memory(account))?.waiting ?? assert.fail("no memory");
  assert.deepEqual([kept.size, kept.get(name(149_999))], [100_000, 1]);
});

test("the keys of the test's scene are the account's", () => {
  const { world } = sceneOf(SEED, 0, BEGIN);
  const keys = world.standing.state.devices.map(({ key }) => key);
  for (const { key } of world.devices) assert.ok(keys.includes(lineOf(key)));
});
