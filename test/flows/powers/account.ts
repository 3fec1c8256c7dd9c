/** What an account can do on `fetch`: list, read and delete its own mail, and nothing else. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OPEN } from "#host/sftp-packet.ts";
import { asPerson, type Stage } from "#test/world/stage.ts";
import { deposit, linkKey, mailboxes, unlimitedSftp } from "./deposit-key.ts";
import { type Answer, ASK, granted, namesOf, RawSftp } from "./raw-sftp.ts";

type Ask = (sftp: RawSftp, path: string) => Promise<Answer>;

const reading: Readonly<Record<string, Ask>> = {
  open: (sftp, path) => sftp.open(path, OPEN.read),
  "open for writing": (sftp, path) => sftp.open(path, OPEN.write),
  stat: (sftp, path) => sftp.ask(ASK.stat, [path]),
  "list the folder of": (sftp, path) => sftp.ask(ASK.opendir, [path.slice(0, path.lastIndexOf("/"))]),
};

/** Ways from bob's mailbox to a file in alice's: as bob might ask, and what that is on the machine itself. */
function waysTo(name: string): readonly (readonly [asked: string, real: string])[] {
  const same = ["/mail/../../alice/mail", "/mail/door", "/mail/back-door", "/mail/../mail/door", "/../alice/mail"];
  return [
    ...same.map((folder) => [`${folder}/${name}`, `/srv/mail/bob${folder}/${name}`] as const),
    [`../alice/mail/${name}`, `/srv/mail/bob/../alice/mail/${name}`],
    [`/srv/mail/alice/mail/${name}`, `/srv/mail/alice/mail/${name}`],
    [`/alice/mail/${name}`, `/srv/mail/alice/mail/${name}`],
    [`/proc/1/root/srv/mail/alice/mail/${name}`, `/proc/1/root/srv/mail/alice/mail/${name}`],
  ];
}

const noAttributes = { raw: Buffer.alloc(4) };
const anyMode = { raw: Buffer.from([0, 0, 0, 4, 0, 0, 0x01, 0xff]) };

/** What an account may not even do to its own mail, in an order in which each works for somebody without limits. */
const changes: Readonly<Record<string, (sftp: RawSftp, folder: string, mail: string) => Promise<Answer>>> = {
  "open its mail for writing": (sftp, _folder, mail) => sftp.open(mail, OPEN.read | OPEN.write),
  "truncate its mail": (sftp, _folder, mail) => sftp.open(mail, OPEN.write | OPEN.truncate),
  "append to its mail": (sftp, _folder, mail) => sftp.open(mail, OPEN.write | OPEN.append),
  "make a file outside the mail folder": (sftp, folder) => sftp.open(`${folder}/new`, OPEN.write | OPEN.create),
  "make a file among the half deposits": (sftp, folder) =>
    sftp.open(`${folder}/incoming/new`, OPEN.write | OPEN.create),
  "list the half deposits": (sftp, folder) => sftp.ask(ASK.opendir, [`${folder}/incoming`]),
  "read a half deposit": (sftp, folder) => sftp.open(`${folder}/incoming/half`, OPEN.read),
  "remove a half deposit": (sftp, folder) => sftp.ask(ASK.remove, [`${folder}/incoming/half`]),
  "make a folder": (sftp, folder) => sftp.ask(ASK.mkdir, [`${folder}/mail/folder`, noAttributes]),
  "remove a folder": (sftp, folder) => sftp.ask(ASK.rmdir, [`${folder}/mail/folder`]),
  "change a mode": (sftp, _folder, mail) => sftp.ask(ASK.setstat, [mail, anyMode]),
  "make a symbolic link": (sftp, folder) => sftp.ask(ASK.symlink, ["/srv/mail/alice", `${folder}/mail/link`]),
  "read a symbolic link": (sftp, folder) => sftp.ask(ASK.readlink, [`${folder}/mail/link`]),
  "make a hard link": (sftp, folder, mail) =>
    sftp.ask(ASK.extended, ["hardlink@openssh.com", mail, `${folder}/mail/second`]),
  "rename its mail": (sftp, folder) => sftp.ask(ASK.rename, [`${folder}/mail/second`, `${folder}/mail/third`]),
  "rename over its mail": (sftp, folder, mail) =>
    sftp.ask(ASK.extended, ["posix-rename@openssh.com", `${folder}/mail/third`, mail]),
  "measure the disk": (sftp, folder) => sftp.ask(ASK.extended, ["statvfs@openssh.com", `${folder}/mail`]),
};

/** Command line of an account with its own key, from the users' computer. */
async function account(stage: Stage, person: string, login = person): Promise<[string, ...string[]]> {
  const ssh = `exec ssh -F none -i ~/.config/shoal/default/id_ed25519 -o BatchMode=yes -s ${login}@${stage.address("fetch")} sftp`;
  return await stage.command("user", asPerson(person, ssh));
}

