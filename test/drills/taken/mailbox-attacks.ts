/** What root on `fetch` does to a mailbox, and how it must be named by a device that knows it and by one that does not. */

import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { type DeletionRecord, deletionName, deviceOf, signDeletion } from "#core/mailbox/deletion.ts";
import { type Entry, mailName, printEntry } from "#core/mailbox/entry.ts";
import { signHead } from "#core/mailbox/head.ts";
import { parseSigners, printSigners, signersNamespace } from "#core/mailbox/signers.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { exec } from "#host/exec.ts";
import { lineOf } from "#test/owner.ts";
import { LiveMailbox, type MailboxScene, sha256 } from "./mailbox.ts";
import { domain } from "./scene.ts";

export interface Expected {
  /** `CODE` or `CODE SUBJECT`: each must be found, and nothing else. */
  readonly known: readonly string[];
  readonly fresh: readonly string[];
  /** What it must say besides: of the account, not of the mailbox. */
  readonly knownSays?: RegExp;
  /** Mails that a new device opens though another one removed them: docs/formats/mailbox-ledger.md, "What is not seen". */
  readonly freshOpensRemoved?: number;
}

export interface MailboxAttack {
  readonly what: string;
  /** Minutes by the devices' clocks after which it must be named; without it at once. */
  readonly minutes?: number;
  apply(scene: MailboxScene): Promise<Expected>;
}

const both = (...codes: string[]): Expected => ({ known: codes, fresh: codes });
const on = (code: string, ...entries: readonly Entry[]): string[] => entries.map(({ seq }) => `${code} ${seq}`);
const fileOf = (entry: Entry): string => `mail/${mailName(entry)}`;

function oldest({ present }: MailboxScene): Entry {
  const [entry] = present;
  if (entry === undefined) throw new RangeError("nothing is present");
  return entry;
}

function newest({ present }: MailboxScene): Entry {
  const entry = present.at(-1);
  if (entry === undefined) throw new RangeError("nothing is present");
  return entry;
}

function neighbour({ scene }: MailboxScene): LiveMailbox {
  return new LiveMailbox(scene, "bob");
}

/** What somebody without a key of the account can make that looks like a mail. */
const forged = Buffer.from(
  `age-encryption.org/v1\n-> X25519 ${"A".repeat(43)}\n${"B".repeat(43)}\n--- ${"C".repeat(43)}\nforged`,
);

/** Older than a device waits for a new file's entry, and not so old that the head is called old. */
const PAST_WAIT_MINUTES = 16;
const PAST_HEARTBEAT_MINUTES = 30;

