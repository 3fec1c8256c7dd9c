/** What is composed is read by Python's email package, and taken by the checks of `out` without a warning. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { prepareSubmission } from "#core/mail/submission/prepare.ts";
import { exec } from "#host/exec.ts";
import { composeMessage, type Draft } from "./compose-message.ts";
import { parseCorrespondent } from "./correspondent.ts";

const FROM = { name: "", address: "alice@example.org" };
const PLAIN: Draft = {
  from: FROM,
  to: [{ name: "", address: "bob@example.net" }],
  cc: [],
  subject: "x",
  body: "Hello\n",
  attachments: [],
  time: 1_800_000_000,
};

const READER = `
import base64, email, email.policy, json, os, sys
from email.header import decode_header, make_header
from email.utils import getaddresses
found = []
for name in sorted(os.listdir(sys.argv[1]), key=int):
    raw = open(os.path.join(sys.argv[1], name), "rb").read()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    defects = [repr(d) for part in message.walk() for d in part.defects]
    defects += [repr(d) for field in message.values() for d in getattr(field, "defects", ())]
    old = email.message_from_bytes(raw)
    # The new parser puts a blank between encoded words in names, the old one does not (RFC 2047 section 6.2).
    people = lambda field: [[str(make_header(decode_header(name))), at] for name, at in getaddresses(old.get_all(field, []))]
    attached = list(message.iter_attachments()) if message.is_multipart() else []
    found.append({
        "defects": defects, "ascii": raw.isascii(), "from": people("From"), "to": people("To"), "cc": people("Cc"),
        "subject": message["Subject"] and str(message["Subject"]), "body": message.get_body().get_content(),
        "date": message["Date"].datetime.timestamp(), "longest": max(map(len, raw.split(b"\\r\\n"))),
        "bare": raw.replace(b"\\r\\n", b"").count(b"\\n") + raw.replace(b"\\r\\n", b"").count(b"\\r"),
        "attached": [[p.get_filename(), p.get_content_type(), base64.b64encode(p.get_payload(decode=True)).decode()] for p in attached],
    })
print(json.dumps(found))
`;

async function readByPython(messages: readonly Buffer[]): Promise<Record<string, unknown>[]> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-compose-"));
  try {
    for (const [index, message] of messages.entries()) await writeFile(join(folder, String(index)), message);
    const { stdout } = await exec("python3", ["-c", READER, folder]);
    return JSON.parse(stdout.toString("utf8")) as Record<string, unknown>[];
  } finally {
    await rm(folder, { recursive: true });
  }
}

const text = (max: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: "grapheme", maxLength: max })
    .map((value) => value.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}\p{Cn}\p{Co}]/gu, "").trim());
const address = fc.constantFrom("bob@example.net", "o'brien@example.com", "a+b.c@xn--bcher-kva.example");
const person = fc.record({ name: text(60).map((name) => name.replaceAll(/\s+/g, " ")), address });

const drafts = fc.record({
  from: fc.record({ name: text(30).map((name) => name.replaceAll(/\s+/g, " ")), address: fc.constant(FROM.address) }),
  to: fc.array(person, { minLength: 1, maxLength: 5 }),
  cc: fc.array(person, { maxLength: 3 }),
  subject: text(300).map((subject) => subject.replaceAll(/\s+/g, " ")),
  body: fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 3000 }),
    fc.string({ unit: fc.constantFrom("a", "=", " ", "\t", ".", "\n", "From ", "é", "\r\n", "-- "), maxLength: 3000 }),
    fc.constant("x".repeat(2000)),
  ),
  attachments: fc.array(
    fc.record({
      name: fc.oneof(
        text(40),
        fc.constantFrom("a.txt", 'we"ird\\.pdf', "Übersicht (1).PDF", "no extension", "x.tar.gz"),
      ),
      content: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 3 },
  ),
  time: fc.integer({ min: 0, max: 4_000_000_000 }),
});

test("Python reads what was written, and finds nothing wrong", async () => {
  const samples = fc.sample(drafts, 150).map((draft) => ({
    ...draft,
    attachments: draft.attachments.map((each) => ({ ...each, name: each.name === "" ? "x" : each.name })),
  }));
  const found = await readByPython(samples.map(composeMessage));
  for (const [index, { from, to, cc, subject, body, attachments, time }] of samples.entries()) {
    const seen = found[index] ?? {};
    const people = (list: readonly { name: string; address: string }[]): string[][] =>
      list.map((each) => [each.name, each.address]);
    assert.deepEqual(seen["defects"], []);
    assert.equal(seen["ascii"], true);
    assert.equal(seen["bare"], 0);
    assert.ok(Number(seen["longest"]) <= 998);
    assert.deepEqual(seen["from"], people([from]));
    assert.deepEqual(seen["to"], people(to));
    assert.deepEqual(seen["cc"], people(cc));
    assert.equal(seen["subject"] ?? "", subject);
    assert.equal(seen["date"], time);
    const expected = body.replace(/\r\n?/g, "\n");
    assert.equal(
      String(seen["body"]).replaceAll("\r\n", "\n"),
      expected === "" || expected.endsWith("\n") ? expected : `${expected}\n`,
    );
    const attached = (seen["attached"] as [string, string, string][]).map(([name, , content]) => [name, content]);
    assert.deepEqual(
      attached,
      attachments.map(({ name, content }) => [name, content.toString("base64")]),
    );
  }
});

test("out takes it and has nothing to change", () => {
  fc.assert(
    fc.property(drafts, (draft) => {
      const message = composeMessage({
        ...draft,
        from: FROM,
        attachments: draft.attachments.map((each) => ({
          ...each,
          // What looks like a folder is cut off there.
          name: each.name.replace(/[/\\:]/g, "") || "x",
        })),
      });
      const { warnings, messageId } = prepareSubmission(message, {
        account: { name: "alice", domain: "example.org", aliases: new Set() },
        envelopeFrom: null,
        recipients: ["bob@example.net"],
        now: 1_800_000_000,
        random: randomBytes,
        threadKey: Buffer.alloc(32, 1),
      });
      assert.deepEqual(warnings, []);
      assert.ok(message.toString("latin1").includes(messageId), "the identifier is kept");
    }),
    { numRuns: 100 },
  );
});

test("types by extension, the shortest encoding, no blind copies", () => {
  const compose = (changes: Partial<Draft>): string => composeMessage({ ...PLAIN, ...changes }).toString("latin1");
  assert.match(compose({}), /\r\nContent-Type: text\/plain; charset=us-ascii\r\n\r\nHello\r\n$/);
  assert.match(
    compose({ body: "Viele Grüße aus dem Harz\n" }),
    /charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nViele Gr=C3=BC=C3=9Fe aus dem Harz\r\n$/,
  );
  assert.match(compose({ body: "привет, как дела" }), /Content-Transfer-Encoding: base64\r\n/);
  assert.match(compose({ subject: "a =?utf-8?q?b?=" }), /\r\nSubject: =\?utf-8\?B\?[A-Za-z0-9+/=]+\?=\r\n/);
  for (const [name, type] of [
    ["photo.JPG", "image/jpeg"],
    ["a.pdf", "application/pdf"],
    ["noextension", "application/octet-stream"],
    ["x.constructor", "application/octet-stream"],
  ] as const) {
    assert.match(
      compose({ attachments: [{ name, content: Buffer.from("x") }] }),
      new RegExp(`\r\nContent-Type: ${type}\r\n`),
    );
  }
});

test("correspondents as people type them", () => {
  for (const [typed, name, at] of [
    ["bob@example.net", "", "bob@example.net"],
    [" bob@EXAMPLE.net ", "", "bob@example.net"],
    ["<bob@example.net>", "", "bob@example.net"],
    ["Bob <bob@example.net>", "Bob", "bob@example.net"],
    ['"Öst, Bob \\"B\\"" <bob@example.net>', 'Öst, Bob "B"', "bob@example.net"],
    ["Öst, Bob <bob@example.net>", "Öst, Bob", "bob@example.net"],
  ] as const) {
    assert.deepEqual(parseCorrespondent(typed, "--to"), { name, address: at });
  }
});
