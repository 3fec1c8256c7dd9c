/** What an account can do on `fetch`: list, read and delete its own mail, and write records of that. Nothing else. */

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
  const same = [
    ...["/mail/../../alice/mail", "/mail/door", "/mail/back-door", "/mail/../mail/door", "/../alice/mail"],
    ...["/del/../../alice/mail", "/del/door"],
  ];
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
  "make a file beside the ledger": (sftp, folder) => sftp.open(`${folder}/ledger/new`, OPEN.write | OPEN.create),
  "make a file beside the chain": (sftp, folder) => sftp.open(`${folder}/account/new`, OPEN.write | OPEN.create),
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
  "link a record into the mail folder": (sftp, folder) =>
    sftp.ask(ASK.extended, ["hardlink@openssh.com", `${folder}/del/own`, `${folder}/mail/own`]),
  "link its mail into the records": (sftp, folder, mail) =>
    sftp.ask(ASK.extended, ["hardlink@openssh.com", mail, `${folder}/del/mail`]),
  "rename a record into the mail folder": (sftp, folder) =>
    sftp.ask(ASK.extended, ["posix-rename@openssh.com", `${folder}/del/own`, `${folder}/mail/own`]),
  "make a symbolic link among the records": (sftp, folder) =>
    sftp.ask(ASK.symlink, ["/srv/mail/alice/del", `${folder}/del/link`]),
  "change a record": (sftp, folder) => sftp.open(`${folder}/del/record`, OPEN.write),
  "make a folder among the records": (sftp, folder) => sftp.ask(ASK.mkdir, [`${folder}/del/folder`, noAttributes]),
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
      const doors = `cd /srv/mail/bob
ln -s /srv/mail/alice/mail mail/door; ln -s ../../alice/mail mail/back-door; ln -s ../../alice/mail del/door
install -m 400 -o bob -g bob /dev/null del/own; install -m 400 -o bob -g bob /dev/null del/record
# What is cleared away regularly is cleared away here when a test says so.
sv down schedule-foreign`;
      assert.equal((await stage().exec("fetch", ["sh", "-c", doors])).status, 0);
    });
    after(async () => {
      for (const sftp of [link, bob, free]) await sftp?.close();
      await stage().exec("fetch", ["sv", "up", "schedule-foreign"]);
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

    test("writes records that its other devices can read and remove, and nobody else, and nobody can change", async () => {
      const opened = await bob.open("/del/0123456789abcdef-1", OPEN.write | OPEN.create | OPEN.exclusive);
      assert.ok(granted(opened), "open");
      assert.ok(granted(await bob.ask(ASK.write, [opened.handle, 0n, Buffer.from("gone")])), "write");
      assert.ok(granted(await bob.ask(ASK.extended, ["fsync@openssh.com", opened.handle])), "fsync");
      assert.ok(granted(await bob.ask(ASK.close, [opened.handle])), "close");
      assert.match(await mailboxes(stage()), /\.\/bob\/del\/0123456789abcdef-1 f 400 bob:bob 1\n/);
      const device = await RawSftp.start(await account(stage(), "bob"));
      const alice = await RawSftp.start(await account(stage(), "alice"));
      try {
        const { handle } = await device.open("/del/0123456789abcdef-1", OPEN.read);
        const data = await device.ask(ASK.read, [handle, 0n, 100]);
        assert.equal(data.body.subarray(4).toString("utf8"), "gone");
        for (const flags of [OPEN.write, OPEN.write | OPEN.append, OPEN.write | OPEN.truncate | OPEN.create]) {
          assert.ok(!granted(await device.open("/del/0123456789abcdef-1", flags)), `flags ${flags}`);
        }
        for (const folder of ["/../bob/del", "/del/../../bob/del", "/srv/mail/bob/del"]) {
          assert.ok(!granted(await alice.open(`${folder}/0123456789abcdef-1`, OPEN.read)), `alice, ${folder}`);
          assert.ok(!granted(await alice.ask(ASK.opendir, [folder])), `alice, ${folder}`);
          assert.ok(!granted(await alice.ask(ASK.remove, [`${folder}/0123456789abcdef-1`])), `alice, ${folder}`);
        }
        assert.ok(granted(await device.ask(ASK.remove, ["/del/0123456789abcdef-1"])), "remove");
      } finally {
        for (const sftp of [device, alice]) await sftp.close();
      }
    });

    test("reads its ledger, and can't change, add to or remove anything of it", async () => {
      const ledger = "install -m 640 -o mailboxes -g bob /dev/null /srv/mail/bob/ledger/other";
      assert.equal((await stage().exec("fetch", ["sh", "-c", ledger])).status, 0);
      const attempts = async (sftp: RawSftp, folder: string): Promise<boolean[]> => [
        granted(await sftp.open(`${folder}/other`, OPEN.write)),
        granted(await sftp.open(`${folder}/other`, OPEN.write | OPEN.append)),
        granted(await sftp.open(`${folder}/other`, OPEN.write | OPEN.truncate)),
        granted(await sftp.ask(ASK.setstat, [`${folder}/other`, anyMode])),
        granted(await sftp.ask(ASK.remove, [`${folder}/other`])),
      ];
      assert.ok(granted(await bob.ask(ASK.opendir, ["/ledger"])), "list");
      assert.ok(granted(await bob.open("/ledger/other", OPEN.read)), "read");
      assert.deepEqual(await attempts(bob, "/ledger"), [false, false, false, false, false]);
      const alice = await RawSftp.start(await account(stage(), "alice"));
      assert.ok(!granted(await alice.open("/../bob/ledger/other", OPEN.read)));
      await alice.close();
      assert.deepEqual(await attempts(free, "/srv/mail/bob/ledger"), [true, true, true, true, true], "control");
    });

    const clear = async (): Promise<void> => {
      const { status, stderr } = await stage().exec("fetch", ["/usr/lib/shoal/remove-foreign"]);
      assert.equal(status, 0, stderr);
    };
    /** Until sshd has noticed. */
    const isPutOut = async (sftp: RawSftp): Promise<boolean> => {
      const asked = sftp.ask(ASK.lstat, ["/"]).then(
        () => false,
        () => true,
      );
      return await asked;
    };

    test("what it writes into its mail folder does not stay, and whoever wrote it is put out", async () => {
      const writer = await RawSftp.start(await account(stage(), "bob"));
      const { handle } = await writer.open("/mail/mine", OPEN.write | OPEN.create);
      assert.ok(granted(await writer.ask(ASK.write, [handle, 0n, Buffer.from("x")])));
      assert.match(await mailboxes(stage()), /\.\/bob\/mail\/mine f 400 bob:bob 1\n/);
      const alice = await RawSftp.start(await account(stage(), "alice"));
      await clear();
      const now = await mailboxes(stage());
      assert.doesNotMatch(now, /\/bob\/mail\/mine /);
      assert.match(now, /\.\/bob\/mail\/[0-9a-f]{64}\.age f /, "control: mail stays");
      assert.match(now, /\.\/bob\/del\/record f /, "control: records stay");
      assert.ok(await isPutOut(writer), "the writer");
      assert.ok(!(await isPutOut(alice)), "control: nobody else");
      assert.ok(!(await isPutOut(link)), "control: nobody else");
      for (const sftp of [writer, alice]) await sftp.close();
      bob = await RawSftp.start(await account(stage(), "bob"));
    });

    test("what no deletion record is does not stay among them: too large a file, or too many", async () => {
      const { handle } = await bob.open("/del/large", OPEN.write | OPEN.create);
      // One byte far behind the end makes the file as long.
      assert.ok(granted(await bob.ask(ASK.write, [handle, 1_100_000n, Buffer.from("x")])));
      const largest = await bob.open("/del/largest", OPEN.write | OPEN.create);
      assert.ok(granted(await bob.ask(ASK.write, [largest.handle, 1_099_999n, Buffer.from("x")])));
      await bob.ask(ASK.close, [largest.handle]);
      const many =
        "cd /srv/mail/bob/del && chpst -u bob sh -c 'for n in $(seq 2100); do echo > many-$n; done; touch -d @1 many-2100; : > \"odd \n name\"'";
      assert.equal((await stage().exec("fetch", ["sh", "-c", many])).status, 0);
      await clear();
      const names = (await mailboxes(stage())).split("\n").filter((line) => /^\.\/bob\/del\/.* f /.test(line));
      assert.equal(names.length, 2000);
      assert.ok(!names.some((line) => line.startsWith("./bob/del/large ")));
      assert.ok(names.some((line) => line.startsWith("./bob/del/largest ")));
      assert.ok(
        names.some((line) => line.startsWith("./bob/del/many-2100 ")),
        "the oldest stay",
      );
      assert.ok(await isPutOut(bob));
      const count = "/usr/lib/shoal/count-usage && cat /srv/usage/usage && rm -f /srv/mail/bob/del/[mol]*";
      const usage = (await stage().exec("fetch", ["sh", "-c", count])).stdout.toString("utf8");
      assert.ok(Number(/^bob (\d+)$/m.exec(usage)?.[1]) > 1_100_000, `records count: ${usage}`);
      bob = await RawSftp.start(await account(stage(), "bob"));
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
