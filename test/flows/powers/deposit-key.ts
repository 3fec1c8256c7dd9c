/** What the link key of `in` can do on `fetch`: add, and nothing else. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { OPEN } from "#host/sftp-packet.ts";
import type { Stage } from "#test/world/stage.ts";
import { type Answer, ASK, granted, RawSftp } from "./raw-sftp.ts";

/** Attributes that set the mode 0777. */
const anyMode = { raw: Buffer.from([0, 0, 0, 4, 0, 0, 0x01, 0xff]) };
/** Attributes that set the length 0. */
const noLength = { raw: Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]) };
const noAttributes = { raw: Buffer.alloc(4) };

interface Scene {
  /** Folder of the mailboxes as this connection sees it. */
  top: string;
  /** A deposited file in alice's mailbox. */
  mail: string;
  /** Another one. */
  other: string;
}

interface Attempt {
  what: string;
  run: (sftp: RawSftp, scene: Scene) => Promise<Answer>;
}

function opening(what: string, flags: number): Attempt {
  return { what, run: (sftp, { mail }) => sftp.open(mail, flags) };
}

function asking(what: string, type: number, parts: (scene: Scene) => Parameters<RawSftp["ask"]>[1]): Attempt {
  return { what, run: (sftp, scene) => sftp.ask(type, parts(scene)) };
}

/** In this order, since each control really does it: modes that it opened up must not let a later attempt in. */
const attempts: readonly Attempt[] = [
  {
    what: "read a mail",
    async run(sftp, { mail }) {
      // It owns what it deposited and may open it; the allow-list has no reading.
      const opened = await sftp.open(mail, OPEN.read);
      return granted(opened) ? await sftp.ask(ASK.read, [opened.handle, 0n, 10]) : opened;
    },
  },
  opening("open a mail for writing", OPEN.write),
  opening("open a mail for reading and writing", OPEN.read | OPEN.write),
  opening("open a mail for appending", OPEN.write | OPEN.append),
  opening("create a mail that is there, without asking for a new one", OPEN.write | OPEN.create),
  opening("open a mail for truncating", OPEN.write | OPEN.truncate),
  asking("list a mailbox", ASK.opendir, ({ top }) => [`${top}/alice/mail`]),
  asking("list the half deposits", ASK.opendir, ({ top }) => [`${top}/alice/incoming`]),
  asking("list the accounts", ASK.opendir, ({ top }) => [`${top}/`]),
  asking("ask for the true path", ASK.realpath, ({ mail }) => [mail]),
  asking("follow a link's attributes", ASK.stat, ({ mail }) => [mail]),
  asking("measure the disk", ASK.extended, ({ top }) => ["statvfs@openssh.com", `${top}/alice/mail`]),
  asking("expand a path", ASK.extended, () => ["expand-path@openssh.com", "~"]),
  asking("name users by number", ASK.extended, () => [
    "users-groups-by-id@openssh.com",
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0]),
  ]),
  asking("change a mail's mode", ASK.setstat, ({ mail }) => [mail, anyMode]),
  asking("change a mail's mode without following links", ASK.extended, ({ mail }) => [
    "lsetstat@openssh.com",
    mail,
    anyMode,
  ]),
  asking("make a folder in a mailbox", ASK.mkdir, ({ top }) => [`${top}/alice/mail/folder`, noAttributes]),
  asking("remove a folder", ASK.rmdir, ({ top }) => [`${top}/alice/mail/folder`]),
  asking("make a symbolic link in a mailbox", ASK.symlink, ({ top, mail }) => [mail, `${top}/alice/mail/link`]),
  asking("read a symbolic link", ASK.readlink, ({ top }) => [`${top}/alice/mail/link`]),
  asking("cut a mail to nothing", ASK.setstat, ({ mail }) => [mail, noLength]),
  asking("rename a mail", ASK.rename, ({ mail }) => [mail, `${mail}.renamed`]),
  {
    what: "rename a mail over another",
    // What the control of the attempt before has moved is what this one is about.
    run: (sftp, { mail, other }) => sftp.ask(ASK.extended, ["posix-rename@openssh.com", `${mail}.renamed`, other]),
  },
  asking("move a mail to another account", ASK.extended, ({ top, other }) => [
    "posix-rename@openssh.com",
    other,
    `${top}/bob/mail/moved`,
  ]),
  asking("remove a mail", ASK.remove, ({ top }) => [`${top}/bob/mail/moved`]),
];

