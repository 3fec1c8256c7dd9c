/**
 * Every mail of the corpus from a stranger's server to its owner's Maildir, byte for byte and once; and the answers that
 * strangers get at the door.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveryFault } from "#test/corpus/compare.ts";
import { type CorpusMail, corpus, dataBytes, passesMailServers } from "#test/corpus/corpus.ts";
import { corpusRecords } from "#test/corpus/dkim.ts";
import { dkimVerdicts } from "#test/corpus/dkim-verify.ts";
import { signedPrefix } from "#test/corpus/signed.ts";
import { lineOf, makeKey } from "#test/owner.ts";
import { until } from "#test/until.ts";
import { deliveries, submit, submitAll } from "#test/world/send.ts";
import { smtpDialogue } from "#test/world/smtp-probe.ts";
import { exim, post } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";
import { type Delivered, receivedBy, sendRaw, untilAllArrived } from "./mail-flow.ts";

const domain = "shoal.example";
/** The definition's limit of a message, and all that Carol's mailbox may hold: one mail of nearly that size. */
const limitBytes = 35_000_000;
const large = "attachment-25-megabytes";
/** One mail in so many goes through Exim instead of Postfix. */
const eximShare = 6;
const mails = corpus();
const exactMails = mails.filter(({ expect }) => expect === "exact");

const stage = flowStage({
  records: corpusRecords(),
  // Room enough for Alice: what she has fetched counts until mailboxes are counted again.
  changes: [["quota: 100 MB", "quota: 1 GB"]],
  moreAccounts: [{ name: "carol", quotaBytes: 35_000_000, keys: [`auth,seal ${lineOf(makeKey())}`] }],
});

/** The address under which one mail is found again. */
function marked(tag: string, person = "alice"): string {
  return `${person}+${tag}@${domain}`;
}

function withTag(received: readonly Delivered[], tag: string, person = "alice"): Delivered[] {
  return received.filter(({ addresses }) => addresses.includes(marked(tag, person)));
}

function small(subject: string): Buffer {
  return Buffer.from(
    `From: ada@post.example\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@post.example>\r\n\r\nhello\r\n`,
  );
}

/** The only mail with that tag, as it arrived. */
function only(received: readonly Delivered[], tag: string, person = "alice"): Delivered {
  const [found, ...more] = withTag(received, tag, person);
  assert.ok(found !== undefined, `"${tag}" did not arrive`);
  assert.equal(more.length, 0, `"${tag}" arrived ${more.length + 1} times`);
  return found;
}

test("mail that mail servers pass on, from Postfix and Exim", async () => {
  const passing = exactMails.filter(passesMailServers);
  const throughExim = passing.filter(({ name }, index) => index % eximShare === 0 && name !== large);
  const throughPostfix = passing.filter((mail) => !throughExim.includes(mail));
  assert.ok(throughPostfix.length > 90 && throughExim.length >= 20);
  const parcel = (sender: string) => (mail: CorpusMail) => ({
    // The large one fills Carol's mailbox on the way.
    envelope: { from: sender, to: [marked(mail.name), ...(mail.name === large ? [`carol@${domain}`] : [])] },
    message: mail.bytes,
  });
  await Promise.all([
    submitAll(stage().exec, post, throughPostfix.map(parcel("ada@post.example"))),
    submitAll(stage().exec, exim, throughExim.map(parcel("ada@exim.example"))),
  ]);
  await untilAllArrived(stage());
  await expectAll(passing);
});

test("mail that only an odd sender brings, with and without TLS", async () => {
  const odd = exactMails.filter((mail) => !passesMailServers(mail));
  assert.ok(odd.length >= 20);
  for (const [index, mail] of odd.entries()) {
    const raw = { from: "<odd@world.example>", to: [marked(mail.name)], data: dataBytes(mail), tls: index % 2 === 1 };
    const { end } = await sendRaw(stage(), raw);
    assert.match(end, /^250 /, mail.name);
  }
  await untilAllArrived(stage());
  await expectAll(odd);
});

/** Each is in Alice's Maildir once and unchanged. */
async function expectAll(wanted: readonly CorpusMail[]): Promise<void> {
  const received = await receivedBy(stage(), "alice");
  const faults = wanted.flatMap((mail) => {
    const found = withTag(received, mail.name);
    const [first] = found;
    if (first === undefined || found.length > 1) return [`"${mail.name}" arrived ${found.length} times`];
    return deliveryFault(mail, first.bytes) ?? [];
  });
  assert.deepEqual(faults, []);
}

test("mail that must not pass is refused for good, and nothing of it arrives", async () => {
  const wrong = mails.filter(({ expect }) => expect === "refused");
  assert.ok(wrong.length >= 15);
  for (const [index, mail] of wrong.entries()) {
    const raw = { from: "<odd@world.example>", to: [marked("refused")], data: dataBytes(mail), tls: index % 2 === 1 };
    const { end } = await sendRaw(stage(), raw);
    assert.match(end, /^5\d\d 5\./, mail.name);
  }
  await untilAllArrived(stage());
  // Nor what a smuggler hid behind a false end: everything there is has a known tag.
  const known = new Set(exactMails.map(({ name }) => marked(name)));
  const received = await receivedBy(stage(), "alice");
  assert.deepEqual(
    received.filter(({ addresses }) => !addresses.some((address) => known.has(address))),
    [],
  );
});