export const mailboxAttacks: readonly MailboxAttack[] = [
  {
    what: "change a byte of a mail",
    async apply({ mailbox, unseen: [entry] }) {
      const bytes = await mailbox.read(fileOf(entry));
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await mailbox.put(fileOf(entry), bytes);
      return both(...on("MODIFIED", entry));
    },
  },
  {
    what: "put something else in a mail's place",
    async apply(scene) {
      const [entry] = scene.unseen;
      await scene.mailbox.put(fileOf(entry), forged);
      return both(...on("MODIFIED", entry));
    },
  },
  {
    what: "swap two genuine mails",
    async apply(scene) {
      const [a, b] = scene.unseen;
      const [first, second] = [await scene.mailbox.read(fileOf(a)), await scene.mailbox.read(fileOf(b))];
      await scene.mailbox.put(fileOf(a), second);
      await scene.mailbox.put(fileOf(b), first);
      return both(...on("MODIFIED", a, b));
    },
  },
  {
    what: "bring back a mail that its owner deleted",
    async apply({ mailbox, removed: [gone] }) {
      if (gone === undefined) throw new RangeError("nothing was removed");
      await mailbox.put(fileOf(gone.entry), gone.bytes);
      return both(...on("RESURRECTED", gone.entry));
    },
  },
  {
    what: "bring it back and drop the deletion record with its mark",
    async apply({ mailbox, removed: [gone, other], recordName }) {
      if (gone === undefined || other === undefined) throw new RangeError("nothing was removed");
      await mailbox.put(fileOf(gone.entry), gone.bytes);
      await mailbox.drop(`del/${recordName}`, `del/${recordName}.done`);
      // A new device can't know that this one was removed; that the record named another one gives it away.
      return { known: on("RESURRECTED", gone.entry), fresh: on("MISSING", other.entry), freshOpensRemoved: 1 };
    },
  },
  {
    what: "drop a deletion record",
    async apply({ mailbox, removed, recordName }) {
      await mailbox.drop(`del/${recordName}`, `del/${recordName}.done`);
      // Who saw that they are rightly gone needs no record any more.
      return { known: [], fresh: on("MISSING", ...removed.map(({ entry }) => entry)) };
    },
  },
  {
    what: "add a forged mail under an odd name",
    async apply({ mailbox }) {
      await mailbox.put("mail/invoice.age", forged);
      return both("UNSIGNED invoice.age");
    },
  },
  {
    what: "add a forged mail under a digest that is not its own",
    async apply({ mailbox }) {
      const name = `${"ab".repeat(32)}.age`;
      await mailbox.put(`mail/${name}`, forged);
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    what: "add a forged mail under its digest, and wait",
    minutes: PAST_WAIT_MINUTES,
    async apply({ mailbox }) {
      const name = `${sha256(forged)}.age`;
      await mailbox.put(`mail/${name}`, forged);
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    what: "add a forged mail with a forged next line, and wait",
    minutes: PAST_WAIT_MINUTES,
    async apply(scene) {
      const name = `${sha256(forged)}.age`;
      await scene.mailbox.put(`mail/${name}`, forged);
      const { last } = await scene.mailbox.head();
      const line = printEntry({
        ...newest(scene),
        seq: last.seq + 1,
        digest: sha256(forged),
        size: forged.length,
      }).trimEnd();
      await scene.mailbox.rewrite((lines) => [...lines, line]);
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    what: "put a forged mail and a forged line in the place of a genuine one",
    async apply(scene) {
      const entry = newest(scene);
      await scene.mailbox.put(`mail/${sha256(forged)}.age`, forged);
      await scene.mailbox.drop(fileOf(entry));
      const line = printEntry({ ...entry, digest: sha256(forged), size: forged.length }).trimEnd();
      await scene.mailbox.rewrite((lines) => lines.map((old) => (old.startsWith(`${entry.seq} `) ? line : old)));
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "delete the newest mail",
    async apply(scene) {
      await scene.mailbox.drop(fileOf(newest(scene)));
      return both(...on("MISSING", newest(scene)));
    },
  },
  {
    what: "delete the oldest mail",
    async apply(scene) {
      await scene.mailbox.drop(fileOf(oldest(scene)));
      return both(...on("MISSING", oldest(scene)));
    },
  },
  {
    what: "delete all mail",
    async apply({ mailbox, present }) {
      await mailbox.drop(...present.map(fileOf));
      return both(...on("MISSING", ...present));
    },
  },
  {
    what: "delete a mail with its line",
    async apply(scene) {
      const { seq } = newest(scene);
      await scene.mailbox.drop(fileOf(newest(scene)));
      await scene.mailbox.rewrite((lines) => lines.filter((line) => Number(line.split(" ")[0]) < seq));
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "delete a mail with its line and renumber the others",
    async apply(scene) {
      const { seq } = oldest(scene);
      await scene.mailbox.drop(fileOf(oldest(scene)));
      await scene.mailbox.rewrite((lines) =>
        lines.flatMap((line) => {
          const [number = "", ...rest] = line.split(" ");
          if (Number(number) === seq) return [];
          return [[Number(number) > seq ? Number(number) - 1 : number, ...rest].join(" ")];
        }),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "reorder two lines",
    async apply({ mailbox }) {
      await mailbox.rewrite((lines) => [...lines.slice(0, -2), ...lines.slice(-2).reverse()]);
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "alter the time of a delivery",
    async apply(scene) {
      const { seq, time } = newest(scene);
      await scene.mailbox.rewrite((lines) =>
        lines.map((line) => (line.startsWith(`${seq} `) ? line.replace(`${time}`, `${time + 1}`) : line)),
      );
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "let a mail expire early, in its line and in truth",
    async apply(scene) {
      const entry = oldest(scene);
      await scene.mailbox.drop(fileOf(entry));
      const line = printEntry({ ...entry, expiry: entry.time + 1 }).trimEnd();
      await scene.mailbox.rewrite((lines) => lines.map((old) => (old.startsWith(`${entry.seq} `) ? line : old)));
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "drop the entries",
    async apply({ mailbox }) {
      await mailbox.drop("ledger/entries");
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "roll the whole mailbox back",
    minutes: PAST_HEARTBEAT_MINUTES,
    async apply({ mailbox, past }) {
      await mailbox.restoreFrom(past);
      return { known: ["ROLLBACK", "STALE"], fresh: ["STALE"] };
    },
  },
  {
    what: "hold back the newest mail, with head and lines of before",
    minutes: PAST_HEARTBEAT_MINUTES,
    async apply({ mailbox, past, present }) {
      const cut = await pastLast(past);
      for (const file of ["head", "entries"])
        await exec("cp", [`${past}/ledger/${file}`, `${mailbox.path}/ledger/${file}`]);
      await mailbox.drop(...present.filter(({ seq }) => seq > cut).map(fileOf));
      return { known: ["ROLLBACK", "STALE"], fresh: ["STALE"] };
    },
  },
  {
    what: "roll the mailbox back within a quarter of an hour",
    async apply({ mailbox, past }) {
      await mailbox.restoreFrom(past);
      // A new device's first view may be so old: docs/formats/mailbox-ledger.md, "What is not seen".
      return { known: ["ROLLBACK"], fresh: [] };
    },
  },
  {
    what: "freeze the head",
    minutes: PAST_HEARTBEAT_MINUTES,
    apply: async () => both("STALE"),
  },
  {
    what: "delete a mail and forge a deletion record for it",
    async apply(scene) {
      const gone = newest(scene);
      const { thief } = scene.scene;
      const device = deviceOf(thief.publicKey);
      const { last, time } = await scene.mailbox.head();
      const { name, bytes } = recordBy(scene, { device, number: 1, head: { ...last, time } }, [gone]);
      await scene.mailbox.put(`del/${name}`, bytes);
      await scene.mailbox.drop(fileOf(gone));
      return both(`UNSIGNED ${name}`, ...on("MISSING", gone));
    },
  },
  {
    what: "let a genuine deletion record name another mail",
    async apply(scene) {
      const { mailbox, record, recordName, removed } = scene;
      const gone = newest(scene);
      const [first] = record.deleted;
      const text = (await mailbox.read(`del/${recordName}`)).toString("latin1");
      const changed = text.replace(`\n${first?.seq} ${first?.digest}\n`, `\n${gone.seq} ${gone.digest}\n`);
      await mailbox.put(`del/${recordName}`, changed);
      await mailbox.drop(fileOf(gone));
      const named = [`UNSIGNED ${recordName}`, ...on("MISSING", gone)];
      return { known: named, fresh: [...named, ...on("MISSING", ...removed.map(({ entry }) => entry))] };
    },
  },
  {
    what: "replay a deletion record under another number",
    async apply({ mailbox, record, recordName }) {
      const name = deletionName({ ...record, number: record.number + 500 });
      await mailbox.put(`del/${name}`, await mailbox.read(`del/${recordName}`));
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    what: "serve another account's mailbox",
    async apply(scene) {
      const other = neighbour(scene);
      for (const part of ["ledger", "mail", "del"]) {
        const files = await Promise.all(
          (await other.names(part)).map(async (name) => ({ name, bytes: await other.read(`${part}/${name}`) })),
        );
        const owned = await scene.mailbox.names(part);
        for (const { name, bytes } of files) await scene.mailbox.put(`${part}/${name}`, bytes);
        const foreign = owned.filter((name) => !files.some((file) => file.name === name));
        await scene.mailbox.drop(...foreign.map((name) => `${part}/${name}`));
      }
      return both("WRONG-MAILBOX");
    },
  },
  {
    what: "show another account's head",
    async apply(scene) {
      await scene.mailbox.put("ledger/head", await neighbour(scene).read("ledger/head"));
      return both("WRONG-MAILBOX");
    },
  },
  {
    what: "sign a head with another key",
    async apply({ mailbox, scene: { thief } }) {
      await mailbox.put("ledger/head", signHead(await mailbox.head(), thief));
      return both("BAD-HEAD");
    },
  },
  {
    what: "sign a head with another key, and list that key",
    async apply({ mailbox, scene: { thief } }) {
      const list = parseSigners(splitSigned(await mailbox.read("ledger/signers"), 65_536).body);
      const signers = list.signers.map((signer) => ({ ...signer, key: lineOf(thief) })).slice(-1);
      const body = printSigners({ ...list, signers });
      const signature = signMessage(thief, signersNamespace(domain), body);
      await mailbox.put("ledger/signers", joinSigned({ body, signatures: [signature] }));
      await mailbox.put("ledger/head", signHead(await mailbox.head(), thief));
      return both("BAD-HEAD");
    },
  },
  {
    what: "change the head",
    async apply({ mailbox }) {
      const text = (await mailbox.read("ledger/head")).toString("latin1");
      await mailbox.put(
        "ledger/head",
        text.replace(/^next (\d+)$/m, (_, next) => `next ${Number(next) - 1}`),
      );
      return both("BAD-HEAD");
    },
  },
  {
    what: "drop the list of signers",
    async apply({ mailbox }) {
      await mailbox.drop("ledger/signers");
      return both("BAD-HEAD");
    },
  },
  {
    what: "drop the head",
    async apply({ mailbox }) {
      await mailbox.drop("ledger/head");
      return both("BAD-HEAD");
    },
  },
  {
    what: "withhold a newer state of the account",
    async apply({ mailbox, olderChain }) {
      await mailbox.put("account/chain", olderChain);
      return { known: [], knownSays: /ROLLBACK/, fresh: ["STATE-WITHHELD"] };
    },
  },
  {
    what: "put a pipe in a mail's place",
    async apply({ mailbox, unseen: [entry] }) {
      await mailbox.drop(fileOf(entry));
      await exec("mkfifo", [`${mailbox.path}/${fileOf(entry)}`]);
      return both(...on("MODIFIED", entry));
    },
  },
  {
    what: "add a pipe under the name of a mail, which waits for ever for whoever opens it",
    async apply({ mailbox }) {
      const name = `${"ab".repeat(32)}.age`;
      await exec("mkfifo", [`${mailbox.path}/mail/${name}`]);
      return both(`UNSIGNED ${name}`);
    },
  },
  {
    what: "put a folder in the head's place",
    async apply({ mailbox }) {
      await mailbox.drop("ledger/head");
      await mkdir(`${mailbox.path}/ledger/head`);
      return both("BAD-HEAD");
    },
  },
  {
    what: "let nobody read the head",
    async apply({ mailbox }) {
      await withdraw(mailbox, "ledger/head");
      return both("BAD-HEAD");
    },
  },
  {
    what: "let nobody read the entries",
    async apply({ mailbox }) {
      await withdraw(mailbox, "ledger/entries");
      return both("LEDGER-BROKEN");
    },
  },
  {
    what: "let nobody read a deletion record",
    async apply({ mailbox, recordName, removed }) {
      await withdraw(mailbox, `del/${recordName}`);
      return { known: [], fresh: on("MISSING", ...removed.map(({ entry }) => entry)) };
    },
  },
  {
    what: "take the folder of mail away",
    async apply({ mailbox, present }) {
      await rm(`${mailbox.path}/mail`, { recursive: true });
      return both(...on("MISSING", ...present));
    },
  },
  {
    what: "drop everything, and wait",
    // Of an account that is quite new nobody can tell whether mail has come before.
    minutes: PAST_WAIT_MINUTES,
    async apply({ mailbox }) {
      for (const part of ["mail", "del", "ledger"]) {
        for (const name of await mailbox.names(part)) await rm(`${mailbox.path}/${part}/${name}`);
      }
      return both("BAD-HEAD");
    },
  },
];

/** Its owner and mode say that it is root's alone. */
async function withdraw({ path }: LiveMailbox, file: string): Promise<void> {
  await chown(`${path}/${file}`, 0, 0);
  await chmod(`${path}/${file}`, 0);
}

async function pastLast(past: string): Promise<number> {
  const { stdout } = await exec("sed", ["-n", "s/^last \\([0-9]*\\) .*/\\1/p", `${past}/ledger/head`]);
  return Number(stdout.toString("latin1").trim());
}

function recordBy(
  { record, scene: { thief } }: MailboxScene,
  changes: Pick<DeletionRecord, "device" | "number" | "head">,
  deleted: readonly Entry[],
): { name: string; bytes: Buffer } {
  const forgedRecord = { ...record, ...changes, deleted: deleted.map(({ seq, digest }) => ({ seq, digest })) };
  return { name: deletionName(forgedRecord), bytes: signDeletion(forgedRecord, domain, thief) };
}
