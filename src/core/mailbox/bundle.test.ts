/** The vectors in `test/vectors/proof-bundle`, and laws. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { bundleOf, bytesOf, judge, linesOf, rootsOf, scene } from "#test/vectors/proof-bundle/bundles.ts";
import { vectors } from "#test/vectors/proof-bundle/make.ts";
import { parseBundle, printBundle } from "./bundle.ts";

const FOLDER = join(import.meta.dirname, "../../../test/vectors/proof-bundle");

function read(path: string): Buffer {
  return readFileSync(join(FOLDER, path));
}

const roots = new Set(read("operator").toString("latin1").trimEnd().split("\n"));
const account = read("account").toString("latin1").trimEnd();

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError) return error.code;
    throw error;
  }
  return "ACCEPTED";
}

describe("vectors", () => {
  for (const file of readdirSync(join(FOLDER, "accept")).filter((name) => name.endsWith(".tar"))) {
    test(`accept/${file}`, () => {
      const proof = judge(read(`accept/${file}`), roots, account);
      assert.equal(linesOf(proof), read(`accept/${file.replace(/tar$/, "txt")}`).toString("latin1"));
    });
  }
  for (const line of read("reject/codes").toString("latin1").trimEnd().split("\n")) {
    const [name = "", code = ""] = line.split(" ");
    test(`reject/${name}`, () => {
      assert.equal(
        codeOf(() => judge(read(`reject/${name}.tar`), roots, account)),
        code,
      );
    });
  }

  test("are what their generator makes", () => {
    const made = vectors();
    const names = ["accept", "reject"].flatMap((folder) =>
      readdirSync(join(FOLDER, folder)).map((name) => `${folder}/${name}`),
    );
    assert.deepEqual([...names, "account", "operator"].sort(), [...made.keys()].sort());
    for (const [path, content] of made) assert.ok(read(path).equals(content), path);
  });
});

describe("laws", () => {
  const { world, present } = scene();
  const bytes = bytesOf(bundleOf(world));

  test("print inverts parse", () => {
    assert.ok(Buffer.concat(printBundle(parseBundle(bytes))).equals(bytes));
  });

  test("more records than a folder may hold are refused before any is verified", () => {
    const { records, ...rest } = parseBundle(bytes);
    const [record] = records;
    assert.ok(record !== undefined);
    const many = Array.from({ length: 2001 }, (_, index) => ({
      name: `${"0".repeat(16)}-${10_000 + index}`,
      bytes: record.bytes,
    }));
    assert.equal(
      codeOf(() => parseBundle(bytesOf({ ...rest, records: many }))),
      "BUNDLE",
    );
    assert.equal(parseBundle(bytesOf({ ...rest, records: many.slice(1) })).records.length, 2000);
  });

  test("no changed byte goes unseen", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ flip, at);
        return codeOf(() => judge(changed, roots, account)) !== "ACCEPTED" || isAcceptance(at);
      }),
      { numRuns: 400, seed: 1 },
    );
  });

  /** When versions were accepted is the server's word, which nobody signs: other times may hold, too. */
  function isAcceptance(at: number): boolean {
    const line = /accepted [0-9]+\n/g;
    return [...bytes.toString("latin1").matchAll(line)].some(
      ({ index, 0: found }) => at >= index && at < index + found.length,
    );
  }

  test("whoever expects another account, or trusts another operator, accepts nothing", () => {
    const other = scene();
    other.world.replaceSigner();
    assert.equal(
      codeOf(() => judge(bytes, roots, `${"A".repeat(21)}A`)),
      "ACCOUNT",
    );
    assert.equal(
      codeOf(() => judge(bytes, new Set([world.devices.map(({ key }) => key.publicKey.line)[0] ?? ""]), account)),
      "SIGNER",
    );
    assert.equal(
      codeOf(() => judge(bytes, new Set(), account)),
      "SIGNER",
    );
  });

  test("what one entry is proved by does not tell of the mail before it", () => {
    const last = present.at(-1);
    assert.ok(last !== undefined);
    const proof = judge(bytesOf(bundleOf(world, [last])), rootsOf(world), null);
    assert.deepEqual(
      proof.entries.map(({ entry }) => entry.seq),
      [last.seq],
    );
    const text = bytesOf(bundleOf(world, [last])).toString("latin1");
    for (const { digest } of present.slice(0, -1)) assert.ok(!text.includes(digest));
  });
});
