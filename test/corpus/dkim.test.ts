import assert from "node:assert/strict";
import { createPublicKey, sign, verify } from "node:crypto";
import { test } from "node:test";
import { expectedAfterDelivery } from "#test/corpus/compare.ts";
import { crlf } from "#test/corpus/compose.ts";
import { corpusKeys, corpusRecords, dkimSign } from "#test/corpus/dkim.ts";
import { dkimVerdicts } from "#test/corpus/dkim-verify.ts";
import { seededBytes, seededEd25519, seededRsa } from "#test/corpus/seeded.ts";
import { signedMails, signedPrefix } from "#test/corpus/signed.ts";

const records = corpusRecords();

test("seeded keys are whole keys, and the same each time", () => {
  for (const make of [seededRsa, seededEd25519]) {
    const key = make("a");
    const pem = key.export({ format: "pem", type: "pkcs8" });
    assert.equal(make("a").export({ format: "pem", type: "pkcs8" }), pem);
    assert.notEqual(make("b").export({ format: "pem", type: "pkcs8" }), pem);
    const hash = key.asymmetricKeyType === "rsa" ? "sha256" : null;
    const signature = sign(hash, Buffer.from("x"), key);
    assert.ok(verify(hash, Buffer.from("x"), createPublicKey(key), signature));
  }
  assert.equal(seededRsa("a").asymmetricKeyDetails?.modulusLength, 2048);
  assert.ok(seededBytes("a", 100).equals(seededBytes("a", 200).subarray(0, 100)));
});

test("every signature of the corpus verifies by an independent program, before and after delivery", async () => {
  const mails = signedMails();
  assert.ok(mails.length >= 10);
  for (const forms of [mails.map(({ bytes }) => bytes), mails.map(expectedAfterDelivery)]) {
    const all = await dkimVerdicts(forms, records);
    for (const [index, { name }] of mails.entries()) {
      assert.ok(name.startsWith(signedPrefix), name);
      const count = name === "dkim-two-signatures" ? 2 : 1;
      assert.deepEqual(
        all[index]?.map(({ valid, reason }) => ({ valid, reason })),
        Array.from({ length: count }, () => ({ valid: true, reason: "" })),
        name,
      );
    }
  }
});

test("the verifier says no: a changed body or field, another key, a missing record", async () => {
  const { rsa, ed25519 } = corpusKeys();
  const message = Buffer.from(crlf("From: ada@post.example", "Subject: x", "", "text"));
  const signed = [rsa, ed25519].map((key) =>
    dkimSign(message, { key, header: "relaxed", body: "relaxed", fields: ["from", "subject"] }).toString(),
  );
  const swapped = records.map((record, index) => ({ ...record, data: records[1 - index]?.data ?? "" }));
  const attacks: [string, (text: string) => string, typeof records][] = [
    ["changed body", (text) => text.replace("text\r\n", "test\r\n"), records],
    ["changed field", (text) => text.replace("Subject: x", "Subject: y"), records],
    ["no record", (text) => text, []],
    ["other key", (text) => text, swapped],
  ];
  for (const [name, change, known] of attacks) {
    const verdicts = await dkimVerdicts(
      signed.map((text) => Buffer.from(change(text))),
      known,
    );
    assert.deepEqual(
      verdicts.map((each) => each.map(({ key, valid }) => [key, valid])),
      [[["r1._domainkey.post.example", false]], [["e1._domainkey.post.example", false]]],
      name,
    );
  }
  assert.deepEqual(await dkimVerdicts([message], records), [[]]);
});

test("relaxed forgives blanks, simple does not", async () => {
  const { rsa: key } = corpusKeys();
  const message = Buffer.from(crlf("From: ada@post.example", "", "two  words "));
  const blanks = async (how: "simple" | "relaxed"): Promise<boolean | undefined> => {
    const signed = dkimSign(message, { key, header: how, body: how, fields: ["from"] }).toString();
    const changed = signed.replace("two  words ", "two words");
    return (await dkimVerdicts([Buffer.from(changed)], records))[0]?.[0]?.valid;
  };
  assert.equal(await blanks("relaxed"), true);
  assert.equal(await blanks("simple"), false);
});

test("a message without an empty line can't be signed", () => {
  const { rsa: key } = corpusKeys();
  assert.throws(
    () => dkimSign(Buffer.from("A: b\r\n"), { key, header: "simple", body: "simple", fields: [] }),
    TypeError,
  );
});
