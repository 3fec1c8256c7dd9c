import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { parseChain, printChain, verifySteps } from "./chain.ts";
import { joinSigned, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, splitSigned } from "./signed-text.ts";
import { MAX_STATE_BYTES } from "./state.ts";

const VECTORS = join(import.meta.dirname, "../../../test/vectors/account-state/accept");
const CHAINS = readdirSync(VECTORS).map((name) => {
  const text = readFileSync(join(VECTORS, name), "latin1");
  return Buffer.from(text.slice(text.indexOf("accepted ")), "latin1");
});

test("a chain is printed as it was parsed, and each signed state splits and joins to itself", () => {
  for (const chain of CHAINS) {
    const versions = parseChain(chain);
    assert.ok(printChain(versions).equals(chain));
    for (const { signed } of versions) assert.ok(joinSigned(splitSigned(signed, MAX_STATE_BYTES)).equals(signed));
    assert.equal(
      verifySteps(versions, /\ndomain (.*)\n/.exec(chain.toString("latin1"))?.[1] ?? "", null)?.state.version,
      versions.length,
    );
  }
});

test("a chain verified in two parts gives the same standing", () => {
  for (const chain of CHAINS) {
    const domain = /\ndomain (.*)\n/.exec(chain.toString("latin1"))?.[1] ?? "";
    const versions = parseChain(chain);
    const first = verifySteps(versions.slice(0, -1), domain, null);
    assert.deepEqual(verifySteps(versions.slice(-1), domain, first), verifySteps(versions, domain, null));
  }
});

test("an empty text is the chain of nobody", () => {
  assert.deepEqual(parseChain(Buffer.alloc(0)), []);
  assert.equal(verifySteps([], "example.org", null), null);
});

test("whatever is changed in a chain: refused as CHAIN, or printed as it stands", () => {
  const [chain = Buffer.alloc(0)] = CHAINS;
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom("", "\n", " ", "accepted 5\n", "x\n", "-----BEGIN SSH SIGNATURE-----\n"),
      fc.nat(3),
      (where, text, cut) => {
        const at = where % chain.length;
        const changed = Buffer.concat([chain.subarray(0, at), Buffer.from(text), chain.subarray(at + cut)]);
        try {
          assert.ok(printChain(parseChain(changed)).equals(changed));
        } catch (error) {
          assert.ok(error instanceof FormatError && error.code === "CHAIN", String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("refuses what is no chain", () => {
  const [chain = Buffer.alloc(0)] = CHAINS;
  const text = chain.toString("latin1");
  const wrong = [
    text.slice(text.indexOf("\n") + 1),
    text.replace("accepted ", "accepted 0"),
    text.replace("accepted ", "accepted -"),
    text.replace("accepted ", "Accepted "),
    text.replace(/accepted \d+/, "accepted 1000000000000000"),
    text.slice(0, -1),
    `${text}\n`,
    `${text}accepted 1800000000\n`,
    text.slice(0, text.indexOf("-----BEGIN")),
    `accepted 1\n${"x\n".repeat(MAX_STATE_BYTES)}${text.slice(text.indexOf("-----BEGIN"))}`,
    text + text.slice(text.lastIndexOf("-----BEGIN")).repeat(MAX_SIGNATURES),
  ];
  for (const one of wrong) {
    assert.throws(
      () => parseChain(Buffer.from(one, "latin1")),
      { name: "FormatError", code: "CHAIN" },
      one.slice(0, 60),
    );
  }
});

test("a signed text has its bounds, whatever is in it", () => {
  const whole = MAX_STATE_BYTES + MAX_SIGNATURES * MAX_SIGNATURE_BYTES;
  const refused = { name: "FormatError", code: "TOO-LARGE" };
  assert.throws(() => splitSigned(Buffer.alloc(whole + 1, "x"), MAX_STATE_BYTES), refused);
  assert.throws(() => splitSigned(Buffer.alloc(MAX_STATE_BYTES + 1, "x"), MAX_STATE_BYTES), refused);
  assert.equal(splitSigned(Buffer.alloc(MAX_STATE_BYTES, "x"), MAX_STATE_BYTES).signatures.length, 0);
});