export function accountTests(stage: () => Stage): void {
  describe("account bob on `fetch`", () => {
    let link: RawSftp;
    let bob: RawSftp;
    let free: RawSftp;

    before(async () => {
      link = await RawSftp.start([...(await linkKey(stage(), "deposit", "-s")), "sftp"]);
      bob = await RawSftp.start(await account(stage(), "bob"));
      free = await unlimitedSftp(stage());
      // Not even a hole that somebody else left leads out.
      const doors =
        "ln -s /srv/mail/alice/mail /srv/mail/bob/mail/door; ln -s ../../alice/mail /srv/mail/bob/mail/back-door";
      assert.equal((await stage().exec("fetch", ["sh", "-c", doors])).status, 0);
    });
    after(async () => {
      for (const sftp of [link, bob, free]) await sftp?.close();
    });

    test("lists, reads and deletes its own mail", async () => {
      const path = (await deposit(link, "bob", Buffer.from("for bob"))).replace("/bob", "");
      const folder = await bob.ask(ASK.opendir, ["/mail"]);
      const names = namesOf(await bob.ask(ASK.readdir, [folder.body.subarray(4)]));
      assert.ok(names.includes(path.replace("/mail/", "")), names.join(" "));
      const { handle } = await bob.open(path, OPEN.read);
      const data = await bob.ask(ASK.read, [handle, 0n, 100]);
      assert.equal(data.body.subarray(4).toString("utf8"), "for bob");
      assert.ok(granted(await bob.ask(ASK.remove, [path])));
      assert.doesNotMatch(await mailboxes(stage()), new RegExp(path));
    });

    test("can't see, read or change alice's mail, whatever the path", async () => {
      const name = (await deposit(link, "alice", Buffer.from("for alice"))).replace("/alice/mail/", "");
      const was = await mailboxes(stage());
      for (const [asked, real] of waysTo(name)) {
        for (const [what, ask] of Object.entries(reading)) {
          assert.ok(!granted(await ask(bob, asked)), `${what} ${asked}`);
          assert.ok(granted(await ask(free, real)), `control: ${what} ${real}`);
        }
        assert.ok(!granted(await bob.ask(ASK.remove, [asked])), `remove ${asked}`);
      }
      assert.equal(await mailboxes(stage()), was);
      for (const [, real] of waysTo(name)) {
        assert.ok(granted(await free.ask(ASK.remove, [real])), `control: remove ${real}`);
        await deposit(link, "alice", Buffer.from("for alice"));
      }
    });

    for (const [what, change] of Object.entries(changes)) {
      test(`can't ${what}`, async () => {
        const mail = (await deposit(link, "bob", Buffer.from(what))).replace("/bob", "");
        const half = await link.open("/bob/incoming/half", OPEN.write | OPEN.create);
        await link.ask(ASK.close, [half.handle]);
        const was = await mailboxes(stage());
        const answer = await change(bob, "", mail);
        assert.ok(!granted(answer), "was granted");
        assert.equal(await mailboxes(stage()), was);
        const control = await change(free, "/srv/mail/bob", `/srv/mail/bob${mail}`);
        assert.ok(granted(control), `control: refused with ${control.status}: ${control.body.toString("latin1")}`);
      });
    }

    test("can make an empty file in its own mail folder, write nothing into it, and it does not stay", async () => {
      const { handle } = await bob.open("/mail/own", OPEN.write | OPEN.create);
      assert.ok(!granted(await bob.ask(ASK.write, [handle, 0n, Buffer.from("x")])), "write");
      assert.ok(!granted(await bob.ask(ASK.fsetstat, [handle, anyMode])), "fsetstat");
      assert.match(await mailboxes(stage()), /\.\/bob\/mail\/own f 0 bob:bob 1\n/);
      const { stdout } = await stage().exec("fetch", ["cat", "/etc/service/schedule-foreign/run"]);
      const command = /^ {2}(find .*)$/m.exec(stdout.toString("utf8"))?.[1] ?? "false";
      assert.equal((await stage().exec("fetch", ["sh", "-c", command])).status, 0);
      const now = await mailboxes(stage());
      assert.doesNotMatch(now, /\/bob\/mail\/own /);
      assert.match(now, /\.\/bob\/mail\/[0-9a-f]{64}\.age f /, "control: mail stays");
    });

    test("can't log in as somebody else", async () => {
      for (const login of ["alice", "root"]) {
        await assert.rejects(
          RawSftp.start(await account(stage(), "bob", login)),
          /Permission denied \(publickey\)/,
          login,
        );
      }
      const control = await RawSftp.start(await account(stage(), "alice"));
      await control.close();
    });

    test("can't log in by a password", async () => {
      const set = 'perl -e \'print "$ARGV[0]:" . crypt(q(pass), q($6$salt$)) . "\\n"\' $0 | chpasswd -e';
      for (const login of ["bob", "root"]) {
        const { status, stderr } = await stage().exec("fetch", ["sh", "-c", set, login]);
        assert.equal(status, 0, stderr);
      }
      const ssh = (to: string, ...more: string[]): string =>
        `printf '#!/bin/sh\\necho pass\\n' > /tmp/askpass; chmod 755 /tmp/askpass; SSH_ASKPASS=/tmp/askpass SSH_ASKPASS_REQUIRE=force ` +
        `ssh -F none -o PreferredAuthentications=password,keyboard-interactive -o StrictHostKeyChecking=no ${more.join(" ")} ${to} echo in`;
      const refused = await stage().exec("user", asPerson("bob", ssh(`bob@${stage().address("fetch")}`)));
      assert.match(refused.stderr, /Permission denied \(publickey\)/);
      const control = await stage().exec("fetch", ["sh", "-c", ssh("root@127.0.0.1", "-p", "2222")]);
      assert.equal(control.stdout.toString("utf8"), "in\n", control.stderr);
    });
  });
}
