import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { Authority, type Identity, tlsaData } from "#test/grade-world/authority.ts";
import { certificateParts, pathLength } from "./certificate-parts.ts";
import { matchDane, usableRecords } from "./dane.ts";
import type { TlsaRecord } from "./dns-message.ts";

const folder = await mkdtemp(join(tmpdir(), "shoal-dane-"));
after(() => rm(folder, { recursive: true, force: true }));
const authority = new Authority(folder);
const anchor = await authority.authority("Anchor", null);
const leaf = await authority.identity({ name: "leaf", names: ["mx.example"], issuer: anchor });
const day = 86_400_000;

function tlsa(usage: number, identity: Identity): TlsaRecord {
  const [, , , data = ""] = tlsaData(usage, 1, 1, identity).split(" ");
  return { usage, selector: 1, matching: 1, data: Buffer.from(data, "hex") };
}

function judge(identity: Identity, now = Date.now()): string {
  const shown = { leaf: new X509Certificate(identity.certificate), others: [new X509Certificate(anchor.certificate)] };
  const { trouble } = matchDane([tlsa(2, anchor)], { ...shown, chainError: null }, ["mx.example"], now);
  return trouble?.problem ?? "matched";
}

test("a chain counts in its time", () => {
  assert.equal(judge(leaf), "matched");
  // Then the anchor is not valid either.
  assert.equal(judge(leaf, Date.now() + 31 * day), "validation-failure");
  assert.equal(judge(leaf, Date.now() - day), "validation-failure");
  assert.equal(judge(leaf, Number.NaN), "validation-failure");
});

test("weak signatures and extensions that must be understood and are not", async () => {
  const options = { name: "x", names: ["mx.example"], issuer: anchor };
  assert.equal(judge(await authority.identity({ ...options, digest: "sha1" })), "validation-failure");
  const odd = ["1.2.3.4=critical,ASN1:NULL"];
  assert.equal(judge(await authority.identity({ ...options, extensions: odd })), "validation-failure");
  assert.equal(judge(await authority.identity({ ...options, extensions: ["1.2.3.4=ASN1:NULL"] })), "matched");
});

test("which records say something", () => {
  const good = tlsa(3, leaf);
  const digest64 = { ...good, matching: 2, data: Buffer.alloc(64) };
  assert.deepEqual(usableRecords([good]), [good]);
  assert.deepEqual(usableRecords([good, digest64]), [digest64]);
  assert.equal(usableRecords([good, { ...digest64, selector: 0 }]).length, 2);
  assert.equal(usableRecords([good, { ...digest64, usage: 2 }]).length, 2);
  // A digest of odd length takes nothing away from another.
  assert.deepEqual(usableRecords([good, { ...digest64, data: Buffer.alloc(63) }]), [good]);
  const useless = [
    { usage: 0 },
    { usage: 1 },
    { usage: 4 },
    { selector: 2 },
    { matching: 3 },
    { matching: 0 },
    { matching: 2 },
  ];
  for (const change of useless) assert.deepEqual(usableRecords([{ ...good, ...change }]), []);
  assert.deepEqual(usableRecords([{ ...good, matching: 0, data: Buffer.alloc(9000) }]), []);
});

test("no certificate makes the reader of its parts fail in another way than it says", async () => {
  const limited = await authority.authority("Limited", null, ["basicConstraints=critical,CA:TRUE,pathlen:3"]);
  const { raw } = new X509Certificate(limited.certificate);
  assert.equal(pathLength(certificateParts(raw)), 3);
  const change = fc.tuple(fc.nat(raw.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(raw.length), (changes, length) => {
      const bytes = Buffer.from(raw);
      for (const [offset, value] of changes) bytes[offset] = value;
      for (const each of [bytes, bytes.subarray(0, length)]) {
        try {
          pathLength(certificateParts(each));
        } catch (error) {
          assert(error instanceof FormatError && error.code === "KEY", String(error));
        }
      }
    }),
    { numRuns: 1000 },
  );
});
