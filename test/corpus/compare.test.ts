import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { renameTraceFields } from "#core/mail/trace-fields.ts";
import { deliveryFault, expectedAfterDelivery, expectedBehindFields, firstDifference } from "#test/corpus/compare.ts";
import { type CorpusMail, corpus } from "#test/corpus/corpus.ts";

const block = `Shoal-Length: 300
Return-Path: <al@post.example>
Delivered-To: alice@shoal.example
Received: from mx.post.example (mx.post.example [10.84.0.25])
\tby in.mail.shoal.example with ESMTPS;
\tSun, 22 Nov 2026 02:00:00 +0000
Received: by mx.post.example (Postfix)
`;

const spam = "X-Spam: yes\nX-Spam-Score: 8 / 30\nX-Spam-Status: Yes, score=8.000 required=30.000\n\ttests=[A=1.000]\n";

function mailOf(text: string): CorpusMail {
  return { name: "x", why: "a test", expect: "exact", bytes: Buffer.from(text, "latin1") };
}

function expected(text: string): string {
  return expectedAfterDelivery(mailOf(text)).toString("latin1");
}

test("line ends become LF, the last line gets one", () => {
  assert.equal(expected(""), "");
  assert.equal(expected("\r\n"), "\n");
  assert.equal(expected("A: 1\r\n\r\nx\r\n\r\n"), "A: 1\n\nx\n\n");
  assert.equal(expected("A: 1\r\n\r\nx"), "A: 1\n\nx\n");
});

test("fields that pass for ours get another name, up to the end of the header", () => {
  assert.equal(
    expected("Return-Path: a\r\n\tDelivered-To: b\r\nSHOAL-x : c\r\nShoalish: d\r\n\r\nReturn-Path: e\r\n"),
    "X-Outside-Return-Path: a\n\tDelivered-To: b\nX-Outside-SHOAL-x : c\nShoalish: d\n\nReturn-Path: e\n",
  );
  assert.equal(expected("no field\r\nReturn-Path: a\r\n"), "no field\nReturn-Path: a\n");
  assert.equal(expected(" x\r\nReturn-Path: a\r\n"), "X-Outside-Continuation: x\nX-Outside-Return-Path: a\n");
  assert.equal(expected("From a b\r\nReturn-Path: a\r\n"), "From a b\nX-Outside-Return-Path: a\n");
  assert.equal(expected("\xef\xbb\xbfReturn-Path: a\r\n"), "\xef\xbb\xbfX-Outside-Return-Path: a\n");
});

test("agrees with the code that renames on every mail of the corpus", () => {
  for (const mail of corpus().filter(({ expect }) => expect === "exact")) {
    const lf = expectedAfterDelivery({ bytes: mail.bytes });
    const text = mail.bytes.toString("latin1").replaceAll("\r\n", "\n");
    const ended = text === "" || text.endsWith("\n") ? text : `${text}\n`;
    const renamed = renameTraceFields(Buffer.from(ended, "latin1"));
    assert.equal(firstDifference(lf, renamed), null, mail.name);
    const before = "Received: from x\n\tby y\n";
    const whole = renameTraceFields(Buffer.from(before + ended, "latin1"));
    const behind = Buffer.concat([Buffer.from(before), expectedBehindFields(mail)]);
    assert.equal(firstDifference(behind, whole), null, mail.name);
  }
});

test("a mail is right behind any number of whole trace fields", () => {
  for (const mail of corpus().filter(({ expect }) => expect === "exact")) {
    assert.equal(deliveryFault(mail, expectedAfterDelivery(mail)), null, mail.name);
    const message = expectedBehindFields(mail);
    assert.equal(deliveryFault(mail, Buffer.concat([Buffer.from(block), message])), null, mail.name);
    assert.equal(deliveryFault(mail, Buffer.concat([Buffer.from(`${block}${spam}`), message])), null, mail.name);
  }
});

test("other fields in front, or a part of one, are a fault", () => {
  const mail = mailOf("Subject: x\r\n\r\ntext\r\n");
  const message = "Subject: x\n\ntext\n";
  for (const before of [
    "X-Spam-Other: yes\n",
    "Received: from x\n\tby",
    "\n",
    " ",
    "Received: a\n\n",
    `${block}X: y\n`,
  ]) {
    assert.notEqual(deliveryFault(mail, Buffer.from(before + message)), null, before);
  }
});

test("every change of a byte, every cut and every addition is found", () => {
  const mail = mailOf("Received: x\r\nSubject: x\r\n y\r\nReturn-Path: z\r\n\r\nfirst\r\n\r\n.\r\n");
  const right = Buffer.concat([Buffer.from(block), expectedAfterDelivery(mail)]);
  assert.equal(deliveryFault(mail, right), null);
  fc.assert(
    fc.property(
      fc.integer({ min: block.length, max: right.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, flip) => {
        const changed = Buffer.from(right);
        changed[at] = (changed[at] ?? 0) ^ flip;
        assert.notEqual(deliveryFault(mail, changed), null);
        assert.notEqual(deliveryFault(mail, right.subarray(0, at)), null);
        assert.notEqual(deliveryFault(mail, Buffer.concat([right.subarray(0, at), right.subarray(at + 1)])), null);
        const longer = Buffer.concat([right.subarray(0, at + 1), Buffer.of(flip), right.subarray(at + 1)]);
        assert.notEqual(deliveryFault(mail, longer), null);
      },
    ),
  );
});

test("a first line that is special is so only with nothing in front", () => {
  const of = (text: string): string => expectedBehindFields(mailOf(text)).toString("latin1");
  assert.equal(of(" x\r\nReturn-Path: a\r\n"), " x\nX-Outside-Return-Path: a\n");
  assert.equal(of("\xef\xbb\xbfReturn-Path: a\r\n"), "\xef\xbb\xbfReturn-Path: a\n");
  assert.equal(of(">From a b\r\nReturn-Path: a\r\n"), ">From a b\nX-Outside-Return-Path: a\n");
  const named = Buffer.from(`${block}X-Outside-Continuation: x\n\ntext\n`);
  assert.notEqual(deliveryFault(mailOf(" x\r\n\r\ntext\r\n"), named), null);
});

test("a delivered mail that should have been refused is a fault", () => {
  assert.match(
    deliveryFault({ ...mailOf("x"), expect: "refused" }, Buffer.from("x\n")) ?? "",
    /should have been refused/,
  );
});

test("the first difference is told with line, column and both sides", () => {
  const [a, b] = [Buffer.from("one\ntwo\nthree\n"), Buffer.from("one\ntwo\nthr\x01e\n")];
  assert.equal(
    firstDifference(a, b),
    'line 3, column 4 (byte 11): expected "ee\\n", found "\\x01e\\n"; 14 bytes expected, 14 found',
  );
  assert.match(
    firstDifference(a, a.subarray(0, 5)) ?? "",
    /line 2, column 2 .* found the end; 14 bytes expected, 5 found$/,
  );
  assert.equal(firstDifference(a, Buffer.from(a)), null);
});

test("the fault of a large mail is found at its place", () => {
  const bytes = Buffer.alloc(3_000_000, "0123456789\r\n");
  const delivered = expectedAfterDelivery({ bytes });
  delivered[2_500_000] = 0x21;
  assert.match(deliveryFault({ ...mailOf(""), bytes }, delivered) ?? "", /line 227273, column 9 \(byte 2500000\)/);
});
