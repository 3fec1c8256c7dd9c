/** One mailbox as root on `fetch` has it in hand, and the two devices that look at it afterwards. */

import { createHash } from "node:crypto";
import { chmod, chown, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { splitSigned } from "#core/account/signed-text.ts";
import { type DeletionRecord, parseDeletion } from "#core/mailbox/deletion.ts";
import { parseEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { type Head, parseHead } from "#core/mailbox/head.ts";
import { MAX_STATE_LAG_SECONDS } from "#core/mailbox/judge-head.ts";
import { cellPlaces, networkFolder } from "#fleet/cell/places.ts";
import { exec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { receivedBy, sendRaw, untilAllArrived } from "#test/flows/mail-flow.ts";
import { until } from "#test/until.ts";
import { asPerson } from "#test/world/stage.ts";
import { domain, handIn, must, nextHonest, type Scene, standingAt, untilSame } from "./scene.ts";

/** A folder on `fetch`, with root's hands: owners stay what they were, as a careful attacker would see to. */
export class LiveMailbox {
  /** On the host; on the machine it is `/srv/mail/NAME`. */
  readonly path: string;

  constructor(scene: Scene, name: string) {
    const { fleet } = scene.stage;
    this.path = join(cellPlaces(fleet.name, `${fleet.live}-fetch`).keep, "srv_mail", name);
  }

  async read(file: string): Promise<Buffer> {
    return await readFile(join(this.path, file));
  }

  async names(folder: string): Promise<string[]> {
    return (await readdir(join(this.path, folder))).sort();
  }

  /** Replaces a file, or adds one that looks like its neighbours. */
  async put(file: string, bytes: Uint8Array | string): Promise<void> {
    const path = join(this.path, file);
    const isThere = await exists(path);
    const [neighbour] = isThere ? [basename(path)] : await readdir(dirname(path));
    const { uid, gid, mode } = await stat(neighbour === undefined ? dirname(path) : join(dirname(path), neighbour));
    await rm(path, { force: true });
    await writeFile(path, bytes);
    await chown(path, uid, gid);
    await chmod(path, neighbour === undefined ? 0o400 : mode & 0o7777);
  }

  async drop(...files: readonly string[]): Promise<void> {
    for (const file of files) await rm(join(this.path, file));
  }

  async head(): Promise<Head> {
    return parseHead(splitSigned(await this.read("ledger/head"), 4096).body);
  }

  /** Entries behind the base. */
  async live(): Promise<Entry[]> {
    const { base } = await this.head();
    return parseEntries(await this.read("ledger/entries"), Number.MAX_SAFE_INTEGER).filter(({ seq }) => seq > base.seq);
  }

  /** Replaces each line of the entries, without its line end. */
  async rewrite(change: (lines: string[]) => string[]): Promise<void> {
    const lines = (await this.read("ledger/entries")).toString("latin1").split("\n").slice(0, -1);
    await this.put(
      "ledger/entries",
      change(lines)
        .map((line) => `${line}\n`)
        .join(""),
    );
  }

  /** All of it, beside: owners, modes and times too. */
  async copyTo(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    await exec("cp", ["-a", this.path, folder]);
  }

  /** Makes it what it was. */
  async restoreFrom(folder: string): Promise<void> {
    for (const part of ["mail", "ledger", "del", "account"]) {
      await exec("rsync", ["-a", "--delete", "--inplace", "--checksum", `${folder}/${part}/`, `${this.path}/${part}/`]);
    }
  }
}

/** What a device said of the mailbox in one look at it. */
export interface Look {
  status: number | null;
  /** `CODE`, or `CODE SUBJECT` where it is about an entry or a file; sorted. */
  findings: string[];
  /** Mails that it opened and stored. */
  stored: number;
  said: string;
}

/** A device of alice's: the one that knows the mailbox, or one that has never seen it. */
export interface Device {
  look(minutesLater?: number): Promise<Look>;
}

/** A quiet mailbox with one of everything that attacks are about. */
export interface MailboxScene {
  scene: Scene;
  mailbox: LiveMailbox;
  /** What it was some deliveries ago. */
  past: string;
  /** What it was before any attack. */
  honest: string;
  /** What `account/chain` was before the account was changed, if it was. */
  olderChain: Buffer;
  /** Files that are there and that no device removed, in order. */
  present: readonly Entry[];
  /** The last two of them: deliveries that no device has fetched yet. */
  unseen: readonly [Entry, Entry];
  /** Files that a device removed with one record, and their bytes. */
  removed: readonly { entry: Entry; bytes: Buffer }[];
  /** Name in `del/`. */
  recordName: string;
  record: DeletionRecord;
  /** Remembers. Each look continues the last one. */
  known: Device;
  /** Forgets everything before each attack. */
  fresh: Device;
}

const knownState = ".local/state";
const freshState = "fresh/state";

/** Where copies of a mailbox are kept; it goes with the stage at the latest. */
export function placeFor({ stage }: Scene, copy = ""): string {
  return join(networkFolder(stage.world), "mailbox", copy);
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function letter(subject: string): Buffer {
  return Buffer.from(`From: carol@post.example\r\nSubject: ${subject}\r\n\r\nHello\r\n.\r\n`);
}

async function deliver(scene: Scene, ...subjects: readonly string[]): Promise<void> {
  for (const subject of subjects) {
    await sendRaw(scene.stage, { from: "<carol@post.example>", to: [`alice@${domain}`], data: letter(subject) });
  }
  await untilAllArrived(scene.stage);
}

async function changeAccount(scene: Scene): Promise<void> {
  const answer = await handIn(scene, "alice", nextHonest(scene.alice, await standingAt(scene, "keys", "alice")));
  if (answer?.code !== "ACCEPTED") throw new Error(`an honest change was answered ${answer?.code}`);
  await untilSame(scene, "alice");
}

/**
 * Alice has used the mailbox; then the ledger is silent, so that nobody but the attacker changes it.
 * @param changesAccount whether she has changed her account, a good minute before the last deliveries
 */
export async function openMailboxScene(scene: Scene, changesAccount = false): Promise<MailboxScene> {
  const { stage } = scene;
  const mailbox = new LiveMailbox(scene, "alice");
  // What earlier attempts left.
  await receivedBy(stage, "alice");
  await sendRaw(stage, { from: "<carol@post.example>", to: [`bob@${domain}`], data: letter("to bob") });
  const olderChain = await mailbox.read("account/chain");
  const changed = performance.now();
  if (changesAccount) await changeAccount(scene);
  await until("a first head", async () => await exists(join(mailbox.path, "ledger/head")));
  const last = (await mailbox.head()).last.seq;
  const headNames = async (count: number): Promise<void> => {
    await until(`a head that names ${count} more`, async () => (await mailbox.head()).last.seq >= last + count);
  };
  await deliver(scene, "one", "two", "three");
  await headNames(3);
  await stage.as("alice", "shoal sync --keep");
  await exec("mkdir", ["-p", placeFor(scene)]);
  const past = placeFor(scene, "past");
  await mailbox.copyTo(past);

  await deliver(scene, "four", "five", "six");
  await headNames(6);
  const entries = (await mailbox.live()).filter(({ seq }) => seq > last);
  const doomed = entries.slice(1, 3);
  const removed = await Promise.all(
    doomed.map(async (entry) => ({ entry, bytes: await mailbox.read(`mail/${mailName(entry)}`) })),
  );
  const before = new Set(await mailbox.names("del"));
  await stage.as("alice", `shoal sync --keep && shoal delete ${doomed.map(({ seq }) => `@${seq}`).join(" ")}`);
  const recordName = (await mailbox.names("del")).find((name) => !before.has(name) && !name.endsWith(".done"));
  if (recordName === undefined) throw new Error("there is no record of what was deleted");
  const { body } = splitSigned(await mailbox.read(`del/${recordName}`), 1 << 20);
  await stage.as("alice", "shoal sync --keep");
  // A head that names a state so long after its acceptance proves that fetch hides it, and is not just late.
  const waited = (performance.now() - changed) / 1000;
  if (changesAccount) await sleep(Math.max(0, MAX_STATE_LAG_SECONDS + 5 - waited) * 1000);
  await deliver(scene, "seven", "eight");
  await headNames(8);
  const unseen = (await mailbox.live()).slice(-2);
  const [first, second] = unseen;
  if (first === undefined || second === undefined) throw new Error("the last two deliveries have no entries");
  await must(stage.exec("ledger", ["sv", "-w", "10", "down", "/etc/service/ledger"]));
  const honest = placeFor(scene, "honest");
  await mailbox.copyTo(honest);
  await stage.as("alice", `rm -rf saved-state && cp -a ${knownState} saved-state`);
  return {
    scene,
    mailbox,
    past,
    honest,
    olderChain,
    present: [...entries.filter((entry) => !doomed.includes(entry)), ...unseen],
    unseen: [first, second],
    removed,
    recordName,
    record: parseDeletion(body),
    known: { look: (minutes) => look(scene, knownState, minutes) },
    fresh: { look: (minutes) => look(scene, freshState, minutes) },
  };
}

/** Folder and devices are as they were before the attack. */
export async function restoreHonest({ scene, mailbox, honest }: MailboxScene): Promise<void> {
  await mailbox.restoreFrom(honest);
  await scene.stage.as("alice", `rm -rf ${knownState} fresh && cp -a saved-state ${knownState} && mkdir -p fresh`);
}

export async function closeMailboxScene(it: MailboxScene): Promise<void> {
  await restoreHonest(it);
  await must(it.scene.stage.exec("ledger", ["sv", "up", "/etc/service/ledger"]));
  await rm(placeFor(it.scene), { recursive: true, force: true });
}

/** A device keeps what it remembers in its state folder; keys and profile are the same. */
async function look(scene: Scene, state: string, minutesLater = 0): Promise<Look> {
  const clock = minutesLater === 0 ? "" : `faketime -f +${minutesLater}m `;
  const command = `XDG_STATE_HOME=$HOME/${state} ${clock}shoal sync --keep --json`;
  const result = await scene.stage.exec("user", asPerson("alice", command));
  const said = `${result.stdout.toString("utf8")}${result.stderr}`;
  const line = result.stdout.toString("utf8").trim().split("\n").at(-1) ?? "";
  if (!line.startsWith("{")) return { status: result.status, findings: [], stored: 0, said };
  const { findings = [], stored } = JSON.parse(line) as {
    findings?: { code: string; seq?: number; file?: string }[];
    stored: number;
  };
  const words = findings.map(({ code, seq, file }) =>
    [code, seq ?? file].filter((part) => part !== undefined).join(" "),
  );
  return { status: result.status, findings: words.sort(), stored, said };
}