test("certain spam is refused, possible spam is marked and otherwise unchanged", async () => {
  // Every spam filter knows this line, and takes it for spam.
  const line = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
  const certain = stuffed(Buffer.concat([small("spam"), Buffer.from(line)]));
  const { end } = await sendRaw(stage(), { from: "<odd@world.example>", to: [marked("spam")], data: certain });
  assert.match(end, /^550 /);
  const received = await receivedBy(stage(), "alice");
  assert.deepEqual(withTag(received, "spam"), []);
  const isMarked = (tag: string): boolean => only(received, tag).bytes.includes("\nX-Spam: yes\nX-Spam-Score: ");
  assert.equal(isMarked("header-duplicates"), true);
  assert.equal(isMarked("plain-text"), false);
});

test("DKIM signatures verify where mail is read, and not on a mail that was changed", async () => {
  const tag = "tampered";
  const signed = exactMails.filter(({ name }) => name.startsWith(signedPrefix));
  const intact = signed.find(({ name }) => name === `${signedPrefix}rsa-relaxed`)?.bytes.toString("latin1") ?? "";
  const changed = intact.replace("\r\ntext\r\n", "\r\ntest\r\n");
  assert.notEqual(changed, intact);
  await submit(stage().exec, post, { from: "ada@post.example", to: [marked(tag)] }, Buffer.from(changed, "latin1"));
  await untilAllArrived(stage());
  const received = await receivedBy(stage(), "alice");
  const tags = [...signed.map(({ name }) => name), tag];
  const verdicts = await dkimVerdicts(
    tags.map((name) => only(received, name).bytes),
    corpusRecords(),
  );
  for (const [index, name] of tags.entries()) {
    const own = verdicts[index] ?? [];
    assert.equal(own.length, name === `${signedPrefix}two-signatures` ? 2 : 1, name);
    for (const { valid, reason, key } of own) {
      assert.equal(valid, name !== tag, `${name}, ${key}: ${reason}`);
      assert.match(key, /\._domainkey\.post\.example$/);
    }
  }
});

test("several recipients, one of them unknown, from Postfix", async () => {
  const tag = "several";
  const to = [marked(tag), `nobody@${domain}`, marked(tag, "bob")];
  const id = await submit(stage().exec, post, { from: "ada@post.example", to }, small(tag));
  await untilAllArrived(stage());
  for (const person of ["alice", "bob"]) {
    const { addresses } = only(await receivedBy(stage(), person), tag, person);
    assert.deepEqual(addresses, [marked(tag, person)], "nobody learns who else got it");
  }
  const tries = await deliveries(stage().exec, post, id);
  const unknown = tries.filter((one) => one.to === `nobody@${domain}`);
  assert.equal(unknown.length, 1, "given up at once");
  assert.equal(unknown[0]?.status, "bounced");
  assert.match(unknown[0].reason, /550 5\.1\.1/);
});

test("one person under many addresses gets one mail that names all", async () => {
  const tag = "often";
  const to = [`alice@${domain}`, `alice@${domain}`, marked(tag), `bob@${domain}`, `ALICE@${domain}`, marked("x.y")];
  const { recipients, end } = await sendRaw(stage(), { from: "<odd@world.example>", to, data: stuffed(small(tag)) });
  for (const answer of [...recipients, end]) assert.match(answer, /^250 /);
  await untilAllArrived(stage());
  const { addresses } = only(await receivedBy(stage(), "alice"), tag);
  assert.deepEqual(addresses, [`alice@${domain}`, marked(tag), `ALICE@${domain}`, marked("x.y")]);
  const others = (await receivedBy(stage(), "bob")).filter(({ bytes }) => bytes.includes(`Subject: ${tag}\n`));
  assert.deepEqual(
    others.map((mail) => mail.addresses),
    [[`bob@${domain}`]],
  );
});

function stuffed(bytes: Buffer): Buffer {
  return dataBytes({ name: "small", why: "", expect: "exact", bytes });
}

/** Answers to the lines behind EHLO. */
async function answers(...lines: string[]): Promise<string[]> {
  const all = await smtpDialogue(stage().address("in"), 25, ["EHLO stranger.world.example", ...lines]);
  return all.slice(2, 2 + lines.length);
}

