/** `shoal verify` without a network: a copy of a mailbox, and bundles, by a reader who has nothing but the operator's key. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { printChain } from "#core/account/chain.ts";
import { mailName } from "#core/mailbox/entry.ts";
import type { Scene } from "#test/mailbox/attacks.ts";
import type { Folder } from "#test/mailbox/fetch.ts";
import { sceneOf } from "#test/mailbox/scene.ts";
import { lineOf } from "#test/owner.ts";

const main = join(import.meta.dirname, "../main.ts");
const HOUR = 3600;

describe("a copy", () => {
  const now = Math.floor(Date.now() / 1000);
  const scene: Scene = sceneOf(5, 0, now - 24 * HOUR);
  const { world, removed, present } = scene;
  let home = "";

  before(() => {
    home = mkdtempSync(join(tmpdir(), "shoal-verify-"));
    writeFileSync(join(home, "operator.pub"), `${lineOf(world.root)} the operator\n`);
    writeFileSync(
      join(home, "hosts"),
      `fetch.mail.example.org ${lineOf(world.signer)}\noperator.example.org ${lineOf(world.root)}\n`,
    );
    writeFileSync(join(home, "stranger.pub"), `${lineOf(world.signer)}\n`);
  });
  after(() => rmSync(home, { recursive: true }));

  function lay(folder: Folder = world.folder): string {
    const place = mkdtempSync(join(home, "copy-"));
    const write = (name: string, content: Buffer | string): void => {
      mkdirSync(dirname(join(place, name)), { recursive: true });
      writeFileSync(join(place, name), content);
      // When it was copied: the scene is a day old.
      utimesSync(join(place, name), world.time, world.time);
    };
    write("account/chain", printChain(folder.versions));
    for (const name of ["head", "signers", "entries"] as const) write(`ledger/${name}`, folder[name] ?? "");
    for (const [name, bytes] of folder.mail) write(`mail/${name}`, bytes);
    for (const [name, bytes] of folder.del) write(`del/${name}`, bytes);
    return place;
  }

  function shoal(...args: string[]): { status: number | null; out: string; err: string } {
    const env = {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, "config"),
      XDG_STATE_HOME: join(home, "state"),
    };
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "verify", ...args], {
      cwd: home,
      encoding: "utf8",
      env,
    });
    return { status, out: stdout, err: stderr };
  }

  const byOperator = ["--operator", "operator.pub", "--account", world.standing.id];

  test("of an honest mailbox holds", () => {
    const { status, out, err } = shoal("--from", lay(), ...byOperator);
    assert.equal(status, 0, out + err);
    assert.match(out, /result {4}everything holds\n/);
    assert.match(out, new RegExp(`mail {6}${present.length} are there as they were delivered`));
    assert.match(out, /mail {6}2 were removed by your devices/);
  });

  test("each delivery is told, and the key is found in known_hosts", () => {
    const { status, out } = shoal("--from", lay(), "--operator", "hosts", "--json");
    assert.equal(status, 0, out);
    const told = JSON.parse(out) as { account: string; entries: { seq: number; state: string }[] };
    assert.equal(told.account, world.standing.id);
    assert.equal(told.entries.find(({ seq }) => seq === removed.entry.seq)?.state, "removed");
    assert.equal(told.entries.filter(({ state }) => state === "genuine").length, present.length);
  });

  test("what was changed, forged, removed or swapped is named", () => {
    const place = lay();
    const [a, b, c] = present;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    writeFileSync(join(place, "mail", mailName(a)), "changed");
    rmSync(join(place, "mail", mailName(b)));
    writeFileSync(join(place, "mail/forged.age"), "forged");
    rmSync(join(place, "mail", mailName(c)));
    symlinkSync("/etc/passwd", join(place, "mail", mailName(c)));
    const { status, out } = shoal("--from", place, ...byOperator);
    assert.equal(status, 76, out);
    assert.match(out, new RegExp(`^MODIFIED {2}Message ${a.seq},`, "m"));
    assert.match(out, new RegExp(`^MISSING {3}Message ${b.seq},`, "m"));
    assert.match(out, new RegExp(`^MODIFIED {2}Message ${c.seq},`, "m"));
    assert.match(out, /^UNSIGNED /m);
    assert.doesNotMatch(out, /everything holds/);
  });

  test("a name that is not UTF-8 is a file nobody delivered", () => {
    const place = lay();
    writeFileSync(Buffer.concat([Buffer.from(`${place}/mail/`), Buffer.of(0xff, 0xfe), Buffer.from(".age")]), "x");
    const { status, out } = shoal("--from", place, ...byOperator);
    assert.equal(status, 76, out);
    assert.match(out, /^UNSIGNED /m);
  });

  test("a head and entries that are too large, or no files, prove nothing", () => {
    const cases: [string, RegExp][] = [
      ["head", /^BAD-HEAD/m],
      ["entries", /^LEDGER-BROKEN/m],
    ];
    for (const [name, code] of cases) {
      for (const spoil of ["large", "folder"]) {
        const place = lay();
        const path = join(place, "ledger", name);
        rmSync(path);
        if (spoil === "folder") mkdirSync(path);
        else writeFileSync(path, Buffer.alloc(40_000_000));
        utimesSync(path, world.time, world.time);
        const { status, out, err } = shoal("--from", place, ...byOperator);
        assert.equal(status, 76, out + err);
        assert.match(out, code);
      }
    }
  });

  test("one whose head was old when it was fetched says so", () => {
    const place = lay();
    const late = world.time + HOUR;
    utimesSync(join(place, "ledger/head"), late, late);
    const { status, out } = shoal("--from", place, ...byOperator);
    assert.equal(status, 0, out);
    assert.match(out, /^head .*\n {10}It was older than it had to be when this copy got it/m);
    assert.doesNotMatch(shoal("--from", lay(), ...byOperator).out, /older/);
  });

  test("is worth nothing by another operator's key, and is of one account", () => {
    const place = lay();
    const stranger = shoal("--from", place, "--operator", "stranger.pub", "--account", world.standing.id);
    assert.equal(stranger.status, 76, stranger.out);
    assert.match(stranger.out, /^BAD-HEAD/m);
    const other = shoal("--from", place, "--operator", "operator.pub", "--account", `${"A".repeat(21)}A`);
    assert.equal(other.status, 76);
    assert.match(other.err, /the copy is of the account/);
    assert.equal(shoal("--from", home, ...byOperator).status, 64, "a folder that is no mailbox");
    assert.equal(shoal("--from", place).status, 64, "neither profile nor key");
  });

  test("an export is checked by who has it and the key, and taken apart by tar", () => {
    const place = lay();
    const [first] = present;
    assert.ok(first !== undefined);
    const made = shoal(
      "--from",
      place,
      ...byOperator,
      "--export",
      "one.tar",
      first.digest.slice(0, 12),
      `@${removed.entry.seq}`,
    );
    assert.equal(made.status, 0, made.err);
    assert.match(made.err, /proves 2 of the deliveries, with 1 sealed file/);
    const checked = shoal("--bundle", "one.tar", ...byOperator);
    assert.equal(checked.status, 0, checked.err);
    assert.match(
      checked.out,
      new RegExp(`delivery {2}${first.seq}, .*${first.digest}, the sealed file is in the bundle`),
    );
    assert.match(
      checked.out,
      new RegExp(`delivery {2}${removed.entry.seq}, .*\\n {10}removed on .*, says device ${removed.record.device}`),
    );
    assert.match(checked.out, /result {4}all of that is proved\n$/);
    const told = shoal("--bundle", "one.tar", "--operator", "hosts", "--json");
    const { account, entries } = JSON.parse(told.out) as {
      account: string;
      entries: { seq: number; hasFile: boolean }[];
    };
    assert.equal(account, world.standing.id);
    assert.deepEqual(
      entries.map(({ seq, hasFile }) => [seq, hasFile]),
      [
        [first.seq, true],
        [removed.entry.seq, false],
      ],
    );

    const { status } = spawnSync("sh", ["-c", "mkdir apart && tar -C apart -xf one.tar"], { cwd: home });
    assert.equal(status, 0);
    assert.deepEqual(readFileSync(join(home, "apart/mail", mailName(first))), world.folder.mail.get(mailName(first)));
  });

  test("a whole export, taken apart, is a copy", () => {
    assert.equal(shoal("--from", lay(), ...byOperator, "--export", "all.tar").status, 0);
    spawnSync("sh", ["-c", "mkdir all && tar -C all -xf all.tar"], { cwd: home });
    const { status, out } = shoal("--from", "all", ...byOperator);
    assert.equal(status, 0, out);
    assert.match(out, /everything holds/);
  });

  test("a bundle that was touched is refused with the reason", () => {
    assert.equal(shoal("--from", lay(), ...byOperator, "--export", "whole.tar").status, 0);
    const bytes = readFileSync(join(home, "whole.tar"));
    const [first] = present;
    assert.ok(first !== undefined);
    const refused = (name: string, changed: Buffer, reason: RegExp): void => {
      writeFileSync(join(home, name), changed);
      const { status, out, err } = shoal("--bundle", name, ...byOperator);
      assert.equal(status, 65, out + err);
      assert.equal(out, "", "nothing is told of what does not hold");
      assert.match(err, reason);
    };
    refused("trailing.tar", Buffer.concat([bytes, Buffer.of(0)]), /nothing behind them/);
    refused("cut.tar", bytes.subarray(0, -2000), /archive: byte/);
    const swapped = Buffer.from(bytes);
    const at = swapped.indexOf(world.folder.mail.get(mailName(first)) ?? "");
    swapped.writeUInt8(swapped.readUInt8(at) ^ 1, at);
    refused("swapped.tar", swapped, /is not the file that was delivered/);
    const climbing = Buffer.from(bytes.toString("latin1").replace("ledger/head", "../../../hd"), "latin1");
    refused("climbing.tar", climbing, /the one header/);
    assert.equal(shoal("--bundle", "whole.tar", "--operator", "stranger.pub").status, 65);
    assert.equal(
      shoal("--bundle", "whole.tar", "--operator", "operator.pub", "--account", `${"A".repeat(21)}A`).status,
      65,
    );
  });

  test("nothing is exported of what does not hold", () => {
    const place = lay();
    renameSync(join(place, "ledger/entries"), join(place, "ledger/other"));
    const { status, err } = shoal("--from", place, ...byOperator, "--export", "bad.tar");
    assert.equal(status, 77);
    assert.match(err, /nothing of this mailbox can be proved/);
  });
});
