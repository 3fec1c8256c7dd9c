import assert from "node:assert/strict";
import { test } from "node:test";
import { composeSealedMail, parseSealedMail, type Trace } from "#core/mail/sealed-mail.ts";
import { messageDigestOf } from "./open-mail.ts";

const trace: Trace = {
  sender: "ada@example.com",
  addresses: ["alice@example.org", "alice+news@example.org"],
  helo: "mx.example.com",
  rdns: "mx.example.com",
  ip: "192.0.2.7",
  host: "in.mail.example.org",
  protocol: "ESMTPS",
  time: 1_800_000_000,
};
const sent = "Received: by mx.example.com with SMTP id 7\nMessage-ID: <1@example.com>\nSubject: x\n\nhello\n";

function ours(id: string, host = trace.host): string {
  return `Received: \n\tby ${host} (OpenSMTPD) with ESMTP id ${id};\n\tSun, 22 Nov 2026 02:42:5${id.length} +0000 (UTC)\n`;
}

/** The digest of a message that came in once with that trace. */
function digest(message: string, changes: Partial<Trace> = {}): string | undefined {
  return messageDigestOf(parseSealedMail(composeSealedMail({ ...trace, ...changes }, Buffer.from(message, "latin1"))));
}

test("sent again, whatever our machine writes in front, a message has the same digest", () => {
  const first = digest(ours("1") + sent);
  assert.ok(first !== undefined);
  assert.equal(digest(ours("22") + sent), first, "another number and another second");
  assert.equal(digest(`X-Spam: yes\nX-Spam-Status: Yes,\n\ttests=[A]\n${ours("1")}${sent}`), first, "spam fields");
  assert.equal(digest(ours("1") + sent, { time: trace.time + 60, protocol: "ESMTP", helo: "other" }), first, "trace");
  assert.equal(digest(ours("1") + sent, { addresses: [...trace.addresses].reverse() }), first, "order of addresses");
  assert.equal(digest(ours("1") + sent, { addresses: ["alice+news@example.org"] }), first, "one address alone");
});

test("what another sent, or another machine on the way wrote, is another message", () => {
  const first = digest(ours("1") + sent);
  const others = [
    digest(`${ours("1")}${sent}!\n`),
    digest(`${ours("1")}X-Spam: yes\n${sent}`),
    digest(ours("1") + sent, { sender: "eve@example.com" }),
    digest(ours("1", "elsewhere.example") + sent),
    digest(ours("22", "elsewhere.example") + sent),
    digest(ours("1") + ours("2") + sent),
    digest(ours("1") + ours("3") + sent),
    digest(`${ours("1")} folded into what?\n${sent}`),
    digest(`${ours("1")}\tReturn-Path: <x@example.com>\n${sent}`),
    digest(`Received: from a\n${ours("1")}${sent}`),
    digest(`Received: from b\n${ours("1")}${sent}`),
  ];
  assert.equal(new Set([first, ...others]).size, others.length + 1);
});

test("a message without Message-ID has none", () => {
  assert.equal(digest(`${ours("1")}Subject: x\n\nMessage-ID: <1@example.com>\n`), undefined);
});
