import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as fc from "fast-check";
import { visibleText } from "#cli/visible.ts";
import { composeSealedMail, parseSealedMail } from "#core/mail/sealed-mail.ts";
import { corpus } from "#test/corpus/corpus.ts";
import { printProfile } from "./profile.ts";
import { printMail } from "./show.ts";

/** The content of a file in the Maildir, as `shoal sync` stores it. */
function delivered(message: string | Buffer, time = 1_795_312_800): Buffer {
  const trace = {
    sender: "ada@post.example",
    addresses: ["alice@shoal.example", "alias@shoal.example"],
    helo: "mx.post.example",
    rdns: "mx.post.example",
    ip: "192.0.2.1",
    host: "in.shoal.example",
    protocol: "ESMTPS",
    time,
  } as const;
  const lines = Buffer.from(message).toString("latin1").replaceAll("\r\n", "\n");
  const mail = parseSealedMail(composeSealedMail(trace, Buffer.from(lines, "latin1")));
  return Buffer.concat([mail.block, mail.message]);
}

test("shows who, when, what, where to, the text, and names the rest", () => {
  const message = [
    "Delivered-To: forged@shoal.example",
    "From: =?utf-8?q?Lovelace=2C_Ada?= <ada@post.example>",
    "To: Alice <alice@shoal.example>,",
    " b@c",
    "Cc: d@e",
    "Date: Sun, 22 Nov 2026 02:00:00 +0000",
    "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: multipart/alternative; boundary=c",
    "",
    "--c",
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "Gr=FC=DFe =1B[31m",
    "--c",
    "Content-Type: text/html",
    "",
    "<p>x",
    "--c--",
    "--b",
    "Content-Type: application/pdf",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment; filename*=utf-8''%C3%9C%22,%20x%0A.pdf",
    "",
    "YWJj",
    "--b--",
    "",
  ].join("\n");
  assert.equal(
    printMail(delivered(message)),
    `From: "Lovelace, Ada" <ada@post.example>
To: Alice <alice@shoal.example>, b@c
Cc: d@e
Date: Sun, 22 Nov 2026 02:00:00 +0000
Subject: Grüße
Delivered-To: alice@shoal.example
Delivered-To: alias@shoal.example
Part: text/html, 4 B
Attachment: "Ü\\", x\\x0a.pdf", application/pdf, 3 B

Grüße \\x1b[31m
`,
  );
});

test("says so when a mail is HTML only, and when there is nothing to read", () => {
  assert.equal(
    printMail(Buffer.from("Content-Type: text/html\n\n<p>Hello <a href='https://x.example'>you</a>\n")),
    "Note: this mail is HTML only, its tags were taken away\n\nHello you <https://x.example>\n",
  );
  assert.equal(
    printMail(Buffer.from("Content-Type: image/png; name=x.png\n\nabc")),
    'Attachment: "x.png", image/png, 3 B\nNote: there is no text in this mail\n\n',
  );
});

test("no mail forges what we say in front of its text", () => {
  const shown = printMail(
    delivered("Subject: x=?utf-8?q?=0A=0ADelivered-To:_forged?=\nnot a field\nDelivered-To: forged\n\nx"),
  );
  const [head = ""] = shown.split("\n\n", 1);
  assert.deepEqual(
    head.split("\n").map((line) => line.split(":", 1)[0]),
    ["Subject", "Delivered-To", "Delivered-To"],
  );
});

test("a mail of very many parts names some and counts the others", () => {
  const shown = printMail(Buffer.from(`Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(100_000)}`));
  assert.match(shown, /^Parts: and 4899 more$/m);
  assert.match(shown, /^Note: made of more than 5000 parts/m);
  assert.ok(shown.length < 10_000);
});

