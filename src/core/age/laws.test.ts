/** What holds for every file: opening inverts sealing, and nothing that was changed is accepted. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { decodeBase64Unpadded } from "#core/bytes.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import {
  type Identity,
  open,
  openStream,
  parseIdentities,
  parseRecipient,
  type Recipient,
  seal,
  sealStream,
} from "./age.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";
import { parseHeader, printHeader } from "./header.ts";
import { ed25519Identity, ed25519Recipient, unwrapSshEd25519, wrapSshEd25519 } from "./ssh-stanza.ts";
import { ephemeralKey } from "./x25519.ts";

const CHUNK = 65_536;

function nativePair(seed: number, prefix = "age-secret-key-"): { identity: Identity; recipient: Recipient } {
  const [identity] = parseIdentities(encodeBech32(prefix, Buffer.alloc(32, seed)).toUpperCase());
  assert.ok(identity !== undefined);
  return { identity, recipient: parseRecipient(identity.recipient) };
}

const alice = nativePair(1);
const bob = nativePair(2);
const quantum = nativePair(3, "age-secret-key-pq-");

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

function isRefusal(error: unknown): boolean {
  return (
    (error instanceof FormatError && error.code === "AGE-HEADER") ||
    (error instanceof PolicyError && error.code === "NO-IDENTITY") ||
    (error instanceof VerifyError && (error.code === "AGE-MAC" || error.code === "AGE-PAYLOAD"))
  );
}

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 200_000),
);

test("opening inverts sealing, whole and streamed, in any pieces", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 150_000 }), fc.integer(), async (size, piece, seed) => {
      const plaintext = Buffer.alloc(size, `${seed} `);
      const cut = function* (bytes: Buffer): Generator<Buffer> {
        const step = bytes.length > 1000 ? Math.max(piece, 100) : piece;
        for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
      };
      const file = seal([bob.recipient, alice.recipient], plaintext);
      assert.deepEqual(open([alice.identity], file), plaintext);
      assert.deepEqual(await collect(openStream([alice.identity], cut(file))), plaintext);
      const streamed = await collect(sealStream([alice.recipient, bob.recipient], cut(plaintext)));
      assert.equal(streamed.length, file.length);
      assert.deepEqual(open([bob.identity], streamed), plaintext);
    }),
    { numRuns: 60 },
  );
});

test("no file with a flipped bit opens", async () => {
  const small = seal([alice.recipient, bob.recipient], Buffer.from("attack at dawn"));
  for (let at = 0; at < small.length; at++) {
    for (const bit of [1, 0x20, 0x80]) {
      const changed = Buffer.from(small);
      changed[at] = (changed[at] ?? 0) ^ bit;
      assert.throws(() => open([alice.identity], changed), isRefusal, `bit ${bit} of byte ${at}`);
    }
  }
  const large = seal([quantum.recipient], Buffer.alloc(2 * CHUNK + 5, "x"));
  await fc.assert(
    fc.asyncProperty(fc.nat(large.length - 1), fc.nat(7), async (at, bit) => {
      const changed = Buffer.from(large);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      assert.throws(() => open([quantum.identity], changed), isRefusal);
      await assert.rejects(collect(openStream([quantum.identity], [changed])), isRefusal);
    }),
    { numRuns: 200 },
  );
});

test("no file that was cut, lengthened, or had chunks moved opens", async () => {
  const small = seal([alice.recipient], Buffer.from("attack at dawn"));
  for (let length = 0; length < small.length; length++) {
    assert.throws(() => open([alice.identity], small.subarray(0, length)), isRefusal, `cut to ${length}`);
    await assert.rejects(collect(openStream([alice.identity], [small.subarray(0, length)])), isRefusal);
  }
  const large = seal([alice.recipient], Buffer.alloc(2 * CHUNK + 5, "x"));
  const sealedChunk = CHUNK + 16;
  const start = large.length - 5 - 16 - 2 * sealedChunk;
  const first = large.subarray(start, start + sealedChunk);
  const second = large.subarray(start + sealedChunk, start + 2 * sealedChunk);
  const head = large.subarray(0, start);
  const tail = large.subarray(start + 2 * sealedChunk);
  assert.equal(open([alice.identity], Buffer.concat([head, first, second, tail])).length, 2 * CHUNK + 5);
  for (const parts of [
    [head, second, first, tail],
    [head, first, tail],
    [head, first, first, tail],
    [head, first, second],
    [head, first, second, tail, Buffer.of(0)],
    [head, first, second, tail, tail],
    [head, tail],
  ]) {
    assert.throws(() => open([alice.identity], Buffer.concat(parts)), isRefusal);
    await assert.rejects(collect(openStream([alice.identity], parts)), isRefusal);
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(large.length - 1), async (length) => {
      assert.throws(() => open([alice.identity], large.subarray(0, length)), isRefusal);
      await assert.rejects(collect(openStream([alice.identity], [large.subarray(0, length)])), isRefusal);
    }),
    { numRuns: 100 },
  );
});

test("tells a wrong key, a damaged header, a changed header and a damaged payload apart", () => {
  const file = seal([alice.recipient], Buffer.from("attack at dawn"));
  const has = (kind: unknown, code: string) => (error: unknown) =>
    error instanceof (kind as typeof FormatError) && error.code === code;
  const changed = (at: number, byte: number): Buffer => {
    const copy = Buffer.from(file);
    copy[at] = byte;
    return copy;
  };
  assert.throws(() => open([bob.identity], file), has(PolicyError, "NO-IDENTITY"));
  assert.throws(() => open([], file), has(PolicyError, "NO-IDENTITY"));
  assert.throws(() => open([alice.identity], changed(3, 0)), has(FormatError, "AGE-HEADER"));
  const mac = file.indexOf("\n--- ") + 5;
  assert.throws(() => open([alice.identity], changed(mac, file[mac] === 65 ? 66 : 65)), has(VerifyError, "AGE-MAC"));
  assert.throws(
    () => open([alice.identity], changed(file.length - 1, 255 - (file.at(-1) ?? 0))),
    has(VerifyError, "AGE-PAYLOAD"),
  );
});

test("a header prints as it was parsed", () => {
  const words = fc.stringMatching(/^[!-~]{1,20}$/);
  const stanza = fc.record(
    {
      args: fc.array(words, { minLength: 1, maxLength: 4 }).filter(([type]) => type !== "scrypt"),
      body: fc.uint8Array({ maxLength: 150 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(stanza, { minLength: 1, maxLength: 4 }), (stanzas) => {
      const printed = printHeader(stanzas, Buffer.alloc(16));
      const parsed = parseHeader(Buffer.concat([printed, Buffer.from("payload")]));
      assert.deepEqual(parsed.stanzas, stanzas);
      assert.equal(parsed.bytes, printed.length);
    }),
  );
});

test("a header without end is given up early", async () => {
  let pulled = 0;
  const endless = function* (): Generator<Buffer> {
    yield Buffer.from("age-encryption.org/v1\n-> X25519 ");
    for (; pulled < 10_000; pulled++) yield Buffer.alloc(1024, "A");
  };
  await assert.rejects(collect(openStream([alice.identity], endless())), isRefusal);
  assert.ok(pulled <= 130, `${pulled} KiB were read`);
});

test("bech32 decodes what it encodes and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), fc.nat(30), (bytes, where, shift) => {
      const text = encodeBech32("age", bytes);
      assert.deepEqual(decodeBech32("age", text), Buffer.from(bytes));
      assert.equal(decodeBech32("age1pq", text), null);
      const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
      const at = 4 + (where % (text.length - 4));
      const other = alphabet[(alphabet.indexOf(text[at] ?? "") + 1 + shift) % 32];
      assert.equal(decodeBech32("age", text.slice(0, at) + other + text.slice(at + 1)), null);
    }),
  );
});

test("an open stream that is left early closes its source", async () => {
  let closed = false;
  const file = seal([alice.recipient], Buffer.alloc(5 * CHUNK));
  const source = (function* (): Generator<Buffer> {
    try {
      for (let at = 0; at < file.length; at += 1000) yield file.subarray(at, at + 1000);
    } finally {
      closed = true;
    }
  })();
  for await (const chunk of openStream([alice.identity], source)) {
    assert.equal(chunk.length, CHUNK);
    break;
  }
  assert.ok(closed);
});

test("refuses to mix post-quantum and classical keys, to seal to nobody, and two keys of one tag", () => {
  const code = (expected: string) => (error: unknown) => error instanceof PolicyError && error.code === expected;
  assert.throws(() => seal([alice.recipient, quantum.recipient], Buffer.alloc(1)), code("KEY-MIX"));
  assert.throws(() => seal([], Buffer.alloc(1)), code("NO-SEAL-KEY"));
  const tagged = (text: string): Recipient => ({ ...alice.recipient, text, tag: "AAAAAA" });
  assert.throws(() => seal([tagged("ssh-rsa A"), tagged("ssh-ed25519 B")], Buffer.alloc(1)), code("KEY-TAG"));
});

test("with two keys of one tag, the key that fits opens, in either order", () => {
  // 32-bit tags collide after some 50,000 keys; here the same tag is set on two identities.
  const forge = (seed: number): { wrap: Recipient; identity: Identity } => {
    const blob = Buffer.alloc(51, seed);
    const identity = { ...ed25519Identity(blob, Buffer.alloc(32, seed)), tag: "AAAAAA" };
    const recipient = { ...ed25519Recipient(blob, identity.montgomery), tag: "AAAAAA" };
    return {
      wrap: { ...alice.recipient, wrap: (fileKey) => wrapSshEd25519(recipient, fileKey) },
      identity: { recipient: "", unwrap: (stanza) => unwrapSshEd25519(identity, stanza) },
    };
  };
  const [first, second] = [forge(1), forge(2)];
  const file = seal([first.wrap, second.wrap], Buffer.from("hello"));
  for (const identities of [[first.identity], [second.identity], [second.identity, first.identity]]) {
    assert.equal(open(identities, file).toString(), "hello");
  }
  assert.throws(() => open([second.identity], seal([first.wrap], Buffer.from("hello"))), isRefusal);
});

test("a stanza for an SSH key of another shape than 32 bytes is refused", () => {
  const blob = Buffer.alloc(51, 7);
  const identity = ed25519Identity(blob, Buffer.alloc(32, 7));
  const { args, body } = wrapSshEd25519(ed25519Recipient(blob, identity.montgomery), Buffer.alloc(16));
  assert.deepEqual(unwrapSshEd25519(identity, { args, body }), Buffer.alloc(16));
  assert.throws(() => unwrapSshEd25519(identity, { args, body: Buffer.concat([body, body]) }), isRefusal);
  assert.throws(() => unwrapSshEd25519(identity, { args: args.slice(0, 2), body }), isRefusal);
  const [type = "", tag = ""] = args;
  const smallOrder = Buffer.alloc(32).toString("base64").slice(0, -1);
  assert.throws(() => unwrapSshEd25519(identity, { args: [type, tag, smallOrder], body }), isRefusal);
  assert.equal(unwrapSshEd25519(identity, { args: [type, "AAAAAA", args[2] ?? ""], body }), null);
});

test("never uses an ephemeral key twice", () => {
  const shares = new Set<string>();
  for (let count = 0; count < 20; count++) {
    const { stanzas } = parseHeader(seal([alice.recipient, bob.recipient], Buffer.alloc(0)));
    for (const { args } of stanzas) shares.add(args[1] ?? "");
  }
  assert.equal(shares.size, 40);
  assert.equal(decodeBase64Unpadded([...shares][0] ?? "")?.length, ephemeralKey().point.length);
});
