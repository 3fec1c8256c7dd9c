/** docs/formats/mailbox-ledger.md, "By hand": its commands word for word, but for the names of two files. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { headIn, type Scene } from "#test/mailbox/attacks.ts";
import { copyOf, type Folder } from "#test/mailbox/fetch.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import { lineOf } from "#test/owner.ts";
import { deletionName } from "./deletion.ts";
import { mailName } from "./entry.ts";
import { signHead } from "./head.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/formats/mailbox-ledger.md"), "utf8");
const section = /\n## By hand\n(.*?)\n## /s.exec(page)?.[1] ?? "";
const blocks = [...section.matchAll(/```\n(.*?)```/gs)].map(([, block = ""]) => block);

/** What is typed, without what is printed. */
function typed(index: number): string {
  const lines = (blocks[index] ?? "").split("\n").filter((line) => /^[$>] /.test(line));
  assert.ok(lines.length > 0);
  return lines.map((line) => line.slice(2)).join("\n");
}

describe("by hand", () => {
  const now = Math.floor(Date.now() / 1000);
  const scene: Scene = sceneOf(5, 0, now - 86_400);
  const { world, removed } = scene;
  let home = "";

  before(() => {
    home = mkdtempSync(join(tmpdir(), "by-hand-"));
  });
  after(() => rmSync(home, { recursive: true }));

  function lay(folder: Folder): string {
    const place = mkdtempSync(join(home, "mailbox-"));
    const write = (name: string, content: Buffer | string): void => {
      mkdirSync(dirname(join(place, name)), { recursive: true });
      writeFileSync(join(place, name), content);
    };
    for (const name of ["head", "signers", "entries"] as const) write(`ledger/${name}`, folder[name] ?? "");
    for (const [name, bytes] of folder.mail) write(`mail/${name}`, bytes);
    for (const [name, bytes] of folder.del) write(`del/${name}`, bytes);
    write("root", (blocks[0] ?? "").replace(/ssh-ed25519 .*/, lineOf(world.root)));
    write("device", world.devices.map(({ key }) => `device ${lineOf(key)}\n`).join(""));
    return place;
  }

  function run(folder: Folder, ...indices: number[]): { status: number | null; out: string } {
    const script = indices
      .map(typed)
      .join("\n")
      .replaceAll("60303ae2…", removed.entry.digest)
      .replaceAll("5994471abb01112a-7", deletionName(removed.record));
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: lay(folder), encoding: "latin1" });
    return { status, out: stdout + stderr };
  }

  test("an honest mailbox", () => {
    const { out } = run(world.folder, 1, 2, 3);
    assert.match(out, /^Good "mailbox-signers.v1@example.org" signature for operator with ED25519 key/m);
    assert.match(out, /^Good "mailbox-head.v1@example.org" signature for ledger with ED25519 key/m);
    assert.match(out, /^the entries are those of the head$/m);
    for (const entry of scene.present) assert.ok(out.includes(`mail/${mailName(entry)}: OK\n`));
    const failed = [...out.matchAll(/^mail\/(.*): FAILED open or read$/gm)].map(([, name]) => name);
    assert.deepEqual(new Set(failed), new Set(removed.record.deleted.map(mailName)));
    assert.ok(out.trimEnd().endsWith("listed files could not be read"), out);
  });

  test("a deletion record", () => {
    const { status, out } = run(world.folder, 1, 4);
    assert.equal(status, 0, out);
    assert.match(out, /^Good "mailbox-delete.v1@example.org" signature for device with ED25519 key/m);
    assert.ok(out.includes(`del/${deletionName(removed.record)}\n`));
  });

  test("a changed file, a forged file, a changed entry and a forged head are seen", () => {
    const folder = copyOf(world.folder);
    const [first] = scene.present;
    assert.ok(first !== undefined);
    folder.mail.set(mailName(first), Buffer.from("changed"));
    folder.mail.set("forged.age", Buffer.from("forged"));
    folder.entries = Buffer.from(
      (folder.entries ?? "").toString("latin1").replace(/ 1\n/, " 2\n").replace(/ 2\n/, " 3\n"),
    );
    folder.head = signHead(headIn(folder), world.root);
    const { out } = run(folder, 1, 2, 3);
    assert.doesNotMatch(out, /^Good "mailbox-head/m);
    assert.doesNotMatch(out, /the entries are those of the head/);
    assert.ok(out.includes(`mail/${mailName(first)}: FAILED\n`));
    assert.match(out, /^forged\.age$/m);
  });

  test("the name of a device", () => {
    const [device] = world.devices;
    assert.ok(device !== undefined);
    const command = /`(cut -d' ' -f2 KEY\.pub .*?)`/.exec(page)?.[1] ?? "";
    const place = lay(world.folder);
    writeFileSync(join(place, "KEY.pub"), `${lineOf(device.key)} comment\n`);
    const out = execFileSync("bash", ["-c", command], { cwd: place, encoding: "latin1" });
    assert.equal(out.slice(0, 16), device.name);
  });
});
