/** Bounds, and rules that no whole attack reaches. A case is named after what is done, and says what each look finds. */

import { joinSigned } from "#core/account/signed-text.ts";
import { firstPoint } from "#core/mailbox/chain.ts";
import {
  type DeletionRecord,
  deletionName,
  deletionNamespace,
  deviceOf,
  doneName,
  printDeletion,
  signDeletion,
} from "#core/mailbox/deletion.ts";
import { printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { type Head, signHead } from "#core/mailbox/head.ts";
import { printSigners, type Signer, type SignerList, signersNamespace } from "#core/mailbox/signers.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { headIn } from "#test/mailbox/attacks.ts";
import { copyOf, DOMAIN, type Folder, sha256 } from "#test/mailbox/fetch.ts";
import { HonestWorld, KEEP_SECONDS, keyFrom } from "#test/mailbox/honest-world.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import { type Ed25519Key, lineOf, nextState, signState } from "#test/owner.ts";
import type { Recorder } from "./make.ts";

const SEED = 13;

interface Play {
  readonly scene: ReturnType<typeof sceneOf>;
  readonly world: HonestWorld;
  /** The device looks at the folder as it is now, changed for this look only, and finds exactly that. */
  readonly look: (device: string, expected: readonly string[], change?: (folder: Folder) => void, time?: number) => void;
}

type RuleCase = readonly [path: string, make: (record: (world: HonestWorld) => Recorder) => Buffer];

function lookWith(name: string, world: HonestWorld, recorder: Recorder): Play["look"] {
  return (device, expected, change, time = world.time) => {
    const folder = copyOf(world.folder);
    change?.(folder);
    const found = recorder.look(device, folder, time);
    if (String(found) !== String([...expected].sort())) {
      throw new Error(`${name}: ${device} found ${String(found)}, expected ${String(expected)}`);
    }
  };
}

/** In a mailbox with mail, which `old` has seen. */
function rule(path: string, play: (stand: Play) => void): RuleCase {
  return [
    path,
    (record) => {
      const scene = sceneOf(SEED, 0);
      const { world } = scene;
      const recorder = record(world);
      const look = lookWith(path, world, recorder);
      look("old", []);
      play({ scene, world, look });
      return recorder.end();
    },
  ];
}

/** A change that `old` and `new` judge alike, or not. */
function change(
  path: string,
  apply: (folder: Folder, stand: Play) => void,
  memory: readonly string[],
  fresh: readonly string[] = memory,
): RuleCase {
  return rule(path, (stand) => {
    for (const [device, expected] of [["old", memory] as const, ["new", fresh] as const]) {
      stand.look(device, expected, (folder) => apply(folder, stand));
    }
  });
}

/** In a mailbox that is made just now and has no head yet. */
function young(path: string, play: (stand: Omit<Play, "scene">) => void): RuleCase {
  return [
    path,
    (record) => {
      const world = new HonestWorld(SEED);
      const recorder = record(world);
      play({ world, look: lookWith(path, world, recorder) });
      return recorder.end();
    },
  ];
}

const headless = (folder: Folder): void => void Object.assign(folder, { head: null, signers: null, entries: null });

function reheaded(folder: Folder, world: HonestWorld, changes: (head: Head) => Partial<Head>): void {
  const head = headIn(folder);
  folder.head = signHead({ ...head, ...changes(head) }, world.signer);
}

/** The list with the ledger's line between others, or edited. */
function relisted(
  folder: Folder,
  world: HonestWorld,
  { signers, edit = (body) => body, more }: RelistOptions = {},
): void {
  const list = { ...world.signerList, signers: signers?.(world.signerList.signers) ?? world.signerList.signers };
  const body = Buffer.from(edit(printSigners(list).toString("latin1")));
  const own = signMessage(world.root, signersNamespace(DOMAIN), body);
  folder.signers = joinSigned({ body, signatures: [own, ...(more?.(body) ?? [])] });
}

interface RelistOptions {
  readonly signers?: (signers: SignerList["signers"]) => readonly Signer[];
  readonly edit?: (body: string) => string;
  /** Signatures behind that of the root. */
  readonly more?: (body: Buffer) => string[];
}

/** Lines of keys that nobody has. */
function otherSigners(world: HonestWorld, count: number): Signer[] {
  const [own] = world.signerList.signers;
  if (own === undefined) throw new RangeError("no signer");
  return Array.from({ length: count }, () => ({ ...own, key: lineOf(keyFrom(world.random)) }));
}

const lines = (body: string): string[] => body.split(/(?<=\n)/);

/** A record of a device over the first file that is there. */
function recordOf(
  folder: Folder,
  { scene, world }: Play,
  changes: Partial<DeletionRecord> = {},
  key: Ed25519Key | undefined = world.devices[0]?.key,
): { record: DeletionRecord; key: Ed25519Key } {
  const [gone] = scene.present;
  if (key === undefined || gone === undefined) throw new RangeError("no device or no file");
  const { last, time } = headIn(folder);
  const device = deviceOf(key.publicKey);
  const deleted = [{ seq: gone.seq, digest: gone.digest }];
  const head = { ...last, time };
  return {
    record: { account: world.standing.id, device, number: 900, time: world.time, head, deleted, ...changes },
    key,
  };
}

function putRecord(folder: Folder, { record, key }: ReturnType<typeof recordOf>, name = deletionName(record)): void {
  folder.del.set(name, signDeletion(record, DOMAIN, key));
}

/** Signed over these bytes, or with the signature of others. */
function putSigned(folder: Folder, name: string, text: string, key: Ed25519Key, signed = text): void {
  const signatures = [signMessage(key, deletionNamespace(DOMAIN), Buffer.from(signed))];
  folder.del.set(name, joinSigned({ body: Buffer.from(text), signatures }));
}

function first({ present }: Play["scene"]): Entry {
  const [entry] = present;
  if (entry === undefined) throw new RangeError("nothing is present");
  return entry;
}

const stranger = "a file that nobody delivered";
const strangerName = mailName({ digest: sha256(Buffer.from(stranger)) });
const putStranger = (folder: Folder): void => void folder.mail.set(strangerName, Buffer.from(stranger));

/** Another version of the account, which `account/chain` shows or does not. */
function newVersion(world: HonestWorld, accepted = world.time): void {
  world.accept(signState(nextState(world.standing, { time: world.standing.state.time }), [world.master]), accepted);
}

/** Everything expired, and the base is the last entry; the lines are there still. */
function allBehindTheBase(world: HonestWorld): void {
  const kept = [...world.kept];
  world.advance(KEEP_SECONDS + 25 * 3600);
  world.folder.entries = printEntries(kept);
  const { base, last } = headIn(world.folder);
  if (base.seq !== last.seq) throw new RangeError("the base is not the last entry");
}

export const ruleCases: readonly RuleCase[] = [
  // Clocks.
  rule("accept/clock-600-seconds-behind", ({ world, look }) => {
    const { time } = headIn(world.folder);
    look("old", [], undefined, time - 600);
    look("new", [], undefined, time - 600);
  }),
  rule("reject/clock-601-seconds-behind", ({ world, look }) => {
    const { time } = headIn(world.folder);
    look("old", ["CLOCK"], undefined, time - 601);
    look("new", ["CLOCK"], undefined, time - 601);
  }),
  rule("accept/head-600-seconds-late", ({ world, look }) => {
    const { next } = headIn(world.folder);
    look("old", [], undefined, next + 600);
    look("new", [], undefined, next + 600);
  }),
  rule("reject/head-601-seconds-late", ({ world, look }) => {
    const { next } = headIn(world.folder);
    look("old", ["STALE"], undefined, next + 601);
    look("new", ["STALE"], undefined, next + 601);
  }),
  change(
    "accept/head-whose-next-is-an-hour-later",
    (folder, { world }) => {
      reheaded(folder, world, ({ time }) => ({ next: time + 3600 }));
    },
    [],
  ),
  change(
    "accept/head-whose-next-is-a-second-later",
    (folder, { world }) => {
      reheaded(folder, world, ({ time }) => ({ next: time + 1 }));
    },
    [],
  ),
  change(
    "accept/head-in-the-first-and-last-second-of-its-signer",
    (folder, { world }) => {
      const { time } = headIn(folder);
      relisted(folder, world, { signers: (all) => all.map((one) => ({ ...one, from: time, until: time })) });
    },
    [],
  ),
  change(
    "reject/file-missing-while-clocks-differ",
    (folder, { scene, world }) => {
      folder.mail.delete(mailName(first(scene)));
      reheaded(folder, world, () => ({ time: world.time + 601, next: world.time + 901 }));
    },
    ["CLOCK"],
  ),
  // A head that is not there.
  young("reject/no-head-for-900-seconds", ({ world, look }) => {
    // The server moves the acceptance, so that the account stays young.
    const [genesis] = world.versions;
    if (genesis === undefined) throw new RangeError("no version");
    const moved = (seconds: number) => (folder: Folder) => {
      headless(folder);
      folder.versions = [{ ...genesis, accepted: genesis.accepted + seconds }];
    };
    look("old", [], moved(0), world.time);
    look("old", [], moved(899), world.time + 899);
    look("old", ["BAD-HEAD"], moved(900), world.time + 900);
    look("new", [], moved(900), world.time + 900);
  }),
  young("reject/no-head-in-an-account-of-900-seconds", ({ world, look }) => {
    look("old", [], headless, world.time + 899);
    look("new", ["BAD-HEAD"], headless, world.time + 900);
  }),
  young("reject/no-head-and-a-file", ({ world, look }) => {
    look("old", [], headless);
    look("old", ["BAD-HEAD"], (folder) => {
      headless(folder);
      putStranger(folder);
    });
    look("new", [], headless, world.time + 1);
  }),
  young("reject/no-head-at-version-2", ({ world, look }) => {
    look("old", [], headless);
    newVersion(world);
    world.folder.versions = world.versions;
    look("new", ["BAD-HEAD"], headless);
  }),
  young("reject/no-head-any-more", ({ look }) => {
    look("old", []);
    look("old", ["BAD-HEAD"], headless);
    look("new", [], headless);
  }),
  // Signers.
  change(
    "accept/signers-64",
    (folder, { world }) => {
      relisted(folder, world, { signers: (all) => [...all, ...otherSigners(world, 64 - all.length)] });
    },
    [],
  ),
  change(
    "reject/signers-65",
    (folder, { world }) => {
      const [line = ""] = lines(
        printSigners({ ...world.signerList, signers: otherSigners(world, 1) }).toString(),
      ).slice(3);
      relisted(folder, world, {
        signers: (all) => [...all, ...otherSigners(world, 64 - all.length)],
        edit: (body) => [...lines(body).slice(0, 3), ...[...lines(body).slice(3), line].sort()].join(""),
      });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-not-sorted",
    (folder, { world }) => {
      relisted(folder, world, {
        signers: (all) => [...all, ...otherSigners(world, 1)],
        edit: (body) => [...lines(body).slice(0, 3), ...lines(body).slice(3).reverse()].join(""),
      });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-key-twice",
    (folder, { world }) => {
      relisted(folder, world, {
        edit: (body) => `${body}${(lines(body).at(-1) ?? "").replace(/valid-before="\d{4}/, 'valid-before="2099')}`,
      });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-end-before-begin",
    (folder, { world }) => {
      relisted(folder, world, {
        signers: (all) => [...all, ...otherSigners(world, 1)],
        edit: (body) => {
          const [other = "", ...rest] = lines(body).slice(3);
          const ended = other.replace(
            /valid-after="\d{14}Z",valid-before="\d{14}Z"/,
            'valid-after="20200102000000Z",valid-before="20200101000000Z"',
          );
          return [...lines(body).slice(0, 3), ...[ended, ...rest].sort()].join("");
        },
      });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-30-february",
    (folder, { world }) => {
      relisted(folder, world, { edit: (body) => body.replace(/valid-after="\d{8}/, 'valid-after="20260230') });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-before-1970",
    (folder, { world }) => {
      relisted(folder, world, { edit: (body) => body.replace(/valid-after="\d{14}/, 'valid-after="19691231235959') });
    },
    ["BAD-HEAD"],
  ),
  change(
    "reject/signers-with-a-second-signature-of-the-root-over-something-else",
    (folder, { world }) => {
      relisted(folder, world, {
        more: () => [signMessage(world.root, signersNamespace(DOMAIN), Buffer.from("something else"))],
      });
    },
    ["BAD-HEAD"],
  ),
  change(
    "accept/signers-with-20-signatures",
    (folder, { world }) => {
      relisted(folder, world, {
        more: (body) =>
          Array.from({ length: 19 }, () => signMessage(keyFrom(world.random), signersNamespace(DOMAIN), body)),
      });
    },
    [],
  ),
  change(
    "reject/signers-with-21-signatures",
    (folder, { world }) => {
      relisted(folder, world, {
        more: (body) =>
          Array.from({ length: 20 }, () => signMessage(keyFrom(world.random), signersNamespace(DOMAIN), body)),
      });
    },
    ["BAD-HEAD"],
  ),
  // What was believed, and the account.
  change(
    "reject/head-of-another-mailbox-and-ahead",
    (folder, { world }) => {
      const account = "niUaW71aJ-nWDDa9BF5RjA";
      const start = firstPoint(account);
      reheaded(folder, world, () => ({
        account,
        last: start,
        base: start,
        time: world.time + 601,
        next: world.time + 901,
      }));
    },
    ["CLOCK", "WRONG-MAILBOX"],
  ),
  change(
    "reject/head-rolled-back-with-a-newer-account-state",
    (folder, { world }) => {
      reheaded(folder, world, ({ time, state }) => ({
        time: time - 1,
        state: { ...state, version: state.version + 1, accepted: time - 62 },
      }));
    },
    ["ROLLBACK", "STATE-WITHHELD"],
    ["STATE-WITHHELD"],
  ),
  change(
    "accept/newer-account-state-for-60-seconds",
    (folder, { world }) => {
      reheaded(folder, world, ({ time, state }) => ({
        state: { ...state, version: state.version + 1, accepted: time - 60 },
      }));
    },
    [],
  ),
  change(
    "reject/newer-account-state-withheld-for-61-seconds",
    (folder, { world }) => {
      reheaded(folder, world, ({ time, state }) => ({
        state: { ...state, version: state.version + 1, accepted: time - 61 },
      }));
    },
    ["STATE-WITHHELD"],
  ),
  rule("accept/account-state-that-never-was", ({ world, look }) => {
    look("old", [], (folder) => {
      reheaded(folder, world, ({ time, state }) => ({ state: { ...state, version: 1_000_000, accepted: time } }));
    });
    world.advance(300);
    world.publishNow();
    look("old", []);
  }),
  rule("accept/two-account-states-before-their-head-the-last-for-60-seconds", ({ world, look }) => {
    const { time } = headIn(world.folder);
    newVersion(world, time - 1000);
    newVersion(world, time - 60);
    world.folder.versions = world.versions;
    look("old", []);
    look("new", []);
  }),
  rule("reject/head-names-older-account-state-after-61-seconds", ({ world, look }) => {
    newVersion(world, headIn(world.folder).time - 61);
    world.folder.versions = world.versions;
    look("old", ["ROLLBACK"]);
    look("new", ["ROLLBACK"]);
  }),
  rule("reject/head-and-chain-with-an-older-account-state", ({ world, look }) => {
    const [before, { state }] = [world.folder.versions, headIn(world.folder)];
    newVersion(world);
    world.publishNow();
    look("old", []);
    const older = (folder: Folder): void => {
      folder.versions = before;
      reheaded(folder, world, () => ({ state }));
    };
    look("old", ["ROLLBACK"], older);
    look("new", [], older);
  }),
  rule("reject/head-names-another-account-state-than-seen", ({ world, look }) => {
    const before = world.folder.versions;
    newVersion(world);
    world.publishNow();
    look("old", []);
    const other = (folder: Folder): void => {
      folder.versions = before;
      reheaded(folder, world, ({ state }) => ({ state: { ...state, hash: `${"A".repeat(43)}=` } }));
    };
    look("old", ["FORK"], other);
    look("new", [], other);
  }),
  change(
    "reject/head-names-another-account-state",
    (folder, { world }) => {
      reheaded(folder, world, ({ state }) => ({ state: { ...state, hash: `${"A".repeat(43)}=` } }));
    },
    ["FORK"],
  ),
  rule("reject/base-goes-back", ({ world, look }) => {
    const lines = printEntries(world.kept);
    const { base } = headIn(world.folder);
    allBehindTheBase(world);
    world.folder.entries = lines;
    look("old", []);
    // Nothing is left, so a device that comes now misses all that had not been removed.
    look("old", ["ROLLBACK"], (folder) => reheaded(folder, world, () => ({ base })));
  }),
  rule("reject/base-beside-the-chain-that-was-seen", ({ world, look }) => {
    world.deliverNow();
    world.deliverNow();
    allBehindTheBase(world);
    const lie = (folder: Folder): void =>
      reheaded(folder, world, ({ base }) => ({ base: { seq: base.seq - 1, hash: base.hash } }));
    look("old", ["FORK"], lie);
    look("new", ["LEDGER-BROKEN"], lie);
  }),
  rule("reject/not-believed-is-not-rolled-back", ({ scene, world, look }) => {
    const before = copyOf(world.folder);
    world.deliverNow();
    world.advance(301);
    const { seq } = first(scene);
    // Something was found, so the newer head is not remembered, and the older one is none.
    look("old", [`MISSING ${seq}`], (folder) => void folder.mail.delete(mailName(first(scene))));
    look("old", [], (folder) => void Object.assign(folder, before));
    look("old", []);
    look("old", ["ROLLBACK"], (folder) => void Object.assign(folder, before));
  }),
  rule("reject/stale-is-believed", ({ world, look }) => {
    const before = copyOf(world.folder);
    world.deliverNow();
    const { next } = headIn(world.folder);
    look("old", ["STALE"], undefined, next + 601);
    look("old", ["ROLLBACK"], (folder) => void Object.assign(folder, before));
  }),
  // Entries.
  rule("reject/first-line-garbage-behind-the-base", ({ world, look }) => {
    allBehindTheBase(world);
    const garbage = (folder: Folder): void => void (folder.entries = Buffer.from("garbage\n"));
    look("old", ["LEDGER-BROKEN"], garbage);
    look("new", ["LEDGER-BROKEN"], garbage);
  }),
  young("accept/garbage-before-the-first-entry", ({ look }) => {
    const garbage = (folder: Folder): void => void (folder.entries = Buffer.from("garbage\n"));
    look("old", [], garbage);
    look("old", []);
  }),
  rule("reject/digest-twice-before-the-base", ({ world, look }) => {
    allBehindTheBase(world);
    const [one, two, ...rest] = world.delivered.slice(-world.mailbox.last.seq);
    if (one === undefined || two === undefined) throw new RangeError("too few entries");
    const twice = (folder: Folder): void =>
      void (folder.entries = printEntries([one, { ...two, digest: one.digest }, ...rest]));
    look("new", ["LEDGER-BROKEN"], twice);
  }),
  change(
    "reject/last-line-without-its-end",
    (folder) => {
      folder.entries = folder.entries?.subarray(0, -1) ?? null;
    },
    ["LEDGER-BROKEN"],
  ),
  // Records.
  rule("accept/record-under-a-name-that-is-none", (stand) => {
    // As who copies files leaves them: they are not what they would be under their own names.
    const names = ["copy", `${"A".repeat(16)}-1`, `${"a".repeat(16)}-01`, `${"a".repeat(15)}-1`];
    const put = (folder: Folder): void => {
      for (const name of names) putRecord(folder, recordOf(folder, stand), name);
    };
    stand.look("old", [], put);
    stand.look("new", [], put);
  }),
  change(
    "accept/record-saw-more-entries-at-the-same-time",
    (folder, stand) => {
      const { last, time } = headIn(folder);
      putRecord(folder, recordOf(folder, stand, { head: { seq: last.seq + 1, hash: "ab".repeat(32), time } }));
    },
    [],
  ),
  change(
    "accept/record-without-form-by-a-stranger",
    (folder, { world }) => {
      const key = keyFrom(world.random);
      putSigned(folder, `${deviceOf(key.publicKey)}-1`, "hello\n", key);
    },
    [],
  ),
  rule("reject/record-without-form-and-a-signature-of-something-else", ({ world, look }) => {
    const key = keyFrom(world.random);
    const name = `${deviceOf(key.publicKey)}-1`;
    const put = (folder: Folder): void => putSigned(folder, name, "hello\n", key, "something else\n");
    look("old", [`UNSIGNED ${name}`], put);
    look("new", [`UNSIGNED ${name}`], put);
  }),
  rule("reject/record-by-a-master-key", (stand) => {
    const { look, scene, world } = stand;
    const { record, key } = recordOf(world.folder, stand, {}, world.master);
    const expected = [`UNSIGNED ${deletionName(record)}`, `MISSING ${first(scene).seq}`];
    const put = (folder: Folder): void => {
      putRecord(folder, { record, key });
      folder.mail.delete(mailName(first(scene)));
    };
    look("old", expected, put);
    look("new", expected, put);
  }),
  rule("reject/record-number-0", (stand) => {
    const { look, scene, world } = stand;
    const { record, key } = recordOf(world.folder, stand);
    const put = (folder: Folder): void => {
      putSigned(
        folder,
        `${record.device}-0`,
        printDeletion(record)
          .toString()
          .replace(/^number .*$/m, "number 0"),
        key,
      );
      folder.mail.delete(mailName(first(scene)));
    };
    look("old", [`MISSING ${first(scene).seq}`], put);
    look("new", [`MISSING ${first(scene).seq}`], put);
  }),
  rule("reject/record-by-a-stranger-beside-a-fork", (stand) => {
    const { look, world } = stand;
    const forged = recordOf(world.folder, stand, {}, keyFrom(world.random));
    const put = (folder: Folder): void => {
      const { last, time } = headIn(folder);
      putRecord(folder, recordOf(folder, stand, { head: { ...last, hash: "ab".repeat(32), time } }));
      putRecord(folder, forged);
    };
    look("old", [`UNSIGNED ${deletionName(forged.record)}`, "DEVICE-FORK"], put);
    look("new", [`UNSIGNED ${deletionName(forged.record)}`, "DEVICE-FORK"], put);
  }),
  rule("reject/deleted-file-back-and-its-mark-filled", ({ scene: { removed }, look }) => {
    const { entry, bytes, record } = removed;
    const back = (folder: Folder): void => {
      folder.mail.set(mailName(entry), bytes);
      folder.del.set(doneName(record), Buffer.from("not empty"));
    };
    look("old", [`RESURRECTED ${entry.seq}`], back);
    look("new", [`RESURRECTED ${entry.seq}`], back);
  }),
  // Files.
  rule("accept/file-gone-600-seconds-before-its-expiry", ({ scene, world, look }) => {
    const entry = first(scene);
    const gone = (folder: Folder): void => {
      folder.mail.delete(mailName(entry));
      reheaded(folder, world, () => ({ time: entry.expiry - 600, next: entry.expiry - 300 }));
    };
    look("old", [], gone, entry.expiry - 600);
    look("new", [], gone, entry.expiry - 600);
  }),
  rule("reject/file-gone-601-seconds-before-its-expiry", ({ scene, world, look }) => {
    const entry = first(scene);
    const gone = (folder: Folder): void => {
      folder.mail.delete(mailName(entry));
      reheaded(folder, world, () => ({ time: entry.expiry - 601, next: entry.expiry - 301 }));
    };
    look("old", [`MISSING ${entry.seq}`], gone, entry.expiry - 601);
    look("new", [`MISSING ${entry.seq}`], gone, entry.expiry - 601);
  }),
  rule("reject/expired-file-back", ({ scene, world, look }) => {
    const [entry, bytes] = [first(scene), world.folder.mail.get(mailName(first(scene)))];
    world.advance(KEEP_SECONDS + 2 * 3600);
    look("old", []);
    const back = (folder: Folder): void => void folder.mail.set(mailName(entry), bytes ?? Buffer.alloc(0));
    look("old", [`RESURRECTED ${entry.seq}`], back);
    // For a device that comes now it is a file that was not removed yet.
    look("new", [], back);
  }),
  rule("reject/forged-file-after-900-seconds", ({ world, look }) => {
    putStranger(world.folder);
    const since = world.time;
    const at = (seconds: number) => (folder: Folder) =>
      reheaded(folder, world, () => ({ time: since + seconds, next: since + seconds + 300 }));
    look("old", [], at(0), since);
    look("old", [], at(899), since + 899);
    look("old", [`UNSIGNED ${strangerName}`], at(900), since + 900);
  }),
  rule("reject/forged-file-while-the-ledger-was-silent", ({ world, look }) => {
    putStranger(world.folder);
    const since = headIn(world.folder).next + 601;
    const at = (seconds: number) => (folder: Folder) =>
      reheaded(folder, world, () => ({ time: since + seconds, next: since + seconds + 300 }));
    look("old", [], undefined, world.time);
    look("old", ["STALE"], undefined, since);
    look("old", [], at(899), since + 899);
    look("old", [`UNSIGNED ${strangerName}`], at(900), since + 900);
  }),
];
