/** `shoal send` and `shoal sendmail` to the real relay script and shoal-submit, through a real sshd; smtpd alone is played. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tryExec } from "#host/exec.ts";
import { MailUser, type Ran } from "#test/mail-user.ts";
import { type SshStage, startSubmitSshd } from "../submit/ssh-stage.ts";
import { type SubmitStage, startSubmit } from "../submit/submit-stage.ts";

const main = new URL("../../src/client/main.ts", import.meta.url).pathname;
let refusal: string | null | undefined;
let stage: SubmitStage;
let front: SshStage;
let user: MailUser;

before(async () => {
  stage = await startSubmit({ strict: { answer: (line) => (line === "." ? refusal : undefined) } });
  front = await startSubmitSshd(stage.folder, stage.config.socket);
  user = await MailUser.create(front.sshd);
  await user.writeProfile({ domain: "example.org", outHost: "127.0.0.1", outPort: front.sshd.port });
});
after(async () => {
  await front.stop();
  await stage.stop();
});

async function shoal(args: readonly string[], input = ""): Promise<Ran> {
  const { status, signal, stdout, stderr } = await tryExec(process.execPath, [main, ...args], { input, env: user.env });
  return { status, signal, stdout: stdout.toString("utf8"), stderr };
}

async function states(): Promise<unknown[]> {
  const { stdout } = await shoal(["outbox", "--json"]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { state: unknown }).state);
}

test("made by flags: accepted with nothing changed, and it leaves as it was meant", async () => {
  const { status, stdout, stderr } = await shoal([
    ...["send", "--to", "Bob Öst <bob@example.net>", "--bcc", "dora@example.com"],
    ...["--subject", "Grüße", "--body", "Hello\n.\n", "--attach", user.profilePath],
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^accepted: 2 recipients, message <[0-9a-f]{32}@example\.org>\n$/, "no word of changes");
  const mail = stage.smtpd.strict.taken.pop();
  assert.deepEqual(mail?.recipients, ["bob@example.net", "dora@example.com"]);
  assert.match(mail.message.toString("latin1"), /\r\nTo: =\?utf-8\?B\?Qm9iIMOWc3Q=\?= <bob@example\.net>\r\n/);
  assert.doesNotMatch(mail.message.toString("latin1"), /dora/);
});

test("by sendmail -t: what programs leave out is there", async () => {
  const { status, stdout, stderr } = await shoal(
    ["sendmail", "-t", "-i"],
    "To: bob@example.net\nBcc: dora@example.com\n\nHi\n",
  );
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  const mail = stage.smtpd.strict.taken.pop();
  assert.deepEqual(mail?.recipients, ["bob@example.net", "dora@example.com"]);
  assert.match(mail.message.toString("latin1"), new RegExp(`\r\nFrom: ${front.login}@example\\.org\r\n`));
});

test("what the server refuses comes back with its reason and status", async () => {
  const forged = await shoal(["send"], "From: eve@example.com\nTo: bob@example.net\n\nx\n");
  assert.equal(forged.status, 77);
  assert.match(forged.stderr, /shoal: refused: .*eve@example\.com/);
  const malformed = await shoal(["send"], `From: ${front.login}@example.org\nTo: bob@example.net\nno field\n\nx\n`);
  assert.equal(malformed.status, 65);
  assert.match(malformed.stderr, /line 3/);
  assert.deepEqual(await states(), []);
});

test("an unprotected way: refused, explained, and sent knowingly", async () => {
  const args = ["send", "--to", "bob@none.example", "--to", "carol@example.net", "--body", "x"];
  for (const more of [[], ["--json"]]) {
    const { status, stdout, stderr } = await shoal([...args, ...more]);
    assert.equal(status, 75);
    if (more.length > 0) assert.equal((JSON.parse(stdout) as { code: string }).code, "UNPROTECTED");
    else assert.match(stderr, /none\.example: the certificate of its mail server is over its time/);
  }
  assert.deepEqual(await states(), []);
  const checked = await shoal(["check", "bob@none.example"]);
  assert.deepEqual(
    [checked.status, checked.stdout],
    [75, "tls-problem none.example certificate-expired mx.none.example\n"],
  );
  assert.equal((await shoal([...args, "--anyway"])).status, 0);
  assert.deepEqual(stage.smtpd.anyway.taken.pop()?.recipients, ["bob@none.example"]);
  assert.deepEqual(stage.smtpd.strict.taken.pop()?.recipients, ["carol@example.net"]);
});

test("smtpd fails for now: kept, and sent when it is back, once and the same", async () => {
  refusal = "451 4.3.0 not now";
  const kept = await shoal(["send", "--to", "bob@example.net", "--body", "later"]);
  assert.equal(kept.status, 75, kept.stderr);
  assert.deepEqual(await states(), ["waiting"]);
  refusal = undefined;
  const flushed = await shoal(["outbox", "flush"]);
  assert.equal(flushed.status, 0, flushed.stderr);
  assert.deepEqual(await states(), []);
  assert.match(stage.smtpd.strict.taken.pop()?.message.toString("latin1") ?? "", /\r\n\r\nlater\r\n$/);
  assert.equal(stage.smtpd.strict.taken.length, 0);
});

test("smtpd dies over its answer: nobody knows, so it is not sent again by itself", async () => {
  refusal = null;
  const ran = await shoal(["send", "--to", "bob@example.net", "--body", "perhaps"]);
  assert.equal(ran.status, 75, ran.stderr);
  assert.deepEqual(await states(), ["unknown"]);
  refusal = undefined;
  await shoal(["outbox", "flush"]);
  assert.deepEqual(stage.smtpd.strict.taken, []);
  assert.equal(
    (await shoal(["outbox", "drop", (await shoal(["outbox"])).stdout.trim().split(" ")[0] ?? ""])).status,
    0,
  );
});
