/** docs/use.md, "Checking a bundle by hand": its commands, word for word but for names. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Bundle } from "#core/mailbox/bundle.ts";
import { deletionName } from "#core/mailbox/deletion.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import { lineOf } from "#test/owner.ts";
import { bundleOf, bytesOf } from "#test/vectors/proof-bundle/bundles.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/use.md"), "utf8");
const section = /\n### Checking a bundle by hand\n(.*?)\n## /s.exec(page)?.[1] ?? "";
const blocks = [...section.matchAll(/```\n(.*?)```/gs)].map(([, block = ""]) => block);

/** What is typed, without what is printed. */
function typed(block: string): string {
  const lines = block.split("\n").filter((line) => /^[$>] /.test(line));
  assert.ok(lines.length > 0);
  return lines.map((line) => line.slice(2)).join("\n");
}

describe("a bundle by hand", () => {
  // A year ago: the keys that signed it are no longer in use, and the proof holds.
  const { world, present, removed } = sceneOf(5, 0, Math.floor(Date.now() / 1000) - 365 * 86_400);
  const [first] = present;
  assert.ok(first !== undefined);
  const bundle = bundleOf(
    world,
    [first, removed.entry].sort((a, b) => a.seq - b.seq),
  );
  let home = "";

  before(() => {
    home = mkdtempSync(join(tmpdir(), "shoal-by-hand-"));
  });
  after(() => rmSync(home, { recursive: true }));

  function run(given: Bundle, root = world.root): { status: number | null; out: string } {
    const folder = mkdtempSync(join(home, "given-"));
    writeFileSync(join(folder, "lunch.tar"), bytesOf(given));
    writeFileSync(join(folder, "operator.pub"), `${lineOf(root)} the operator\n`);
    assert.equal(blocks.length, 4);
    const { status, stdout, stderr } = spawnSync("bash", ["-c", blocks.map(typed).join("\n")], {
      cwd: folder,
      encoding: "latin1",
    });
    return { status, out: stdout + stderr };
  }

  test("what is proved is seen", () => {
    const { status, out } = run(bundle);
    assert.equal(status, 0, out);
    assert.match(out, /^-rw-r--r-- 0\/0 .* proof$/m);
    assert.match(out, /^Good "mailbox-signers.v1@example.org" signature for operator with ED25519 key/m);
    assert.match(out, /^Good "mailbox-head.v1@example.org" signature for ledger with ED25519 key/m);
    assert.match(out, new RegExp(`^account ${world.standing.id}$`, "m"));
    assert.match(out, /^the entries are those of the head$/m);
    assert.match(out, new RegExp(`^${first.seq} was delivered on .*, ${first.size} bytes$`, "m"));
    assert.ok(out.includes(`${mailName(first)}: OK\n`), out);
    assert.ok(out.includes(`\n${world.standing.hash}\n`), "the state is the head's");
    assert.match(out, /^Good "mailbox-delete.v1@example.org" signature for device with ED25519 key/m);
    assert.ok(out.includes(`\n${removed.entry.seq} ${removed.entry.digest}\n`));
    assert.deepEqual(
      bundle.records.map(({ name }) => name),
      [deletionName(removed.record)],
    );
  });

  test("what is not proved is not", () => {
    const stranger = run(bundle, world.signer).out;
    assert.doesNotMatch(stranger, /^Good "mailbox-signers/m);
    const [mail] = bundle.mail;
    assert.ok(mail !== undefined);
    const swapped = run({ ...bundle, mail: [{ ...mail, bytes: Buffer.from("another") }] }).out;
    assert.ok(swapped.includes(`${mailName(first)}: FAILED\n`), swapped);
    const cut = run({ ...bundle, entries: bundle.entries.subarray(0, bundle.entries.lastIndexOf("\n", -2) + 1) }).out;
    assert.doesNotMatch(cut, /the entries are those of the head/);
    const other = run({
      ...bundle,
      head: Buffer.from(bundle.head.toString("latin1").replace(/^last ./m, "last 9")),
    }).out;
    assert.doesNotMatch(other, /^Good "mailbox-head/m);
    const [record] = bundle.records;
    assert.ok(record !== undefined);
    const text = record.bytes.toString("latin1").replace(/^time 1/m, "time 2");
    const forged = run({ ...bundle, records: [{ ...record, bytes: Buffer.from(text, "latin1") }] }).out;
    assert.doesNotMatch(forged, /^Good "mailbox-delete/m);
  });
});
