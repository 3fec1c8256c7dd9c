/** The age ecosystem's own test vectors, read whole, in pieces, and byte by byte. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import * as vectors from "cctv-age";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { type Identity, open, openStream, parseIdentities } from "./age.ts";

interface Vector {
  name: string;
  expect: string;
  payload: string | undefined;
  identities: Identity[];
  file: Buffer;
}

/** What is not implemented: files sealed with a passphrase (one of them is refused for another reason) and armor. */
function isOurs(name: string): boolean {
  return !name.startsWith("armor_") && (!name.startsWith("scrypt") || name === "scrypt_and_x25519");
}

function parseVector(name: string, bytes: Uint8Array): Vector {
  const whole = Buffer.from(bytes);
  const split = whole.indexOf("\n\n");
  const fields = whole
    .toString("utf8", 0, split)
    .split("\n")
    .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)] as const);
  const valuesOf = (key: string): string[] => fields.filter(([field]) => field === key).map(([, value]) => value);
  const body = whole.subarray(split + 2);
  return {
    name,
    expect: valuesOf("expect")[0] ?? "",
    payload: valuesOf("payload")[0],
    identities: valuesOf("identity").flatMap((line) => parseIdentities(line)),
    file: valuesOf("compressed")[0] === "zlib" ? inflateSync(body) : body,
  };
}

function outcomeOf(error: unknown): string {
  if (error instanceof FormatError && error.code === "AGE-HEADER") return "header failure";
  if (error instanceof PolicyError && error.code === "NO-IDENTITY") return "no match";
  if (error instanceof VerifyError && error.code === "AGE-MAC") return "HMAC failure";
  if (error instanceof VerifyError && error.code === "AGE-PAYLOAD") return "payload failure";
  throw error;
}

function sha256(...parts: Buffer[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function* pieces(file: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}

/**
 * Files that go wrong right behind a full chunk. Only the next byte tells whether a chunk is the last one, so a chunk is
 * opened once and as what it must be; the vectors allow for readers that try both and give away one chunk more.
 * The number of bytes that we give away.
 */
const HELD_BACK = new Map([
  ["stream_no_final_full", 0],
  ["stream_no_final_two_chunks_full", 65_536],
  ["stream_trailing_garbage_long", 0],
  ["stream_trailing_garbage_short", 0],
  ["stream_two_final_chunks", 0],
  ["stream_two_final_chunks_full", 0],
  ["stream_two_final_chunks_second", 65_536],
]);

async function checkStreamed({ name, expect, payload, identities, file }: Vector, size: number): Promise<void> {
  const released: Buffer[] = [];
  let outcome = "success";
  try {
    for await (const chunk of openStream(identities, pieces(file, size))) released.push(chunk);
  } catch (error) {
    outcome = outcomeOf(error);
  }
  assert.equal(outcome, expect, name);
  // Whatever was given away before the failure must be a genuine beginning.
  const heldBack = HELD_BACK.get(name);
  if (heldBack !== undefined) assert.equal(Buffer.concat(released).length, heldBack, name);
  else if (payload === undefined) assert.equal(released.length, 0, name);
  else assert.equal(sha256(...released), payload, name);
}

describe("age vectors", () => {
  const names = Object.keys(vectors).filter(isOurs);
  const all = names.map((name) => parseVector(name, (vectors as Record<string, Uint8Array>)[name] ?? new Uint8Array()));

  test("as many as are expected, of each outcome", () => {
    const counts: Record<string, number> = {};
    for (const { expect } of all) counts[expect] = (counts[expect] ?? 0) + 1;
    assert.equal(all.length, 86);
    assert.deepEqual(counts, {
      "HMAC failure": 1,
      "header failure": 41,
      "no match": 8,
      "payload failure": 18,
      success: 18,
    });
  });

  for (const vector of all) {
    test(`${vector.name}: ${vector.expect}, whole`, () => {
      let plaintext: Buffer | null = null;
      let outcome = "success";
      try {
        plaintext = open(vector.identities, vector.file);
      } catch (error) {
        outcome = outcomeOf(error);
      }
      assert.equal(outcome, vector.expect);
      if (plaintext !== null) assert.equal(sha256(plaintext), vector.payload);
    });
  }

  test("the same in pieces", async () => {
    for (const vector of all) {
      for (const size of [7, 1000, 65_536, 65_552, 100_000, 1 << 26]) {
        if (vector.file.length / size < 3000) await checkStreamed(vector, size);
      }
    }
  });

  test("the same byte by byte", async () => {
    const small = all.filter(({ file }) => file.length < 100_000);
    assert.equal(small.length, 76);
    for (const vector of small) await checkStreamed(vector, 1);
  });
});
