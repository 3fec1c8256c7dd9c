import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { PolicyError } from "#core/errors.ts";
import { MAX_HEADER_BYTES } from "#core/mail/message-fields.ts";
import { findMail, readMaildir } from "./maildir-reader.ts";

function makeMaildir(t: TestContext): string {
  const maildir = mkdtempSync(join(tmpdir(), "shoal-maildir-"));
  t.after(() => rmSync(maildir, { recursive: true }));
  for (const folder of ["new", "cur", "tmp"]) mkdirSync(join(maildir, folder));
  return maildir;
}

function digest(start: string): string {
  return start.padEnd(64, "0");
}

/** A mail as `shoal sync` stores it, delivered at that second. */
function mailAt(second: number, fields = "Subject: x\n"): string {
  const date = new Date(second * 1000).toUTCString().replace("GMT", "+0000");
  return `Shoal-Length: 1\nReturn-Path: <>\nDelivered-To: a@b\nReceived: from a (b [c])\n\tby d with SMTP;\n\t${date}\n${fields}\ntext\n`;
}

async function idsOf(maildir: string): Promise<string[]> {
  return (await readMaildir(maildir)).map(({ id }) => id);
}

test("orders by delivery, then id, in whatever folder a mail lies and whatever its flags are", async (t) => {
  const maildir = makeMaildir(t);
  writeFileSync(join(maildir, "new", `${digest("aa")}.shoal`), mailAt(300));
  writeFileSync(join(maildir, "cur", `${digest("bb")}.shoal:2,S`), mailAt(100));
  writeFileSync(join(maildir, "new", `${digest("dd")}.shoal`), mailAt(200));
  writeFileSync(join(maildir, "cur", `${digest("cc")}.shoal:2,`), mailAt(200, "Date: 1 Jan 2001 00:00 +0000\n"));
  const order = ["bb", "cc", "dd", "aa"].map(digest);
  assert.deepEqual(await idsOf(maildir), order);
  renameSync(join(maildir, "new", `${digest("dd")}.shoal`), join(maildir, "cur", `${digest("dd")}.shoal:2,FS`));
  const mails = await readMaildir(maildir);
  assert.deepEqual(
    mails.map(({ number, id }) => [number, id]),
    order.map((id, index) => [index + 1, id]),
  );
  assert.deepEqual(
    mails.map(({ date }) => date),
    [100, 978_307_200, 200, 300],
  );
});

test("a mail that is seen in both folders counts once; other mail is named by its file, other things are left", async (t) => {
  const maildir = makeMaildir(t);
  writeFileSync(join(maildir, "new", `${digest("aa")}.shoal`), mailAt(300));
  writeFileSync(join(maildir, "cur", `${digest("aa")}.shoal:2,S`), mailAt(300));
  const other = join(maildir, "cur", "1700000000.M1P2.host:2,RS");
  writeFileSync(other, "Subject: copied here\n\n");
  utimesSync(other, 50, 50);
  writeFileSync(join(maildir, "new", ".hidden"), "");
  writeFileSync(join(maildir, "tmp", "unfinished"), "");
  mkdirSync(join(maildir, "new", "folder"));
  symlinkSync("/etc/passwd", join(maildir, "new", "link"));
  execFileSync("mkfifo", [join(maildir, "new", "pipe")]);
  assert.deepEqual(await idsOf(maildir), ["1700000000.M1P2.host", digest("aa")]);
});

test("a Maildir that is not there yet is empty", async () => {
  assert.deepEqual(await readMaildir(join(tmpdir(), "shoal-no-such-maildir")), []);
});

test("long headers are read up to a limit", async (t) => {
  const maildir = makeMaildir(t);
  writeFileSync(join(maildir, "new", "long"), mailAt(1, `X: ${"x".repeat(100_000)}\nSubject: behind\n`));
  writeFileSync(join(maildir, "new", "longer"), mailAt(2, `X: ${"x".repeat(MAX_HEADER_BYTES)}\nSubject: behind\n`));
  const subjects = (await readMaildir(maildir)).map(
    ({ fields }) => fields.find(({ name }) => name === "subject")?.value,
  );
  assert.deepEqual(subjects, ["behind", undefined]);
});

test("finds by number and by the start of an id, and says what is wrong otherwise", async (t) => {
  const maildir = makeMaildir(t);
  for (const [index, start] of ["abcdef012345aa", "abcdef012345bb", "123456789012"].entries()) {
    writeFileSync(join(maildir, "new", `${digest(start)}.shoal`), mailAt(index));
  }
  writeFileSync(join(maildir, "new", "Abcd"), mailAt(10));
  writeFileSync(join(maildir, "new", "Abcde"), mailAt(11));
  const mails = await readMaildir(maildir);
  for (const [wanted, number] of [
    ["1", 1],
    ["03", 3],
    ["123456789012", 3],
    [digest("abcdef012345aa"), 1],
    ["ABCDEF012345B", 2],
    ["Abcd", 4],
  ] as const) {
    assert.equal(findMail(mails, wanted).number, number, wanted);
  }
  for (const wanted of ["0", "6", "999999999", "abcdef012345", "abcdef0", "abc", "", "-1", "1.5", "ffffffffffff"]) {
    assert.throws(
      () => findMail(mails, wanted),
      (error) => error instanceof PolicyError && error.code === "USAGE",
      wanted,
    );
  }
});
