import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseNotice } from "#core/mail/notice.ts";
import { exec } from "#host/exec.ts";
import { freePort } from "#test/sshd.ts";
import { type FakeSmtpd, type FakeSmtpdOptions, startFakeSmtpd } from "#test/submit/fake-smtpd.ts";
import type { SubmitConfig } from "../config.ts";
import { NoticeDesk } from "./notice-desk.ts";

const fixtures = new URL("../../../../test/notices/smtpd-7.6/", import.meta.url);
const captured = async (name: string): Promise<string> => await readFile(new URL(`${name}.eml`, fixtures), "latin1");

let folder: string;
let tls: { key: string; cert: string };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-notices-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  await exec("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"],
    ...["-subj", "/CN=somebody.example", "-keyout", key, "-out", cert],
  ]);
  tls = { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface DeskStage {
  readonly ins: readonly FakeSmtpd[];
  readonly log: string[];
  /** Says what smtpd says, waiting for each reply; the last replies first line by first line. */
  readonly say: (lines: readonly string[]) => Promise<string[]>;
  /** A whole notice, as smtpd brings it: the reply to its end. */
  readonly bring: (message: string, to?: string) => Promise<string>;
}

async function withDesk(
  options: { ins: readonly FakeSmtpdOptions[]; maxMemoryBytes?: number; maxMessageBytes?: number },
  body: (stage: DeskStage) => Promise<void>,
): Promise<void> {
  const ins = await Promise.all(options.ins.map(async (one) => await startFakeSmtpd({ tls, ...one })));
  const port = await freePort();
  const log: string[] = [];
  const config = {
    domain: "shoal.example",
    hostname: "out.mail.shoal.example",
    replySeconds: 20,
    limits: { messageBytes: 1_000_000 },
    maxMemoryBytes: options.maxMemoryBytes ?? 64 * 1024 * 1024,
  } as SubmitConfig;
  const desk = new NoticeDesk({
    config,
    notices: {
      port,
      in: ins.map((one) => ({ address: "127.0.0.1", port: one.port })),
      maxMessageBytes: options.maxMessageBytes ?? 1_000_000,
      queueHours: 24,
    },
    grader: { grade: async () => new Map() },
    log: (text) => log.push(text),
  });
  const server = await desk.listen();
  const say = async (lines: readonly string[]): Promise<string[]> => await converse(port, lines);
  try {
    await body({
      ins,
      log,
      say,
      async bring(message, to = "alice@shoal.example") {
        const data = `${message.replaceAll("\r\n.", "\r\n..")}.`;
        const replies = await say(["EHLO smtpd", "MAIL FROM:<>", `RCPT TO:<${to}>`, "DATA", data, "QUIT"]);
        return replies[5] ?? "";
      },
    });
    for (const one of ins) assert.deepEqual(one.mistakes, []);
  } finally {
    desk.close();
    server.close();
    for (const one of ins) await one.stop();
  }
}

/** Last lines of the replies, the greeting first. */
async function converse(port: number, lines: readonly string[]): Promise<string[]> {
  const socket = connect(port, "127.0.0.1");
  const replies: string[] = [];
  const left = [...lines];
  let buffered = "";
  socket.on("data", (chunk: Buffer) => {
    buffered += chunk.toString("latin1");
    for (let end = buffered.indexOf("\r\n"); end >= 0; end = buffered.indexOf("\r\n")) {
      const line = buffered.slice(0, end);
      buffered = buffered.slice(end + 2);
      if (line[3] === "-") continue;
      replies.push(line);
      const next = left.shift();
      if (next !== undefined) socket.write(`${next}\r\n`, "latin1");
    }
  });
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("error", () => resolve());
  });
  return replies;
}

test("a notice goes to `in` inside TLS, without a sender, and is the same each time", async () => {
  await withDesk({ ins: [{}] }, async ({ ins: [first], bring }) => {
    const message = await captured("no-such-user");
    for (let turn = 0; turn < 2; turn += 1) assert.match(await bring(message, "Alice+x@shoal.example"), /^250 /);
    const [one, other] = first?.taken ?? [];
    assert.deepEqual([one?.from, one?.recipients], ["", ["Alice+x@shoal.example"]]);
    assert.ok(one !== undefined && other !== undefined && one.message.equals(other.message));
    assert.equal(parseNotice(one.message)?.recipients[0]?.cause, "no-such-user");
    assert.match(
      one.message.toString(),
      /^ {2}ssh alice@out\.mail\.shoal\.example send nobody@post\.example < message\.eml/m,
    );
  });
});