/** Command line of the link key of `in`, used by root of `in`. */
export async function linkKey(stage: Stage, user: string, ...more: string[]): Promise<[string, ...string[]]> {
  const folder = "/etc/shoal/shoal-courier";
  const options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=5"];
  return await stage.command("in", [
    ...["ssh", "-F", "none", "-i", `${folder}/alpha-fetch`, "-o", `UserKnownHostsFile=${folder}/known_hosts`],
    ...options.flatMap((option) => ["-o", option]),
    ...[...more, `${user}@${stage.address("fetch")}`],
  ]);
}

/** An SFTP server without any limits, run by root of `fetch`: what is refused elsewhere works there. */
export async function unlimitedSftp(stage: Stage): Promise<RawSftp> {
  return await RawSftp.start(await stage.command("fetch", ["/usr/lib/openssh/sftp-server"]));
}

/** Everything below the mailboxes but their ledgers: names, kinds, modes, owners, link counts, contents. */
export async function mailboxes(stage: Stage): Promise<string> {
  const find = "find . -path './*/ledger' -prune -o";
  const script = `cd /srv/mail && ${find} -printf '%p %y %m %u:%g %n\\n' | sort && ${find} -type f -exec sha256sum {} + | sort`;
  const { status, stdout, stderr } = await stage.exec("fetch", ["sh", "-c", script]);
  assert.equal(status, 0, stderr);
  return stdout.toString("utf8");
}

/** Adds a file as the courier does and gives its path. */
export async function deposit(sftp: RawSftp, account: string, content: Buffer): Promise<string> {
  const name = createHash("sha256").update(content).digest("hex");
  const temporary = `/${account}/incoming/${randomBytes(16).toString("hex")}`;
  const opened = await sftp.open(temporary, OPEN.write | OPEN.create | OPEN.exclusive);
  assert.ok(granted(opened), "open");
  const steps = {
    write: await sftp.ask(ASK.write, [opened.handle, 0n, content]),
    fsync: await sftp.ask(ASK.extended, ["fsync@openssh.com", opened.handle]),
    link: await sftp.ask(ASK.extended, ["hardlink@openssh.com", temporary, `/${account}/mail/${name}.age`]),
    close: await sftp.ask(ASK.close, [opened.handle]),
  };
  for (const [step, answer] of Object.entries(steps)) assert.ok(granted(answer), step);
  return `/${account}/mail/${name}.age`;
}

