/** What the key of `ledger` can do on `fetch` as `mailboxes`: write into the folders of ledgers, and nothing else. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OPEN } from "#host/sftp-packet.ts";
import type { Stage } from "#test/world/stage.ts";
import { deposit, linkKey, mailboxes, unlimitedSftp } from "./deposit-key.ts";
import { ASK, granted, RawSftp } from "./raw-sftp.ts";

const folder = "/etc/shoal/shoal-ledger";
const makes = OPEN.write | OPEN.create;

async function ledgerKey(stage: Stage): Promise<[string, ...string[]]> {
  return await stage.command("ledger", [
    ...["ssh", "-F", "none", "-i", `${folder}/alpha-fetch`, "-o", `UserKnownHostsFile=${folder}/known_hosts`],
    ...["-o", "BatchMode=yes", "-s", `mailboxes@${stage.address("fetch")}`, "sftp"],
  ]);
}

export function mailboxesKeyTests(stage: () => Stage): void {
  describe("the key of `ledger` on `fetch`, as `mailboxes`", () => {
    let ledger: RawSftp;
    let link: RawSftp;
    let free: RawSftp;
    let mail = "";

    before(async () => {
      ledger = await RawSftp.start(await ledgerKey(stage()));
      link = await RawSftp.start([...(await linkKey(stage(), "deposit", "-s")), "sftp"]);
      free = await unlimitedSftp(stage());
      mail = await deposit(link, "alice", Buffer.from("beside a ledger"));
      assert.equal(
        (
          await stage().exec("fetch", [
            "install",
            "-o",
            "alice",
            "-g",
            "alice",
            "-m",
            "400",
            "/dev/null",
            "/srv/mail/alice/del/one",
          ])
        ).status,
        0,
      );
    });
    after(async () => {
      for (const sftp of [ledger, link, free]) await sftp?.close();
    });

    test("writes, appends and replaces in a ledger's folder, and its account can read that", async () => {
      for (const content of ["first", "second"]) {
        const { handle } = await ledger.open("/alice/ledger/.attempt", makes | OPEN.truncate);
        assert.ok(granted(await ledger.ask(ASK.write, [handle, 0n, Buffer.from(content)])));
        assert.ok(granted(await ledger.ask(ASK.extended, ["fsync@openssh.com", handle])));
        const renamed = ["posix-rename@openssh.com", "/alice/ledger/.attempt", "/alice/ledger/attempt"];
        assert.ok(granted(await ledger.ask(ASK.extended, renamed)));
        await ledger.ask(ASK.close, [handle]);
      }
      const { handle } = await ledger.open("/alice/ledger/attempt", OPEN.write);
      assert.ok(granted(await ledger.ask(ASK.write, [handle, 6n, Buffer.from(" and more")])));
      await ledger.ask(ASK.close, [handle]);
      const look = "cat /srv/mail/alice/ledger/attempt; stat -c ' %a %U:%G' /srv/mail/alice/ledger/attempt";
      const { stdout } = await stage().exec("fetch", ["sh", "-c", look]);
      assert.equal(stdout.toString("utf8"), "second and more 640 mailboxes:alice\n");
    });

    test("adds nothing anywhere else, and changes, replaces and removes nothing there", async () => {
      const was = await mailboxes(stage());
      const places = ["", "/alice", "/alice/mail", "/alice/incoming", "/alice/del", "/alice/account", "/.."];
      for (const place of places) {
        assert.ok(!granted(await ledger.open(`${place}/new`, makes)), `make a file in ${place}`);
        const moved = ["posix-rename@openssh.com", "/alice/ledger/attempt", `${place}/new`];
        assert.ok(!granted(await ledger.ask(ASK.extended, moved)), `move one into ${place}`);
      }
      for (const victim of [mail, "/alice/del/one", "/alice/account/chain"]) {
        const over = ["posix-rename@openssh.com", "/alice/ledger/attempt", victim];
        assert.ok(!granted(await ledger.ask(ASK.extended, over)), `over ${victim}`);
        const away = ["posix-rename@openssh.com", victim, "/alice/ledger/attempt"];
        assert.ok(!granted(await ledger.ask(ASK.extended, away)), `away with ${victim}`);
        for (const flags of [OPEN.write, OPEN.write | OPEN.truncate, OPEN.write | OPEN.append]) {
          assert.ok(!granted(await ledger.open(victim, flags)), `open ${victim}`);
        }
        assert.ok(!granted(await ledger.ask(ASK.remove, [victim])), `remove ${victim}`);
      }
      assert.equal(await mailboxes(stage()), was);
      assert.ok(granted(await free.open("/srv/mail/alice/mail/new", makes)), "control");
      assert.ok(granted(await free.ask(ASK.remove, ["/srv/mail/alice/mail/new"])), "control");
      assert.ok(granted(await ledger.ask(ASK.lstat, ["/alice/ledger/attempt"])), "control: the file is still there");
    });

    test("reads what it wrote and what anybody may, no mail and no record; lists ledgers alone and links nowhere", async () => {
      for (const path of [mail, "/alice/del/one"]) assert.ok(!granted(await ledger.open(path, OPEN.read)), path);
      assert.ok(granted(await ledger.open("/alice/ledger/attempt", OPEN.read)));
      for (const path of [mail, "/alice/del/one", "/alice/account/chain", "/alice/ledger/attempt"]) {
        const linked = ["hardlink@openssh.com", path, "/alice/ledger/link"];
        assert.ok(!granted(await ledger.ask(ASK.extended, linked)), path);
      }
      assert.ok(!granted(await ledger.ask(ASK.symlink, ["/etc/passwd", "/alice/ledger/link"])));
      for (const path of ["/", "/alice", "/alice/mail", "/alice/incoming", "/alice/del"]) {
        assert.ok(!granted(await ledger.ask(ASK.opendir, [path])), path);
        assert.ok(granted(await free.ask(ASK.opendir, [`/srv/mail${path}`])), `control: ${path}`);
      }
      assert.ok(granted(await ledger.ask(ASK.opendir, ["/alice/ledger"])));
      for (const path of [`/srv/mail${mail}`, "/srv/mail/alice/del/one"]) {
        assert.ok(granted(await free.open(path, OPEN.read)), `control: ${path}`);
      }
    });

    test("the link key of `in` writes no ledger and no record", async () => {
      for (const path of ["/alice/ledger/new", "/alice/ledger/attempt", "/alice/del/new", "/alice/del/one"]) {
        assert.ok(!granted(await link.open(path, makes)), path);
      }
      assert.ok(granted(await link.open("/alice/incoming/control", makes)), "control");
      assert.equal((await stage().exec("fetch", ["rm", "/srv/mail/alice/ledger/attempt"])).status, 0);
    });
  });
}