test("any bytes and any changed mail of the corpus are shown, and nothing of them steers the terminal", () => {
  const mails = corpus().filter(({ bytes }) => bytes.length < 10_000);
  for (const { bytes } of mails) assert.equal(visibleText(printMail(delivered(bytes))), printMail(delivered(bytes)));
  const change = fc.record({ at: fc.nat(10_000), remove: fc.nat(40), insert: fc.uint8Array({ maxLength: 8 }) });
  const changed = fc.tuple(fc.constantFrom(...mails), change).map(([{ bytes }, { at, remove, insert }]) => {
    const start = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]);
  });
  const anything = fc.uint8Array({ maxLength: 1000 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(changed, anything), (bytes) => {
      const shown = printMail(bytes);
      assert.equal(visibleText(shown), shown);
    }),
    { numRuns: 300 },
  );
});

interface Outcome {
  status: number;
  stdout: Buffer;
  stderr: string;
}

/** A profile whose Maildir holds these contents, and the program to run with it. */
function makeProfile(t: TestContext, contents: readonly Buffer[]): (...args: string[]) => Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), "shoal-show-"));
  t.after(() => rmSync(root, { recursive: true }));
  const maildir = join(root, "mail");
  mkdirSync(join(maildir, "new"), { recursive: true });
  mkdirSync(join(maildir, "cur"));
  mkdirSync(join(root, "shoal", "default"), { recursive: true });
  const profile = { account: "alice", host: "fetch.example", folder: "/mail", identities: ["/nowhere"], maildir };
  writeFileSync(join(root, "shoal", "default", "profile.json"), printProfile(profile));
  for (const content of contents) writeFileSync(join(maildir, "new", `${sha256(content)}.shoal`), content);
  const env = { ...process.env, XDG_CONFIG_HOME: root, XDG_STATE_HOME: root, TZ: "UTC" };
  const program = join(import.meta.dirname, "main.ts");
  return async (...args) =>
    await new Promise((done) => {
      execFile(process.execPath, [program, ...args], { env, encoding: "buffer" }, (error, stdout, stderr) => {
        done({ status: error === null ? 0 : Number(error.code), stdout, stderr: stderr.toString() });
      });
    });
}

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

test("the program lists and shows what lies in the Maildir", async (t) => {
  const second = delivered("From: b@c\nSubject: two\n\n\x1b[31m\n", 1_795_312_860);
  const first = delivered("From: a@b\nSubject: one \x9b\n\nx\n", 1_795_312_800);
  const shoal = makeProfile(t, [second, first]);

  const list = await shoal("list");
  assert.deepEqual([list.status, list.stderr], [0, ""]);
  assert.match(list.stdout.toString(), /^1 {2}2026-11-22 .*a@b .*one \S+\n2 {2}.*b@c .*two\n$/);

  const json = await shoal("list", "--json");
  const mails = JSON.parse(json.stdout.toString().trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>[];
  assert.deepEqual(Object.keys(mails[0] ?? {}), ["number", "id", "date", "from", "subject", "bytes", "file"]);
  assert.deepEqual([mails[1]?.["number"], mails[1]?.["id"], mails[1]?.["bytes"]], [2, sha256(second), second.length]);

  assert.match(
    (await shoal("show", "2")).stdout.toString(),
    /^Subject: two\n(?:Delivered-To: .*\n){2}\n\\x1b\[31m\n$/m,
  );
  const raw = await shoal("show", sha256(second).slice(0, 12), "--raw");
  assert.ok(raw.stdout.equals(second));

  for (const args of [["show"], ["show", "3"], ["show", "ffffffffffff"], ["show", "1", "2"], ["list", "1"]]) {
    const { status, stdout, stderr } = await shoal(...args);
    assert.deepEqual([status, stdout.length], [64, 0], args.join(" "));
    assert.match(stderr, /^shoal: error: .+\nshoal: hint: .+\n$/);
  }
});

test("an empty Maildir: a word to the person, an empty array to programs", async (t) => {
  const shoal = makeProfile(t, []);
  const { status, stdout, stderr } = await shoal("list");
  assert.deepEqual([status, stdout.length], [0, 0]);
  assert.match(stderr, /there is no mail/);
  assert.equal((await shoal("list", "--json")).stdout.toString(), "[]\n");
  assert.match((await shoal("show", "1")).stderr, /there is no mail yet/);
});