export function depositKeyTests(stage: () => Stage): void {
  describe("the link key of `in` on `fetch`", () => {
    let link: RawSftp;
    let free: RawSftp;
    let paths: { mail: string; other: string };

    before(async () => {
      link = await RawSftp.start(await linkKey(stage(), "deposit", "-s").then((command) => [...command, "sftp"]));
      free = await unlimitedSftp(stage());
    });
    after(async () => {
      await link?.close();
      await free?.close();
    });

    test("adds files, and each belongs to nobody who could change it", async () => {
      paths = {
        mail: await deposit(link, "alice", Buffer.from("first")),
        other: await deposit(link, "alice", Buffer.from("second")),
      };
      const tree = await mailboxes(stage());
      assert.match(tree, new RegExp(`\\.${paths.mail} f 444 deposit:deposit 2\\n`));
    });

    for (const { what, run } of attempts) {
      test(`can't ${what}`, async () => {
        const was = await mailboxes(stage());
        const answer = await run(link, { top: "", ...paths });
        assert.ok(!granted(answer), `was granted, ${answer.status}`);
        assert.equal(await mailboxes(stage()), was);
        const control = await run(free, {
          top: "/srv/mail",
          mail: `/srv/mail${paths.mail}`,
          other: `/srv/mail${paths.other}`,
        });
        assert.ok(granted(control), `control: refused with ${control.status}: ${control.body.toString("latin1")}`);
      });
    }

    test("can't put a file over another by a link", async () => {
      const victim = await deposit(link, "alice", Buffer.from("victim"));
      const forged = await deposit(link, "alice", Buffer.from("forged"));
      const was = await mailboxes(stage());
      assert.ok(!granted(await link.ask(ASK.extended, ["hardlink@openssh.com", forged, victim])));
      assert.equal(await mailboxes(stage()), was);
      // The same request works where no file is.
      assert.ok(granted(await link.ask(ASK.extended, ["hardlink@openssh.com", forged, "/alice/incoming/free"])));
    });

    test("can't change a handle's file but by writing what is new", async () => {
      const temporary = "/alice/incoming/handle";
      const { handle } = await link.open(temporary, OPEN.write | OPEN.create | OPEN.exclusive);
      const control = await free.open(`/srv/mail${temporary}`, OPEN.read | OPEN.write);
      const requests: [number, (handle: Buffer) => Parameters<RawSftp["ask"]>[1]][] = [
        [ASK.fsetstat, (one) => [one, anyMode]],
        [ASK.fstat, (one) => [one]],
        [ASK.read, (one) => [one, 0n, 10]],
        [ASK.extended, (one) => ["fstatvfs@openssh.com", one]],
      ];
      await free.ask(ASK.write, [control.handle, 0n, Buffer.from("text")]);
      for (const [type, parts] of requests) {
        assert.ok(!granted(await link.ask(type, parts(handle))), `request ${type}`);
        assert.ok(granted(await free.ask(type, parts(control.handle))), `control of request ${type}`);
      }
    });

    test("sees nothing outside the mailboxes, and no folder but theirs takes a file", async () => {
      for (const path of [
        "/etc/passwd",
        "/../etc/passwd",
        "/alice/mail/../../../etc/passwd",
        "/../../srv/usage/usage",
      ]) {
        assert.ok(!granted(await link.open(path, OPEN.read)), path);
        assert.ok(!granted(await link.ask(ASK.lstat, [path])), path);
      }
      for (const folder of ["", "/alice", "/nobody/mail", "/..", "/etc"]) {
        assert.ok(!granted(await link.open(`${folder}/new`, OPEN.write | OPEN.create)), folder);
      }
      assert.ok(granted(await free.open("/etc/passwd", OPEN.read)), "control: the file is there");
      assert.ok(granted(await link.ask(ASK.lstat, ["/alice/incoming/free"])), "control: it can see what it added");
    });

    test("reads the sizes of mailboxes and can't write them", async () => {
      const usage = await RawSftp.start(await linkKey(stage(), "usage", "-s").then((command) => [...command, "sftp"]));
      try {
        assert.ok(granted(await usage.open("/usage", OPEN.read)), "control: reading");
        for (const flags of [OPEN.write, OPEN.write | OPEN.truncate, OPEN.write | OPEN.append]) {
          assert.ok(!granted(await usage.open("/usage", flags)));
          assert.ok(granted(await free.open("/srv/usage/usage", OPEN.write)), "control");
        }
        assert.ok(!granted(await usage.open("/new", OPEN.write | OPEN.create)));
        assert.ok(!granted(await usage.ask(ASK.remove, ["/usage"])));
        assert.ok(!granted(await usage.ask(ASK.rename, ["/usage", "/usage2"])));
        assert.ok(!granted(await usage.ask(ASK.opendir, ["/"])));
        assert.ok(!granted(await link.open("/../usage/usage", OPEN.write)));
      } finally {
        await usage.close();
      }
    });
  });
}
