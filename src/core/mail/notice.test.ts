import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Notice, parseNotice, printNotice } from "./notice.ts";

const notice: Notice = {
  hostname: "out.mail.example.org",
  to: "alice@example.org",
  date: "Sun, 22 Nov 2026 08:00:00 +0000",
  id: "0123456789abcdef0123456789abcdef",
  subject: "Not delivered: bob@example.net",
  text: "Your mail did not reach this recipient.\n",
  recipients: [
    { address: "bob@example.net", action: "failed", status: "5.1.1", cause: "no-such-user", said: "550 5.1.1 no" },
    { address: "eve@example.com", action: "failed", status: "5.7.10", cause: "certificate-expired", said: null },
  ],
  original: Buffer.from("Message-ID: <1@example.org>\r\nSubject: x\r\n\r\nhi\r\n"),
  isWhole: true,
};

test("what is printed is read again, with a block in front and either line end", () => {
  const bytes = printNotice(notice);
  const block = "Shoal-Length: 4711\nReturn-Path: <>\nDelivered-To: alice@example.org\n";
  const stored = Buffer.from(block + bytes.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
  for (const mail of [bytes, stored]) {
    const read = parseNotice(mail);
    assert.deepEqual(read?.recipients, notice.recipients);
    const original = read.original?.toString("latin1").replaceAll("\r\n", "\n");
    assert.equal(original, "Message-ID: <1@example.org>\nSubject: x\n\nhi\n");
  }
  assert.match(bytes.toString(), /^In-Reply-To: <1@example\.org>\r$/m);
  assert.equal(parseNotice(printNotice({ ...notice, isWhole: false }))?.original, null);
});

test("any mail comes back as it was", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      // Only what can be inside a message of ours: a line that is the notice's own boundary can't be guessed.
      const original = Buffer.concat([notice.original, Buffer.from(bytes)]);
      assert.ok(parseNotice(printNotice({ ...notice, original }))?.original?.equals(original));
    }),
  );
});

test("what is no notice is null, whatever it is", () => {
  const text = printNotice(notice).toString("latin1");
  for (const wrong of [
    "",
    "Subject: hi\n\nhi\n",
    text.replace("multipart/report", "multipart/mixed"),
    text.replace("message/delivery-status", "text/plain"),
    text.replaceAll("Final-Recipient", "Original-Recipient"),
    text.replace("Action: failed", "Action: delivered"),
    text.replace(
      "--notice-0123456789abcdef0123456789abcdef--",
      "--notice-0123456789abcdef0123456789abcdef\r\n\r\nmore",
    ),
  ]) {
    assert.equal(parseNotice(Buffer.from(wrong, "latin1")), null, wrong);
  }
  fc.assert(
    fc.property(fc.nat(text.length), fc.string({ unit: "binary", maxLength: 20 }), (at, change) => {
      parseNotice(Buffer.from(text.slice(0, at) + change + text.slice(at + change.length), "latin1"));
    }),
  );
});
