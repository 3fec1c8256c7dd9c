/** What liars make of a bundle, and the code of the first thing that does not hold. */

import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { printChain } from "#core/account/chain.ts";
import type { Bundle } from "#core/mailbox/bundle.ts";
import { type DeletionRecord, deletionName, deviceOf, signDeletion } from "#core/mailbox/deletion.ts";
import { parseEntries, printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { headNamespace, parseSigners } from "#core/mailbox/signers.ts";
import { type Head, parseHead, signHead } from "#core/mailbox/head.ts";
import { signMessage } from "#core/ssh/sign.ts";
import type { Scene } from "#test/mailbox/attacks.ts";
import { DOMAIN } from "#test/mailbox/fetch.ts";
import { HonestWorld, keyFrom } from "#test/mailbox/honest-world.ts";
import { lineOf, nextState, signState } from "#test/owner.ts";
import { bundleOf, bytesOf, scene } from "./bundles.ts";
import { tarAttacks } from "./tar-attacks.ts";

interface Ground {
  readonly scene: Scene;
  /** Of the whole mailbox. */
  readonly whole: Bundle;
  /** About the third mail that is there. */
  readonly one: Bundle;
  readonly head: Head;
}

type Attack = (ground: Ground) => Bundle;

const text = (value: string): Buffer => Buffer.from(value, "latin1");

function edited(bytes: Buffer, from: RegExp | string, to: string): Buffer {
  const before = bytes.toString("latin1");
  const after = before.replace(from, to);
  if (after === before) throw new RangeError(`nothing to replace: ${String(from)}`);
  return text(after);
}

function signed(ground: Ground, changes: Partial<Head>, key = ground.scene.world.signer): Buffer {
  return signHead({ ...ground.head, ...changes }, key);
}

/** A record by a device, or whoever has the key. */
function record(ground: Ground, key: ReturnType<typeof keyFrom>, changes: Partial<DeletionRecord>): Bundle["records"] {
  const { head, scene: of } = ground;
  const made: DeletionRecord = {
    account: head.account,
    device: deviceOf(key.publicKey),
    number: 77,
    time: head.time,
    head: { ...head.last, time: head.time },
    deleted: [of.removed.entry],
    ...changes,
  };
  return [{ name: deletionName(made), bytes: signDeletion(made, head.domain, key) }];
}

function device({ scene: { world } }: Ground): ReturnType<typeof keyFrom> {
  const [one] = world.devices;
  if (one === undefined) throw new RangeError("no device");
  return one.key;
}

/** Another account whose heads the same ledger signs, by the same list. */
function neighbour({ scene: { world } }: Ground): { world: HonestWorld; bundle: Bundle } {
  const other = new HonestWorld(4711, world.time - 7200);
  Object.assign(other, { root: world.root, signer: world.signer, signerList: world.signerList });
  other.folder.signers = world.folder.signers;
  other.advance(7200);
  other.deliverNow();
  return { world: other, bundle: bundleOf(other) };
}

/** The bundle of the account after one more version, which the head does not name. */
function laterVersion({ scene: { world } }: Ground): Buffer {
  const state = nextState(world.standing, { time: world.time });
  return printChain([...world.versions, { accepted: world.time, signed: signState(state, [world.master]) }]);
}

function mailSwapped({ whole }: Ground): Bundle {
  const [a, b, ...rest] = whole.mail;
  if (a === undefined || b === undefined) throw new RangeError("no mail");
  return { ...whole, mail: [{ ...a, bytes: b.bytes }, { ...b, bytes: a.bytes }, ...rest] };
}

function withMail({ whole }: Ground, change: (bytes: Buffer) => Buffer): Bundle {
  const [a, ...rest] = whole.mail;
  if (a === undefined) throw new RangeError("no mail");
  return { ...whole, mail: [{ ...a, bytes: change(Buffer.from(a.bytes)) }, ...rest] };
}

function withEntries({ whole }: Ground, change: (entries: Entry[]) => Entry[]): Bundle {
  return { ...whole, entries: printEntries(change(parseEntries(whole.entries, Number.MAX_SAFE_INTEGER))) };
}

const withHead = ({ whole }: Ground, head: Buffer, time = whole.time): Bundle => ({ ...whole, head, time });

const attacks: readonly (readonly [name: string, code: string, attack: Attack])[] = [
  // The guide.
  ["guide-of-another-account", "ACCOUNT", (g) => ({ ...g.whole, guide: neighbour(g).bundle.guide })],
  ["guide-of-another-domain", "NAMESPACE", (g) => ({ ...g.whole, guide: { ...g.whole.guide, domain: "example.net" } })],
  [
    "from-with-another-hash",
    "PREV",
    ({ one }) => ({ ...one, guide: { ...one.guide, from: { ...one.guide.from, hash: "0".repeat(64) } } }),
  ],
  [
    "from-one-number-before",
    "PREV",
    ({ one }) => ({ ...one, guide: { ...one.guide, from: { ...one.guide.from, seq: one.guide.from.seq - 1 } } }),
  ],
  [
    "about-another-digest",
    "DIGEST",
    ({ one }) => ({ ...one, guide: { ...one.guide, about: one.guide.about.map((e) => ({ ...e, digest: "0".repeat(64) })) } }),
  ],
  [
    "about-what-is-behind-the-head",
    "DIGEST",
    ({ one }) => ({ ...one, guide: { ...one.guide, about: one.guide.about.map((e) => ({ ...e, seq: e.seq + 1000 })) } }),
  ],
  // The account.
  ["chain-of-another-account", "ACCOUNT", (g) => ({ ...g.whole, chain: neighbour(g).bundle.chain })],
  ["chain-empty", "ACCOUNT", ({ whole }) => ({ ...whole, chain: Buffer.alloc(0) })],
  [
    "chain-without-its-last-version",
    "VERSION",
    (g) => ({ ...g.whole, chain: printChain(g.scene.world.versions.slice(0, -1)) }),
  ],
  ["chain-with-a-version-that-the-head-does-not-name", "VERSION", (g) => ({ ...g.whole, chain: laterVersion(g) })],
  [
    "chain-with-another-last-version",
    "FORK",
    (g) => {
      const { world } = g.scene;
      const versions = world.versions.slice(0, -1);
      const [before] = versions;
      if (before === undefined) throw new RangeError("one version only");
      const { body } = splitSigned(world.versions.at(-1)?.signed ?? Buffer.alloc(0), 65_536);
      const other = edited(body, /^time ([0-9]+)$/m, `time ${world.standing.state.time + 1}`);
      const signature = signMessage(world.master, `account-state.v1@${DOMAIN}`, other);
      const accepted = world.standing.accepted;
      return {
        ...g.whole,
        chain: printChain([...versions, { accepted, signed: joinSigned({ body: other, signatures: [signature] }) }]),
      };
    },
  ],
  ["chain-cut", "CHAIN", ({ whole }) => ({ ...whole, chain: whole.chain.subarray(0, -40) })],
  [
    "chain-signed-by-a-stranger",
    "SIGNER",
    (g) => {
      const { world } = g.scene;
      const { body } = splitSigned(world.versions.at(-1)?.signed ?? Buffer.alloc(0), 65_536);
      const signature = signMessage(keyFrom(world.random), `account-state.v1@${DOMAIN}`, body);
      const accepted = world.standing.accepted;
      const last = { accepted, signed: joinSigned({ body, signatures: [signature] }) };
      return { ...g.whole, chain: printChain([...world.versions.slice(0, -1), last]) };
    },
  ],
  // Who may sign heads.
  [
    "signers-by-another-root",
    "SIGNER",
    (g) => ({ ...g.whole, signers: g.scene.world.signedSigners(g.scene.world.signerList, keyFrom(g.scene.world.random)) }),
  ],
  [
    "signers-with-a-key-more",
    "SIGNATURE",
    (g) => {
      const { body, signatures } = splitSigned(g.whole.signers, 65_536);
      const own = parseSigners(body).signers[0]?.key ?? "";
      return {
        ...g.whole,
        signers: joinSigned({ body: edited(body, own, lineOf(keyFrom(g.scene.world.random))), signatures: [...signatures] }),
      };
    },
  ],
  [
    "head-by-an-expired-signer",
    "SIGNER",
    (g) => {
      const until = Math.max(...g.scene.world.signerList.signers.map((signer) => signer.until));
      return withHead(g, signed(g, { time: until + 1, next: until + 300 }), until + 1);
    },
  ],
  [
    "head-before-its-signer",
    "SIGNER",
    (g) => {
      const from = Math.min(...g.scene.world.signerList.signers.map((signer) => signer.from));
      return withHead(g, signed(g, { time: from - 1, next: from + 300 }), from - 1);
    },
  ],
  // The head.
  ["head-of-another-account", "ACCOUNT", (g) => withHead(g, neighbour(g).bundle.head, neighbour(g).bundle.time)],
  ["head-by-a-device", "SIGNER", (g) => withHead(g, signed(g, {}, device(g)))],
  ["head-by-the-root", "SIGNER", (g) => withHead(g, signed(g, {}, g.scene.world.root))],
  ["head-changed", "SIGNATURE", (g) => withHead(g, edited(g.whole.head, /^last ([0-9])/m, "last 1$1"))],
  [
    "head-signed-for-another-use",
    "NAMESPACE",
    (g) => {
      const { body } = splitSigned(g.whole.head, 2048);
      const other = headNamespace(DOMAIN).replace("head", "list");
      return withHead(g, joinSigned({ body, signatures: [signMessage(g.scene.world.signer, other, body)] }));
    },
  ],
  [
    "head-signed-twice",
    "SIGNED",
    (g) => {
      const { body, signatures } = splitSigned(g.whole.head, 2048);
      return withHead(g, joinSigned({ body, signatures: [...signatures, ...signatures] }));
    },
  ],
  ["head-with-a-byte-behind-it", "SIGNED", (g) => withHead(g, Buffer.concat([g.whole.head, text("\n")]))],
  ["files-of-another-time", "BUNDLE", (g) => ({ ...g.whole, time: g.whole.time + 1 })],
  // The entries.
  ["entries-cut-at-the-end", "PREV", (g) => withEntries(g, (all) => all.slice(0, -1))],
  ["entries-cut-at-the-front", "PREV", (g) => withEntries(g, (all) => all.slice(1))],
  ["entries-with-a-gap", "LEDGER", (g) => withEntries(g, (all) => all.filter((_, index) => index !== 2))],
  ["entries-empty", "PREV", ({ whole }) => ({ ...whole, entries: Buffer.alloc(0) })],
  [
    "entry-with-another-time",
    "PREV",
    (g) => withEntries(g, (all) => all.map((e, index) => (index === all.length - 1 ? { ...e, time: e.time + 1 } : e))),
  ],
  [
    "entry-with-another-digest",
    "PREV",
    (g) => withEntries(g, (all) => all.map((e, index) => (index === 1 ? { ...e, digest: "0".repeat(64) } : e))),
  ],
  [
    "two-entries-exchanged",
    "PREV",
    (g) =>
      withEntries(g, ([a, b, ...rest]) =>
        a === undefined || b === undefined
          ? []
          : [{ ...b, seq: a.seq, time: a.time, expiry: a.expiry }, { ...a, seq: b.seq, time: b.time, expiry: b.expiry }, ...rest],
      ),
  ],
  [
    "entry-behind-the-head",
    "LEDGER",
    (g) => ({ ...g.whole, entries: Buffer.concat([g.whole.entries, text(g.scene.world.nextLine("0".repeat(64), 5))]) }),
  ],
  ["entries-with-half-a-line", "LEDGER", ({ whole }) => ({ ...whole, entries: Buffer.concat([whole.entries, text("8 ")]) })],
  ["entries-without-the-last-line-end", "LEDGER", ({ whole }) => ({ ...whole, entries: whole.entries.subarray(0, -1) })],
  // Deletion records.
  ["record-by-a-stranger", "SIGNER", (g) => ({ ...g.whole, records: record(g, keyFrom(g.scene.world.random), {}) })],
  ["record-changed", "SIGNATURE", ({ whole }) => ({
    ...whole,
    records: whole.records.map(({ name, bytes }) => ({ name, bytes: edited(bytes, /^time 1/m, "time 2") })),
  })],
  ["record-renamed", "BUNDLE", ({ whole }) => ({
    ...whole,
    records: whole.records.map(({ name, bytes }) => ({ name: `${name}9`, bytes })),
  })],
  ["record-cut", "SIGNED", ({ whole }) => ({
    ...whole,
    records: whole.records.map(({ name, bytes }) => ({ name, bytes: bytes.subarray(0, -30) })),
  })],
  ["record-of-another-account", "ACCOUNT", (g) => ({
    ...g.whole,
    records: record(g, device(g), { account: neighbour(g).world.standing.id }),
  })],
  ["record-of-another-history", "FORK", (g) => ({
    ...g.whole,
    records: record(g, device(g), { head: { ...g.head.last, hash: "0".repeat(64), time: g.head.time } }),
  })],
  ["record-of-another-file", "FORK", (g) => ({
    ...g.whole,
    records: record(g, device(g), { deleted: [{ seq: g.scene.removed.entry.seq, digest: "0".repeat(64) }] }),
  })],
  ["record-of-another-file-that-it-is-not-about", "FORK", (g) => ({
    ...g.one,
    records: record(g, device(g), { deleted: [...g.one.guide.about, { seq: g.head.last.seq, digest: "0".repeat(64) }] }),
  })],
  ["record-of-no-matter", "BUNDLE", (g) => ({ ...g.one, records: record(g, device(g), {}) })],
  ["records-out-of-order", "BUNDLE", (g) => ({
    ...g.whole,
    records: [...record(g, device(g), { number: 8 }), ...record(g, device(g), { number: 7 })],
  })],
  ["record-twice", "BUNDLE", ({ whole }) => ({ ...whole, records: [...whole.records, ...whole.records] })],
  ["record-with-its-mark", "BUNDLE", ({ whole }) => ({
    ...whole,
    records: whole.records.flatMap((one) => [one, { name: `${one.name}.done`, bytes: Buffer.alloc(0) }]),
  })],
  // Sealed files.
  ["two-mails-swapped", "DIGEST", mailSwapped],
  ["mail-with-another-byte", "DIGEST", (g) => withMail(g, (bytes) => bytes.fill(bytes.readUInt8(0) ^ 1, 0, 1))],
  ["mail-with-a-byte-more", "DIGEST", (g) => withMail(g, (bytes) => Buffer.concat([bytes, Buffer.of(0)]))],
  ["mail-emptied", "DIGEST", (g) => withMail(g, () => Buffer.alloc(0))],
  ["mail-that-it-is-not-about", "BUNDLE", (g) => ({ ...g.one, mail: g.whole.mail.slice(0, 1) })],
  ["mail-that-was-never-delivered", "BUNDLE", (g) => ({
    ...g.whole,
    mail: [...g.whole.mail, { name: mailName({ digest: "f".repeat(64) }), bytes: text("?") }],
  })],
  ["mail-twice", "BUNDLE", ({ whole }) => ({ ...whole, mail: whole.mail.flatMap((one) => [one, one]) })],
  ["mails-out-of-order", "BUNDLE", ({ whole }) => ({ ...whole, mail: whole.mail.toReversed() })],
  ["mail-with-an-upper-case-name", "BUNDLE", ({ whole }) => ({
    ...whole,
    mail: whole.mail.map(({ name, bytes }) => ({ name: name.toUpperCase(), bytes })),
  })],
  ["mail-with-a-path-in-its-name", "BUNDLE", ({ whole }) => ({
    ...whole,
    mail: whole.mail.map(({ name, bytes }) => ({ name: `../${name}`, bytes })),
  })],
];

/** Code and bytes by name. The reader expects the account of {@link scene}, and trusts its root. */
export function refusedBundles(): Map<string, { code: string; bytes: Buffer }> {
  const made = new Map<string, { code: string; bytes: Buffer }>();
  for (const [name, code, attack] of attacks) {
    const honest = scene();
    const { world, present } = honest;
    const whole = bundleOf(world);
    const [, , third] = present;
    const ground: Ground = {
      scene: honest,
      whole,
      one: bundleOf(world, third === undefined ? [] : [third]),
      head: parseHead(splitSigned(whole.head, 2048).body),
    };
    made.set(name, { code, bytes: bytesOf(attack(ground)) });
  }
  const { world } = scene();
  for (const [name, code, attack] of tarAttacks) made.set(name, { code, bytes: attack(bytesOf(bundleOf(world))) });
  return made;
}