test("nothing is taken for others", async () => {
  const foreign = [
    "carol@post.example",
    "a@elsewhere.example",
    `a@sub.${domain}`,
    `a%post.example@${domain}`,
    "postmaster",
  ];
  const [mail, ...refusals] = await answers(
    "MAIL FROM:<odd@world.example>",
    ...foreign.map((address) => `RCPT TO:<${address}>`),
    `RCPT TO:<@${domain}:carol@post.example>`,
    "DATA",
  );
  assert.match(mail ?? "", /^250 /);
  for (const [index, answer] of refusals.entries()) assert.match(answer, /^5\d\d /, foreign[index] ?? "the end");
  assert.match(refusals[0] ?? "", /^550 5\.7\.1 /);
});

test("what is too large is refused before it is sent, or else after", async () => {
  assert.match((await answers("NOOP"))[0] ?? "", /^250 /);
  const [hello] = (await smtpDialogue(stage().address("in"), 25, ["EHLO stranger.world.example"])).slice(1);
  assert.match(hello ?? "", new RegExp(`^250-SIZE ${limitBytes}\\r?$|^250 SIZE ${limitBytes}\\r?$`, "m"));
  const sized = await answers(
    `MAIL FROM:<odd@world.example> SIZE=${limitBytes + 1}`,
    "MAIL FROM:<odd@world.example> SIZE=12x",
    "MAIL FROM:<odd@world.example> SIZE=",
    "MAIL FROM:<odd@world.example> SIZE=1 SIZE=2",
    "MAIL FROM:<odd@world.example> SIZE=999999999999999999999",
    `MAIL FROM:<odd@world.example> SIZE=${limitBytes}`,
    `RCPT TO:<alice@${domain}>`,
  );
  const expected = [/^552 5\.3\.4 /, /^501 /, /^501 /, /^501 /, /^501 /, /^250 /, /^250 /];
  for (const [index, pattern] of expected.entries()) assert.match(sized[index] ?? "", pattern);

  const line = `${"x".repeat(998)}\r\n`;
  const body = Buffer.from(line.repeat(Math.ceil(limitBytes / line.length)));
  const data = stuffed(Buffer.concat([small("oversize"), body]));
  const { recipients, end } = await sendRaw(stage(), { from: "<odd@world.example>", to: [marked("oversize")], data });
  assert.match(recipients[0] ?? "", /^250 /);
  assert.match(end, /^552 5\.3\.4 /);
  assert.deepEqual(withTag(await receivedBy(stage(), "alice"), "oversize"), []);
});

test("a full mailbox refuses at RCPT, and only for itself", async () => {
  const mail = "MAIL FROM:<odd@world.example>";
  // The large mail of the first test left Carol some hundred kilobytes.
  await untilFull(`${mail} SIZE=1000000`);
  // A mail that comes while mailboxes are counted may count twice until the next count.
  await until("the next count", async () => {
    const [, unsized = ""] = await answers(mail, `RCPT TO:<carol@${domain}>`);
    return unsized.startsWith("250 ");
  });

  const data = stuffed(Buffer.concat([small("full"), Buffer.from(`${"x".repeat(998)}\r\n`.repeat(600))]));
  const { end } = await sendRaw(stage(), { from: "<odd@world.example>", to: [`carol@${domain}`], data });
  assert.match(end, /^250 /, "a sender that does not tell the size may go over the quota once");
  await untilFull(mail);
});

/** Sizes of mailboxes are counted now and then: waits until Carol's is full for that MAIL command. */
async function untilFull(mail: string): Promise<void> {
  await until("Carol's mailbox is full", async () => {
    const [taken, carol = "", alice] = await answers(mail, `RCPT TO:<carol@${domain}>`, `RCPT TO:<alice@${domain}>`);
    assert.match(taken ?? "", /^250 /);
    assert.match(alice ?? "", /^250 /);
    if (carol.startsWith("552 5.2.2 ")) return true;
    assert.match(carol, /^250 /);
    return false;
  });
}

test("8BITMIME is offered and kept, BINARYMIME is not taken", async () => {
  const [hello] = (await smtpDialogue(stage().address("in"), 25, ["EHLO stranger.world.example"])).slice(1);
  assert.match(hello ?? "", /^250[- ]8BITMIME\r?$/m);
  assert.doesNotMatch(hello ?? "", /BINARYMIME|CHUNKING/);
  const eightBit = Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index));
  for (const [tag, parameter] of [
    ["eight-declared", " BODY=8BITMIME"],
    ["eight-not-declared", ""],
    ["eight-lied", " BODY=7BIT"],
  ] as const) {
    const bytes = Buffer.concat([small(tag), eightBit]);
    const raw = { from: `<odd@world.example>${parameter}`, to: [marked(tag)], data: stuffed(bytes) };
    assert.match((await sendRaw(stage(), raw)).end, /^250 /);
    await untilAllArrived(stage());
    const mail: CorpusMail = { name: tag, why: "8-bit", expect: "exact", bytes };
    assert.equal(deliveryFault(mail, only(await receivedBy(stage(), "alice"), tag).bytes), null);
  }
  assert.match((await answers("MAIL FROM:<odd@world.example> BODY=BINARYMIME"))[0] ?? "", /^5\d\d /);
});
