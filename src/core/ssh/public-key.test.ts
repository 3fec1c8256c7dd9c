import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { FormatError } from "#core/errors.ts";
import { faultOfPoint } from "./edwards25519.ts";
import { parsePublicKey, parsePublicKeyBlob } from "./public-key.ts";
import { wireString } from "./wire.ts";

const VECTORS = fileURLToPath(new URL("../../../test/vectors/ssh-public-key/", import.meta.url));

function isKeyError(error: unknown): boolean {
  return error instanceof FormatError && error.code === "KEY";
}

for (const name of readdirSync(join(VECTORS, "accept"))) {
  test(`accepts ${name}`, () => {
    const line = readFileSync(join(VECTORS, "accept", name), "latin1");
    const key = parsePublicKey(line);
    assert.ok(line.startsWith(key.line));
    assert.deepEqual(parsePublicKey(key.line), key);
    assert.deepEqual(parsePublicKeyBlob(key.blob), key);
  });
}

for (const name of readdirSync(join(VECTORS, "reject"))) {
  test(`refuses ${name}`, () => {
    assert.throws(() => parsePublicKey(readFileSync(join(VECTORS, "reject", name), "latin1")), isKeyError);
  });
}

test("names the fault of each bad point", () => {
  const faultOf = (name: string): string | null => {
    const line = readFileSync(join(VECTORS, "reject", name), "latin1");
    return faultOfPoint(Buffer.from(line.split(" ")[1] ?? "", "base64").subarray(-32));
  };
  const counts = new Map<string, number>();
  for (const name of readdirSync(join(VECTORS, "reject"))) {
    const fault = /^ed25519-(small-order|mixed-order|non-canonical|off-curve)-/.exec(name)?.[1];
    if (fault === undefined) continue;
    assert.equal(faultOf(name), fault, name);
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  assert.deepEqual(Object.fromEntries(counts), {
    "mixed-order": 7,
    "non-canonical": 7,
    "off-curve": 1,
    "small-order": 8,
  });
});

describe("with ssh-keygen", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "shoal-keys-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("accepts what it makes and gives the same line and blob", () => {
    for (const [type, bits] of [
      ["ed25519", "256"],
      ["ecdsa", "256"],
      ["ecdsa", "384"],
      ["ecdsa", "521"],
    ] as const) {
      const path = join(folder, `${type}-${bits}`);
      execFileSync("ssh-keygen", ["-q", "-t", type, "-b", bits, "-N", "", "-C", "a comment, ünïcode", "-f", path]);
      const text = readFileSync(`${path}.pub`, "utf8");
      assert.equal(parsePublicKey(text).line, text.split(" ").slice(0, 2).join(" "));
      // Its own second key generated from the private part agrees that nothing was lost.
      const derived = execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" });
      assert.equal(parsePublicKey(derived).line, parsePublicKey(text).line);
    }
  });
});

test("refuses a blob with bytes behind it, however the line claims to be", () => {
  const line = readFileSync(join(VECTORS, "accept", "ed25519"), "latin1");
  const blob = parsePublicKey(line).blob;
  for (const changed of [
    Buffer.concat([blob, Buffer.of(0)]),
    blob.subarray(0, -1),
    Buffer.concat([blob, wireString("")]),
  ]) {
    assert.throws(() => parsePublicKey(`ssh-ed25519 ${changed.toString("base64")}`), isKeyError);
  }
});

test("keeps the keys that passed, a bounded number of them, and none that was refused", () => {
  const line = (): string => {
    const point = generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    return `ssh-ed25519 ${Buffer.concat([wireString("ssh-ed25519"), wireString(point)]).toString("base64")}`;
  };
  const kept = line();
  const first = parsePublicKey(`${kept} a comment`);
  assert.equal(parsePublicKey(`${kept}\n`), first);
  assert.equal(parsePublicKeyBlob(first.blob), first);
  for (let i = 0; i < 4096; i++) parsePublicKey(line());
  assert.notEqual(parsePublicKey(kept), first);
  assert.deepEqual(parsePublicKey(kept), first);
  const refused = readFileSync(join(VECTORS, "reject", "ed25519-small-order-0-torsion"), "latin1");
  for (let i = 0; i < 2; i++) assert.throws(() => parsePublicKey(refused), isKeyError);
});
