/** Bundles of honest mailboxes, and what the vectors are made of. */

import { isGenuine } from "#core/mailbox/audit.ts";
import { type Bundle, parseBundle, printBundle } from "#core/mailbox/bundle.ts";
import { makeBundle } from "#core/mailbox/bundle-make.ts";
import { type Proof, verifyBundle } from "#core/mailbox/bundle-verify.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { lineOf } from "#test/owner.ts";
import { sha256, shownBy } from "#test/mailbox/fetch.ts";
import type { HonestWorld } from "#test/mailbox/honest-world.ts";
import { auditFolder, sceneOf } from "#test/mailbox/scene.ts";
import type { Scene } from "#test/mailbox/attacks.ts";

const SEED = 11;

/** A mailbox with two devices, some mail, and two entries that one of the devices removed. */
export function scene(): Scene {
  return sceneOf(SEED, 0);
}

/** All of it, or what is about these entries; with their files as far as they are there. */
export function bundleOf(world: HonestWorld, about: readonly Entry[] = [], withFiles = true): Bundle {
  const { folder } = world;
  const files = new Map<string, Buffer>();
  for (const entry of withFiles ? world.kept : []) {
    const bytes = folder.mail.get(mailName(entry));
    if (bytes !== undefined && isGenuine(entry, bytes.length, sha256(bytes))) files.set(entry.digest, bytes);
  }
  const result = auditFolder(world, folder, null);
  return makeBundle({ shown: shownBy(folder), result, versions: world.versions, about, files });
}

export function bytesOf(bundle: Bundle): Buffer {
  return Buffer.concat(printBundle(bundle));
}

/** Reads and judges a bundle as somebody does who trusts these roots. */
export function judge(bytes: Buffer, roots: ReadonlySet<string>, account: string | null): Proof {
  return verifyBundle(parseBundle(bytes), roots, account);
}

/** One line for each entry: number, digest, whether its file is there, and the records with whether they count. */
export function linesOf({ entries }: Proof): string {
  const lines = entries.map(({ entry, hasFile, removals }) => {
    const records = removals.map(({ record, counts }) => ` ${record} ${counts ? "counts" : "former"}`);
    return `${entry.seq} ${entry.digest} ${hasFile ? "file" : "no-file"}${records.join("")}\n`;
  });
  return lines.join("");
}

export function rootsOf(world: HonestWorld): Set<string> {
  return new Set([lineOf(world.root)]);
}

/** What anybody accepts who has the operator's key, by name. */
export function acceptedBundles(): Map<string, { world: HonestWorld; bytes: Buffer }> {
  const made = new Map<string, { world: HonestWorld; bytes: Buffer }>();
  const add = (name: string, world: HonestWorld, bundle: Bundle): void => {
    made.set(name, { world, bytes: bytesOf(bundle) });
  };
  const { world, present, removed } = scene();
  const [first, second] = present;
  if (first === undefined || second === undefined) throw new RangeError("nothing is present");
  add("whole-mailbox", world, bundleOf(world));
  add("whole-mailbox-without-files", world, bundleOf(world, [], false));
  add("one-mail", world, bundleOf(world, [second]));
  add("two-mails", world, bundleOf(world, [first, present.at(-1) ?? first]));
  add("removed-mail", world, bundleOf(world, [removed.entry]));
  add("newest-mail", world, bundleOf(world, [present.at(-1) ?? first]));

  const pruned = scene().world;
  pruned.advance(15 * 86_400);
  pruned.deliverNow();
  add("behind-a-base", pruned, bundleOf(pruned));
  pruned.advance(20 * 86_400);
  add("nothing-left", pruned, bundleOf(pruned));

  const rebuilt = scene().world;
  rebuilt.replaceSigner();
  rebuilt.advance(600);
  add("second-signer", rebuilt, bundleOf(rebuilt));

  const left = scene();
  const [staying] = left.world.devices;
  if (staying === undefined) throw new RangeError("no device");
  // The record of the device that goes is not signed again, so nothing that counts says that the file was removed.
  left.world.changeAccount([staying]);
  left.world.folder.versions = left.world.versions;
  const bundle = bundleOf(left.world, [left.removed.entry]);
  const records = [...left.world.folder.del].filter(([name]) => !name.endsWith(".done"));
  add("record-of-a-former-device", left.world, {
    ...bundle,
    records: records.map(([name, bytes]) => ({ name, bytes })),
  });
  return made;
}