test("what is in the way between us and `in` is smtpd's to try again", async () => {
  const message = await captured("no-such-user");
  const usual: FakeSmtpdOptions["answer"] = () => undefined;
  for (const [what, answer, expected] of [
    ["cut before", (line: string) => (line === "connect" ? null : undefined), /^451 /],
    ["cut after the message", (line: string) => (line === "." ? null : undefined), /^451 /],
    ["no TLS", (line: string) => (line === "STARTTLS" ? "454 4.7.0 no" : undefined), /^451 /],
    ["put off", (line: string) => (line === "." ? "451 4.3.0 not now" : undefined), /^451 /],
    ["mailbox full", (line: string) => (line.startsWith("RCPT") ? "552 5.2.2 full" : undefined), /^451 /],
    [
      "nobody there",
      (line: string) => (line.startsWith("RCPT") ? "550 5.1.1 no such user" : undefined),
      /^550 5\.1\.1/,
    ],
    ["fine", usual, /^250 /],
  ] as const) {
    await withDesk({ ins: [{ answer }] }, async ({ bring, log }) => {
      assert.match(await bring(message), expected, what);
      assert.ok(!log.join().includes("alice@"), "the log names nobody");
    });
  }
  // A second machine helps.
  await withDesk({ ins: [{ answer: () => null }, {}] }, async ({ ins: [, second], bring }) => {
    assert.match(await bring(message), /^250 /);
    assert.equal(second?.taken.length, 1);
  });
});

test("a notice that is refused for its content goes without the mail, and then waits", async () => {
  const message = await captured("no-such-user");
  let refusals = 0;
  const once = (line: string): string | undefined => (line === "." && refusals++ === 0 ? "550 5.7.1 spam" : undefined);
  await withDesk({ ins: [{ answer: once }] }, async ({ ins: [first], bring }) => {
    assert.match(await bring(message), /^250 /);
    const taken = first?.taken[0]?.message;
    assert.ok(taken !== undefined && !taken.includes("hello from the test"));
    assert.match(taken.toString(), /There is no such user/);
  });
  const always = (line: string): string | undefined => (line === "." ? "550 5.7.1 spam" : undefined);
  await withDesk({ ins: [{ answer: always }] }, async ({ bring }) => assert.match(await bring(message), /^451 /));
});

test("what smtpd has not written goes as it is, dots and all; what is too large waits", async () => {
  await withDesk({ ins: [{}] }, async ({ ins: [first], bring }) => {
    const odd = "Subject: hm\r\n\r\n.\r\n..\r\n.x\r\n";
    assert.match(await bring(odd), /^250 /);
    assert.equal(first?.taken[0]?.message.toString(), odd);
    assert.match(await bring(`Subject: x\r\n\r\n${"y".repeat(3_000_000)}\r\n`), /^451 /);
    assert.equal(first?.taken.length, 1);
  });
});

test("a notice about the largest mail comes through where there is memory for hardly one", async () => {
  const message = (await captured("no-such-user")).replace("hello from the test", "y".repeat(72));
  const large = message.replace("y".repeat(72), `${"y".repeat(98)}\r\n`.repeat(10_000));
  await withDesk({ ins: [{}], maxMemoryBytes: 1, maxMessageBytes: 2_000_000 }, async ({ ins: [first], bring }) => {
    assert.match(await bring(large), /^250 /);
    assert.ok((first?.taken[0]?.message.length ?? 0) > 1_000_000);
  });
});

test("nothing but notices for our own comes in", async () => {
  await withDesk({ ins: [{}] }, async ({ ins: [first], say }) => {
    const codes = async (lines: readonly string[]): Promise<string[]> =>
      (await say([...lines, "QUIT"])).map((line) => line.slice(0, 3));
    assert.deepEqual(await codes(["EHLO x", "MAIL FROM:<boss@shoal.example>"]), ["220", "250", "550", "221"]);
    assert.deepEqual(await codes(["EHLO x", "RCPT TO:<alice@shoal.example>", "DATA"]), [
      "220",
      "250",
      "503",
      "503",
      "221",
    ]);
    const toOthers = ["EHLO x", "MAIL FROM:<>", "RCPT TO:<x@post.example>", "RCPT TO:<x@xshoal.example>", "DATA"];
    assert.deepEqual(await codes(toOthers), ["220", "250", "250", "550", "550", "503", "221"]);
    const two = ["EHLO x", "MAIL FROM:<>", "RCPT TO:<a@shoal.example>", "RCPT TO:<b@shoal.example>", "VRFY x"];
    assert.deepEqual(await codes(two), ["220", "250", "250", "250", "452", "502", "221"]);
    // Two messages in one: whoever says something behind the end has not waited for our answer.
    const smuggled = "Subject: x\r\n\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@shoal.example>\r\nDATA\r\nx\r\n.";
    const replies = await say(["EHLO x", "MAIL FROM:<>", "RCPT TO:<a@shoal.example>", "DATA", smuggled, "QUIT"]);
    assert.deepEqual(
      replies.map((line) => line.slice(0, 3)),
      ["220", "250", "250", "250", "354"],
    );
    assert.deepEqual(await codes([`EHLO ${"x".repeat(5000)}`]), ["220"]);
    assert.equal(first?.taken.length, 0);
  });
});
