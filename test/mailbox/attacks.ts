/** What root on `fetch`, or on `ledger`, does to a mailbox, and how each must be named. */

import { splitSigned } from "#core/account/signed-text.ts";
import { type DeletionRecord, deletionName, deviceOf, doneName, signDeletion } from "#core/mailbox/deletion.ts";
import { parseEntries, printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import type { FindingCode } from "#core/mailbox/finding.ts";
import { type Head, parseHead, signHead } from "#core/mailbox/head.ts";
import { lineOf, nextState, signState } from "#test/owner.ts";
import { DOMAIN, type Folder, sha256 } from "./fetch.ts";
import { HonestWorld, keyFrom } from "./honest-world.ts";

/** A quiet mailbox, with one of everything that attacks are about. */
export interface Scene {
  readonly world: HonestWorld;
  /** Files that are there and that no device removed, in order. */
  readonly present: readonly Entry[];
  /** A file that a device removed, with its bytes and its record. */
  readonly removed: { readonly entry: Entry; readonly bytes: Buffer; readonly record: DeletionRecord };
}

export interface Expected {
  /** `CODE` or `CODE SUBJECT`: each must be found, and nothing else. */
  readonly memory: readonly string[];
  /** On a device that sees the mailbox for the first time. */
  readonly fresh: readonly string[];
  /** Names of files that are opened though they were removed. */
  readonly opens?: readonly string[];
}

export interface Attack {
  readonly name: string;
  /** Seconds for which it lasts, honest but for it, before it must be named; without it at once. */
  readonly after?: number;
  /** True if it needs more of the world than the folder: the scene is of no more use then. */
  readonly usesUpScene?: boolean;
  /** The account as the devices know it comes from elsewhere: what another machine shows. */
  apply(folder: Folder, scene: Scene): Expected;
}

export const both = (...codes: string[]): Expected => ({ memory: codes, fresh: codes });
const on = (code: FindingCode, ...entries: readonly Entry[]): string[] => entries.map(({ seq }) => `${code} ${seq}`);

/** Files that a record may be forged for, and lines that may be touched: behind the base. */
function linesOf(folder: Folder): Entry[] {
  return parseEntries(folder.entries ?? Buffer.alloc(0), Number.MAX_SAFE_INTEGER);
}

export function headIn(folder: Folder): Head {
  return parseHead(splitSigned(folder.head ?? Buffer.alloc(0), 4096).body);
}

export function liveLines(folder: Folder): { dropped: Entry[]; live: Entry[] } {
  const { base } = headIn(folder);
  const all = linesOf(folder);
  return { dropped: all.filter(({ seq }) => seq <= base.seq), live: all.filter(({ seq }) => seq > base.seq) };
}

/** Rewrites the lines behind the base. */
function rewrite(folder: Folder, change: (live: Entry[]) => Entry[]): void {
  const { dropped, live } = liveLines(folder);
  folder.entries = printEntries([...dropped, ...change(live)]);
}

function two({ world, present }: Scene): [Entry, Entry] {
  const first = world.random.pick(present);
  const second = world.random.pick(present.filter((entry) => entry !== first));
  return [first, second];
}

function oldest({ present }: Scene): Entry {
  const [entry] = present;
  if (entry === undefined) throw new RangeError("nothing is present");
  return entry;
}

export function newest({ present }: Scene): Entry {
  const entry = present.at(-1);
  if (entry === undefined) throw new RangeError("nothing is present");
  return entry;
}

function bytesOf(folder: Folder, entry: Entry): Buffer {
  return folder.mail.get(mailName(entry)) ?? Buffer.alloc(0);
}

/** A record over these files as somebody signs it who saw the head that is there. */
function recordBy(
  { world }: Scene,
  folder: Folder,
  key: ReturnType<typeof keyFrom>,
  deleted: readonly Entry[],
  changes: Partial<DeletionRecord> = {},
): { name: string; bytes: Buffer } {
  const { last, time } = headIn(folder);
  const record: DeletionRecord = {
    account: world.standing.id,
    device: deviceOf(key.publicKey),
    number: 999,
    time: world.time,
    head: { ...last, time },
    deleted: deleted.map(({ seq, digest }) => ({ seq, digest })),
    ...changes,
  };
  return { name: deletionName(record), bytes: signDeletion(record, DOMAIN, key) };
}

/** The whole mailbox of another account of the same fleet. */
function neighbour({ world }: Scene): HonestWorld {
  const other = new HonestWorld(world.random.between(1, 2 ** 31));
  other.time = world.time;
  other.signer = world.signer;
  other.signerList = world.signerList;
  other.deliverNow();
  return other;
}

/** An earlier state of the folder in which the ledger ended sooner; the last one of those. */
function pastOf({ world }: Scene, minAgeSeconds: number): Folder {
  const old = world.past.filter(
    ({ time, folder }) => world.time - time > minAgeSeconds && headIn(folder).last.seq < world.mailbox.last.seq,
  );
  const found = old.at(-1);
  if (found === undefined) throw new RangeError("no past");
  return found.folder;
}

const LONG_AGO = 1200;
/** Until a file without an entry is no longer on its way. */
const PAST_WAIT = 960;

export const attacks: readonly Attack[] = [
  {
    name: "byte-changed",
    apply(folder, scene) {
      const entry = scene.world.random.pick(scene.present);
      const bytes = Buffer.from(bytesOf(folder, entry));
      const at = scene.world.random.between(0, bytes.length - 1);
      bytes.writeUInt8(bytes.readUInt8(at) ^ scene.world.random.between(1, 255), at);
      folder.mail.set(mailName(entry), bytes);
      return both(...on("MODIFIED", entry));
    },
  },
  {
    name: "byte-added",
    apply(folder, scene) {
      const entry = scene.world.random.pick(scene.present);
      folder.mail.set(mailName(entry), Buffer.concat([bytesOf(folder, entry), Buffer.of(0)]));
      return both(...on("MODIFIED", entry));
    },
  },
  {
    name: "file-replaced",
    apply(folder, scene) {
      const entry = scene.world.random.pick(scene.present);
      folder.mail.set(mailName(entry), scene.world.random.bytes(entry.size));
      return both(...on("MODIFIED", entry));
    },
  },
  {
    name: "file-emptied",
    apply(folder, scene) {
      const entry = scene.world.random.pick(scene.present);
      folder.mail.set(mailName(entry), Buffer.alloc(0));
      return both(...on("MODIFIED", entry));
    },
  },
  {
    name: "two-files-swapped",
    apply(folder, scene) {
      const [a, b] = two(scene);
      const bytes = bytesOf(folder, a);
      folder.mail.set(mailName(a), bytesOf(folder, b));
      folder.mail.set(mailName(b), bytes);
      return both(...on("MODIFIED", a, b));
    },
  },
  {
    name: "deleted-file-back",
    apply(folder, { removed: { entry, bytes } }) {
      folder.mail.set(mailName(entry), bytes);
      return both(...on("RESURRECTED", entry));
    },
  },
  {
    // A device that never saw it gone takes it for a removal that was cut off, does not open it, and removes it.
    name: "deleted-file-back-and-its-mark-dropped",
    apply(folder, { removed: { entry, bytes, record } }) {
      folder.mail.set(mailName(entry), bytes);
      folder.del.delete(doneName(record));
      return { memory: on("RESURRECTED", entry), fresh: [] };
    },
  },
  {
    name: "deleted-file-back-and-its-record-dropped",
    apply(folder, { removed: { entry, bytes, record } }) {
      folder.mail.set(mailName(entry), bytes);
      folder.del.delete(doneName(record));
      folder.del.delete(deletionName(record));
      const others = record.deleted.filter(({ seq }) => seq !== entry.seq).map(({ seq }) => `MISSING ${seq}`);
      // For the other one there was never a sign that it was removed: it is what it was when it was delivered.
      return { memory: on("RESURRECTED", entry), fresh: others, opens: [mailName(entry)] };
    },
  },
  {
    name: "forged-file-with-odd-name",
    apply(folder, { world }) {
      folder.mail.set("message.age", world.random.bytes(30));
      return both("UNSIGNED message.age");
    },
  },
  {
    name: "forged-file-with-upper-case-name",
    apply(folder, { world }) {
      const bytes = world.random.bytes(30);
      const name = `${sha256(bytes).toUpperCase()}.age`;
      folder.mail.set(name, bytes);
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    name: "forged-file-under-its-digest",
    after: PAST_WAIT,
    apply(folder) {
      const bytes = Buffer.from("forged, and named after its digest");
      folder.mail.set(mailName({ digest: sha256(bytes) }), bytes);
      return both(`UNSIGNED ${mailName({ digest: sha256(bytes) })}`);
    },
  },
  {
    name: "forged-file-under-another-digest",
    apply(folder, { world }) {
      const name = mailName({ digest: sha256(world.random.bytes(30)) });
      folder.mail.set(name, world.random.bytes(30));
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    name: "forged-file-with-forged-next-line",
    after: PAST_WAIT,
    apply(folder, { world }) {
      const bytes = Buffer.from("forged, with a line of its own");
      folder.mail.set(mailName({ digest: sha256(bytes) }), bytes);
      const line = world.nextLine(sha256(bytes), bytes.length);
      folder.entries = Buffer.concat([folder.entries ?? Buffer.alloc(0), Buffer.from(line)]);
      return both(`UNSIGNED ${mailName({ digest: sha256(bytes) })}`);
    },
  },
  {
    name: "forged-line-in-place-of-a-genuine-one",
    apply(folder, { world, present }) {
      const bytes = Buffer.from("forged, in the place of another");
      folder.mail.set(mailName({ digest: sha256(bytes) }), bytes);
      const { seq } = world.random.pick(present);
      rewrite(folder, (live) =>
        live.map((entry) => (entry.seq === seq ? { ...entry, digest: sha256(bytes), size: bytes.length } : entry)),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "newest-deleted",
    apply(folder, scene) {
      folder.mail.delete(mailName(newest(scene)));
      return both(...on("MISSING", newest(scene)));
    },
  },
  {
    name: "oldest-deleted",
    apply(folder, scene) {
      folder.mail.delete(mailName(oldest(scene)));
      return both(...on("MISSING", oldest(scene)));
    },
  },
  {
    name: "all-deleted",
    apply(folder, { present }) {
      folder.mail.clear();
      return both(...on("MISSING", ...present));
    },
  },
  {
    name: "newest-deleted-with-its-line",
    apply(folder, scene) {
      const { seq } = newest(scene);
      folder.mail.delete(mailName(newest(scene)));
      rewrite(folder, (live) => live.filter((entry) => entry.seq < seq));
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "deleted-with-its-line-and-renumbered",
    apply(folder, scene) {
      const gone = scene.world.random.pick(scene.present);
      folder.mail.delete(mailName(gone));
      rewrite(folder, (live) =>
        live
          .filter(({ seq }) => seq !== gone.seq)
          .map((entry) => ({ ...entry, seq: entry.seq - (entry.seq > gone.seq ? 1 : 0) })),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "two-lines-exchanged",
    apply(folder, scene) {
      const [a, b] = two(scene);
      rewrite(folder, (live) =>
        live.map((entry) => {
          if (entry.seq === a.seq) return { ...b, seq: a.seq, time: a.time, expiry: a.expiry };
          return entry.seq === b.seq ? { ...a, seq: b.seq, time: b.time, expiry: b.expiry } : entry;
        }),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "two-lines-out-of-order",
    apply(folder, scene) {
      const [a, b] = two(scene);
      rewrite(folder, (live) => live.map((entry) => (entry.seq === a.seq ? b : entry.seq === b.seq ? a : entry)));
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "time-altered",
    apply(folder, scene) {
      const { seq } = scene.world.random.pick(scene.present);
      rewrite(folder, (live) => live.map((entry) => (entry.seq === seq ? { ...entry, time: entry.time + 1 } : entry)));
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "expiry-altered-and-file-deleted",
    apply(folder, scene) {
      const gone = scene.world.random.pick(scene.present);
      folder.mail.delete(mailName(gone));
      rewrite(folder, (live) =>
        live.map((entry) => (entry.seq === gone.seq ? { ...entry, expiry: entry.time + 1 } : entry)),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "early-expiry",
    apply(folder, scene) {
      const early = scene.present.slice(0, scene.world.random.between(1, scene.present.length));
      for (const entry of early) folder.mail.delete(mailName(entry));
      return both(...on("MISSING", ...early));
    },
  },
  {
    name: "first-lines-dropped-before-the-base",
    apply(folder) {
      const { live } = liveLines(folder);
      folder.entries = printEntries(live.slice(1));
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "entries-dropped",
    apply(folder) {
      folder.entries = null;
      return both("LEDGER-BROKEN");
    },
  },
  {
    name: "everything-rolled-back",
    apply(folder, scene) {
      Object.assign(folder, pastOf(scene, LONG_AGO));
      return { memory: ["STALE", "ROLLBACK"], fresh: ["STALE"] };
    },
  },
  {
    // Within the quarter of an hour, so only who has seen the later one can tell.
    name: "heartbeat-rolled-back",
    apply(folder, { world }) {
      const head = headIn(folder);
      folder.head = signHead({ ...head, time: head.time - 1, next: head.next - 1 }, world.signer);
      return { memory: ["ROLLBACK"], fresh: [] };
    },
  },
  {
    name: "tail-held-back",
    apply(folder, scene) {
      const past = pastOf(scene, LONG_AGO);
      folder.head = past.head;
      folder.entries = past.entries;
      const tail = linesOf(folder).length === 0 ? 0 : headIn(past).last.seq;
      for (const entry of scene.present) if (entry.seq > tail) folder.mail.delete(mailName(entry));
      return { memory: ["STALE", "ROLLBACK"], fresh: ["STALE"] };
    },
  },
  {
    name: "head-frozen",
    after: LONG_AGO,
    apply(folder, { world }) {
      const frozen = world.past.find(({ time }) => time === -1)?.folder;
      if (frozen === undefined) world.past.push({ time: -1, folder: { ...folder } });
      else Object.assign(folder, frozen);
      return both("STALE");
    },
  },
  {
    name: "forged-deletion-record",
    apply(folder, scene) {
      const gone = scene.world.random.pick(scene.present);
      const { name, bytes } = recordBy(scene, folder, keyFrom(scene.world.random), [gone]);
      folder.del.set(name, bytes);
      folder.mail.delete(mailName(gone));
      return both(`UNSIGNED ${name}`, ...on("MISSING", gone));
    },
  },
  {
    name: "deletion-record-of-another-file",
    apply(folder, scene) {
      const { record } = scene.removed;
      const gone = scene.present.find(({ seq }) => !record.deleted.some((one) => one.seq >= seq)) ?? oldest(scene);
      const name = deletionName(record);
      const text = (folder.del.get(name) ?? Buffer.alloc(0)).toString("latin1");
      const [first] = record.deleted;
      folder.del.set(
        name,
        Buffer.from(text.replace(`\n${first?.seq} ${first?.digest}\n`, `\n${first?.seq} ${gone.digest}\n`)),
      );
      folder.mail.delete(mailName(gone));
      const lost = record.deleted.map(({ seq }) => `MISSING ${seq}`);
      return {
        memory: [`UNSIGNED ${name}`, ...on("MISSING", gone)],
        fresh: [`UNSIGNED ${name}`, ...on("MISSING", gone), ...lost],
      };
    },
  },
  {
    name: "deletion-record-of-another-account",
    apply(folder, scene) {
      const gone = scene.world.random.pick(scene.present);
      const [device] = scene.world.devices;
      if (device === undefined) throw new RangeError("no device");
      const account = neighbour(scene).standing.id;
      const { name, bytes } = recordBy(scene, folder, device.key, [gone], { account });
      folder.del.set(name, bytes);
      folder.mail.delete(mailName(gone));
      return both(`UNSIGNED ${name}`, ...on("MISSING", gone));
    },
  },
  {
    name: "deletion-record-under-another-name",
    apply(folder, scene) {
      const { record } = scene.removed;
      const name = deletionName({ ...record, number: record.number + 500 });
      folder.del.set(name, folder.del.get(deletionName(record)) ?? Buffer.alloc(0));
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    name: "stolen-and-removed-device-deletes",
    usesUpScene: true,
    apply(folder, scene) {
      const thief = scene.world.removeDevice();
      if (thief === null) throw new RangeError("one device only");
      Object.assign(folder, { head: scene.world.folder.head, versions: scene.world.versions });
      for (const [name, bytes] of scene.world.folder.del) folder.del.set(name, bytes);
      const gone = scene.world.random.pick(scene.present);
      const { name, bytes } = recordBy(scene, folder, thief.key, [gone]);
      folder.del.set(name, bytes);
      folder.mail.delete(mailName(gone));
      return both(...on("MISSING", gone));
    },
  },
  {
    name: "deletion-records-dropped",
    apply(folder, scene) {
      const { record } = scene.removed;
      folder.del.delete(deletionName(record));
      // Who saw that it was rightly gone needs no record any more.
      return { memory: [], fresh: record.deleted.map(({ seq }) => `MISSING ${seq}`) };
    },
  },
  {
    name: "another-mailbox",
    apply(folder, scene) {
      const { versions, signers } = folder;
      Object.assign(folder, neighbour(scene).folder, { versions, signers });
      return both("WRONG-MAILBOX");
    },
  },
  {
    name: "head-of-another-mailbox",
    apply(folder, scene) {
      folder.head = neighbour(scene).folder.head;
      return both("WRONG-MAILBOX");
    },
  },
  {
    name: "head-by-a-key-that-is-not-listed",
    apply(folder, { world }) {
      folder.head = signHead(headIn(folder), keyFrom(world.random));
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-and-signers-by-foreign-keys",
    apply(folder, { world }) {
      const key = keyFrom(world.random);
      folder.head = signHead(headIn(folder), key);
      const signers = world.signerList.signers.map((signer) => ({ ...signer, key: lineOf(key) })).slice(-1);
      folder.signers = world.signedSigners({ ...world.signerList, signers }, keyFrom(world.random));
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-changed",
    apply(folder) {
      const text = (folder.head ?? Buffer.alloc(0)).toString("latin1");
      folder.head = Buffer.from(
        text.replace(/^next (\d+)$/m, (_, next) => `next ${Number(next) - 1}`),
        "latin1",
      );
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-without-signature",
    apply(folder) {
      folder.head = splitSigned(folder.head ?? Buffer.alloc(0), 4096).body;
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-dropped",
    apply(folder) {
      folder.head = null;
      return both("BAD-HEAD");
    },
  },
  {
    name: "signers-dropped",
    apply(folder) {
      folder.signers = null;
      return both("BAD-HEAD");
    },
  },
  {
    name: "everything-dropped",
    apply(folder) {
      folder.mail.clear();
      folder.del.clear();
      Object.assign(folder, { head: null, entries: null, signers: null });
      return both("BAD-HEAD");
    },
  },
  {
    name: "signers-rolled-back",
    apply(folder, { world }) {
      folder.signers = world.signedSigners({ ...world.signerList, time: world.signerList.time - 1 });
      // A new device takes the operator's word for it, as old as it may be: it still lists the signer.
      return { memory: ["ROLLBACK"], fresh: [] };
    },
  },
  {
    name: "newer-account-state-withheld",
    after: LONG_AGO,
    apply(folder, { world }) {
      const { versions } = folder;
      if (world.versions === versions) {
        const state = nextState(world.standing, { time: world.time });
        world.accept(signState(state, [world.master]));
        world.past.push({ time: -2, folder: { ...folder } });
      }
      folder.versions = world.past.find(({ time }) => time === -2)?.folder.versions ?? versions;
      return both("STATE-WITHHELD");
    },
  },
];
