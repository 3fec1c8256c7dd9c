import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type CorpusMail, corpus, dataBytes, passesMailServers } from "#test/corpus/corpus.ts";

const mails = corpus();

function named(name: string): CorpusMail {
  const found = mails.find((mail) => mail.name === name);
  assert.ok(found, name);
  return found;
}

test("many mails, each with a name of its own and a reason", () => {
  assert.ok(mails.length >= 150, String(mails.length));
  assert.equal(new Set(mails.map(({ name }) => name)).size, mails.length);
  for (const { name, why } of mails) {
    assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.ok(why.length > 5, name);
  }
});

test("no two mails have the same bytes", () => {
  const digests = mails.map(({ bytes }) => createHash("sha256").update(bytes).digest("hex"));
  assert.equal(new Set(digests).size, mails.length);
});

test("the same bytes in every run", () => {
  for (const [index, mail] of corpus().entries()) {
    const { name, bytes } = mails[index] ?? mail;
    assert.equal(mail.name, name);
    assert.ok(mail.bytes.equals(bytes), name);
  }
});

test("what is delivered has clean lines, what is refused has not", () => {
  for (const { name, bytes, expect } of mails) {
    const text = bytes.toString("latin1");
    const bare = text.replaceAll("\r\n", "");
    const clean = !/[\0\r\n]/.test(bare) && text.split("\r\n").every((line) => line.length <= 65_000);
    assert.equal(expect === "exact", clean, name);
  }
});

test("sizes from nothing to 25 MB of attachment, under the 35 MB of an ordinary limit", () => {
  assert.equal(named("empty-message").bytes.length, 0);
  const large = named("attachment-25-megabytes").bytes.length;
  assert.ok(large > 34_000_000 && large < 35_000_000, String(large));
  for (const { name, bytes } of mails) assert.ok(bytes.length <= large, name);
});

test("a line of dots is near every border of chunks of any usual size", () => {
  const wire = dataBytes(named("dots-at-every-border")).toString("latin1");
  for (const chunk of [1024, 1448, 4096, 8192, 16_384, 65_536]) {
    for (let border = chunk; border < wire.length - 100; border += chunk) {
      assert.match(wire.slice(border - 16, border + 16), /\r\n\.{2,}\r\n/, String(border));
    }
  }
});

test("on the wire every honest mail ends once, a hostile one before its end", () => {
  for (const mail of mails) {
    const wire = dataBytes(mail).toString("latin1");
    const end = `\r\n${wire}`.indexOf("\r\n.\r\n");
    assert.equal(end, wire.length - 3, mail.name);
    const lenient = /(?:^|[\r\n])\.[\0]?[\r\n]/.exec(wire.slice(0, -3).replaceAll("\r\n..", "\r\n"));
    if (mail.raw === true) assert.ok(lenient, mail.name);
  }
});

test("most mails pass ordinary mail servers, refused ones are none of them", () => {
  const passing = mails.filter(passesMailServers);
  assert.ok(passing.length > 120, String(passing.length));
  for (const { name, expect } of passing) assert.equal(expect, "exact", name);
  assert.equal(mails.filter((mail) => mail.expect === "exact").length - passing.length, 21);
});
