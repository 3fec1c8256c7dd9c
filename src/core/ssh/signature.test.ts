/** SSH signatures against vectors, laws, and the real ssh-keygen with keys of every type. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import { parseIdentities } from "#core/age/age.ts";
import { FormatError, VerifyError } from "#core/errors.ts";
import { vectors } from "#test/vectors/sshsig/make.ts";
import { armorSignature, unarmorSignature } from "./armor.ts";
import { parsePrivateKey } from "./private-key.ts";
import { signMessage } from "./sign.ts";
import { parseSignature, verifySignature } from "./signature.ts";

const VECTORS = join(import.meta.dirname, "../../../test/vectors/sshsig");
/** A FIDO2 token in software, from Debian's openssh-tests. */
const TOKEN = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

interface Vector {
  name: string;
  expected: string;
  namespace: string;
  message: Buffer;
  signature: string;
}

function readVectors(folder: "accept" | "reject"): Vector[] {
  return readdirSync(join(VECTORS, folder)).map((name) => {
    const text = readFileSync(join(VECTORS, folder, name), "latin1");
    const head = /^expect ([A-Z]+)\nnamespace (.*)\nmessage (.*)\n/.exec(text);
    assert.ok(head !== null, name);
    const [all, expected = "", namespace = "", message = ""] = head;
    return { name, expected, namespace, message: Buffer.from(message, "base64"), signature: text.slice(all.length) };
  });
}

function outcomeOf(signature: string, namespace: string, message: Uint8Array): string {
  try {
    verifySignature(parseSignature(signature), namespace, message);
    return "ACCEPTED";
  } catch (error) {
    if (error instanceof FormatError || error instanceof VerifyError) return error.code;
    throw error;
  }
}

const accepted = readVectors("accept");
const refused = readVectors("reject");

describe("vectors", () => {
  for (const { name, expected, namespace, message, signature } of [...accepted, ...refused]) {
    test(`${name}: ${expected}`, () => assert.equal(outcomeOf(signature, namespace, message), expected));
  }

  test("are what their generator makes", () => {
    const made = vectors();
    const committed = new Map(
      ["accept", "reject"].flatMap((folder) =>
        readdirSync(join(VECTORS, folder)).map((name) => [
          `${folder}/${name}`,
          readFileSync(join(VECTORS, folder, name), "latin1"),
        ]),
      ),
    );
    assert.deepEqual([...committed.keys()].sort(), [...made.keys()].sort());
    for (const [path, text] of made) assert.equal(committed.get(path), text, path);
  });
});

describe("laws", () => {
  const usual = accepted.filter(({ name }) => /^(ed25519|rsa|ecdsa-nistp\d+|sk-ed25519|sk-ecdsa)-sha512$/.test(name));

  test("a signature with any byte changed is refused", () => {
    assert.equal(usual.length, 7);
    for (const { name, namespace, message, signature } of usual) {
      const blob = unarmorSignature(signature);
      for (let at = 0; at < blob.length; at++) {
        const changed = Buffer.from(blob);
        changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
        assert.notEqual(outcomeOf(armorSignature(changed), namespace, message), "ACCEPTED", `${name}, byte ${at}`);
      }
    }
  });

  test("a signature cut off anywhere, or with anything behind it, is refused", () => {
    for (const { name, namespace, message, signature } of usual) {
      const blob = unarmorSignature(signature);
      for (let length = 0; length < blob.length; length++) {
        const code = outcomeOf(armorSignature(blob.subarray(0, length)), namespace, message);
        assert.equal(code, "SSHSIG", `${name}, ${length} bytes`);
      }
      assert.equal(outcomeOf(armorSignature(Buffer.concat([blob, blob])), namespace, message), "SSHSIG");
    }
  });

  test("a message with any byte changed, added or removed is refused", () => {
    const byte = fc.integer({ min: 1, max: 255 });
    fc.assert(
      fc.property(fc.constantFrom(...usual), fc.nat(), byte, ({ namespace, message, signature }, where, difference) => {
        const at = where % message.length;
        const changed = Buffer.from(message);
        changed.writeUInt8(changed.readUInt8(at) ^ difference, at);
        const shorter = Buffer.concat([message.subarray(0, at), message.subarray(at + 1)]);
        const longer = Buffer.concat([message.subarray(0, at), Buffer.of(difference), message.subarray(at)]);
        for (const other of [changed, shorter, longer].filter((bytes) => !bytes.equals(message))) {
          assert.equal(outcomeOf(signature, namespace, other), "SIGNATURE");
        }
      }),
    );
  });

  test("bytes at random are no signature", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const random = Buffer.from(bytes);
        assert.equal(outcomeOf(armorSignature(random), "x", random), "SSHSIG");
        assert.equal(outcomeOf(random.toString("latin1"), "x", random), "SSHSIG");
        assert.equal(
          outcomeOf(armorSignature(Buffer.concat([Buffer.from("SSHSIG\0\0\0\x01"), random])), "x", random),
          "SSHSIG",
        );
      }),
    );
  });
});

interface Made {
  name: string;
  path: string;
  line: string;
}

describe("with ssh-keygen", () => {
  let folder = "";
  const keys: Made[] = [];
  const env = { ...process.env, SSH_SK_PROVIDER: TOKEN, SSH_ASKPASS: "/bin/true", SSH_ASKPASS_REQUIRE: "force" };

  function make(name: string, ...options: string[]): Made {
    const path = join(folder, name);
    execFileSync("ssh-keygen", ["-q", "-N", "", "-C", "a comment", "-f", path, ...options], { env });
    const made = { name, path, line: readFileSync(`${path}.pub`, "utf8").split(" ").slice(0, 2).join(" ") };
    return made;
  }

  function sign({ path }: Made, namespace: string, message: Uint8Array, hash = "sha512"): string {
    const options = ["-Y", "sign", "-q", "-O", `hashalg=${hash}`, "-n", namespace, "-f", path];
    return execFileSync("ssh-keygen", options, { env, input: message, encoding: "latin1", stdio: "pipe" });
  }

  /** As somebody does it who knows the signer's key, and as somebody who knows nothing. */
  function keygenAccepts(line: string, namespace: string, message: Uint8Array, signature: string): boolean {
    const file = join(folder, "signature");
    const signers = join(folder, "signers");
    writeFileSync(file, signature, "latin1");
    writeFileSync(signers, `alice namespaces="*" ${line}\n`);
    const known = ["-Y", "verify", "-n", namespace, "-s", file, "-f", signers, "-I", "alice"];
    const unknown = ["-Y", "check-novalidate", "-n", namespace, "-s", file];
    const [a, b] = [known, unknown].map((options) => spawnSync("ssh-keygen", options, { input: message }).status);
    assert.equal(a, b, "verify and check-novalidate differ");
    return a === 0;
  }

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "shoal-sshsig-"));
    keys.push(
      make("ed25519", "-t", "ed25519"),
      make("rsa", "-t", "rsa", "-b", "3072"),
      make("ecdsa-256", "-t", "ecdsa", "-b", "256"),
      make("ecdsa-384", "-t", "ecdsa", "-b", "384"),
      make("ecdsa-521", "-t", "ecdsa", "-b", "521"),
      make("sk-ed25519", "-t", "ed25519-sk"),
      make("sk-ecdsa", "-t", "ecdsa-sk"),
    );
  });
  after(() => rmSync(folder, { recursive: true }));

  const message = Buffer.from("a message\nof two lines\n");

  test("what it signs we accept, for every type of key and both hashes", () => {
    for (const key of keys) {
      for (const hash of ["sha256", "sha512"]) {
        const signature = parseSignature(sign(key, "a@b", message, hash));
        assert.deepEqual([signature.publicKey.line, signature.namespace, signature.hash], [key.line, "a@b", hash]);
        const touched = key.name.startsWith("sk-") ? { touched: true, userVerified: false } : null;
        assert.deepEqual(
          verifySignature(signature, "a@b", message),
          touched ?? { touched: null, userVerified: null },
          key.name,
        );
      }
    }
  });

  test("what we sign it accepts, and is the same where signing leaves no choice", () => {
    for (const { name, path, line } of keys.slice(0, 5)) {
      const text = signMessage(parsePrivateKey(readFileSync(path, "latin1")), "a@b", message);
      assert.equal(outcomeOf(text, "a@b", message), "ACCEPTED");
      assert.ok(keygenAccepts(line, "a@b", message, text), name);
      assert.ok(!keygenAccepts(line, "a@c", message, text));
      assert.ok(!keygenAccepts(line, "a@b", Buffer.from("x"), text));
      if (!name.startsWith("ecdsa")) assert.equal(text, sign({ name, path, line }, "a@b", message));
    }
  });

  test("the armor is the same for every length of the last line", () => {
    const [ed25519] = keys;
    assert.ok(ed25519 !== undefined);
    const key = parsePrivateKey(readFileSync(ed25519.path, "latin1"));
    const lastLines = new Set<number>();
    for (let length = 1; lastLines.size < 35 && length <= 255; length++) {
      const namespace = "n".repeat(length);
      const text = signMessage(key, namespace, message);
      const lastLine = text.split("\n").at(-3)?.length ?? 0;
      if (lastLines.has(lastLine)) continue;
      lastLines.add(lastLine);
      assert.equal(text, sign(ed25519, namespace, message));
    }
    assert.ok(lastLines.has(70) && lastLines.has(4) && lastLines.has(2), [...lastLines].join(" "));
  });

  test("what we sign we verify, whatever it is", () => {
    const privateKeys = keys.slice(0, 5).map(({ path }) => parsePrivateKey(readFileSync(path, "latin1")));
    const namespace = fc.stringMatching(/^[\x20-\x7e]{1,255}$/);
    fc.assert(
      fc.property(fc.constantFrom(...privateKeys), namespace, fc.uint8Array({ maxLength: 500 }), (key, name, bytes) => {
        const parsed = parseSignature(signMessage(key, name, bytes));
        assert.equal(parsed.publicKey, key.publicKey);
        assert.deepEqual(verifySignature(parsed, name, bytes), { touched: null, userVerified: null });
      }),
      { numRuns: 60 },
    );
    const [key] = privateKeys;
    assert.ok(key !== undefined);
    for (const bad of ["", "n".repeat(256), "a\n", "é", "a\0"]) {
      assert.throws(() => signMessage(key, bad, message), { name: "FormatError", code: "SSHSIG" });
    }
  });

  test("it accepts every vector that we accept", () => {
    for (const { name, namespace, message, signature } of accepted) {
      assert.ok(keygenAccepts(parseSignature(signature).publicKey.line, namespace, message, signature), name);
    }
  });

  /** Where we are stricter, all of it; docs/formats/sshsig.md says why. */
  const stricter = [
    "armor-77-columns",
    "armor-line-end-behind",
    "armor-no-final-line-end",
    "armor-space-at-line-end",
    "armor-space-in-front",
    "armor-text-behind",
    "armor-too-long",
    "armor-two-signatures",
    "blank-line-in-armor",
    "certificate-as-key",
    "ecdsa-padded-mpint",
    "ed25519-identity-signs-everything",
    "ed25519-s-plus-l",
    "namespace-of-256-characters",
    "reserved-not-empty",
    "rsa-2048",
    "rsa-exponent-3",
    "rsa-signature-without-leading-zero",
    "sk-ecdsa-no-touch",
    "sk-ecdsa-web-site-application",
    "sk-ecdsa-webauthn",
    "sk-ed25519-identity-signs-everything",
    "sk-ed25519-other-application",
    "sk-flags-attested-data",
    "sk-flags-extension-data",
    "sk-no-touch",
    "sk-pin-without-touch",
    "version-0",
  ];

  test("it refuses every other vector that we refuse", () => {
    const file = join(folder, "signature");
    const lenient = refused
      // From 10.0 on it accepts CRLF.
      .filter(({ name }) => name !== "armor-crlf")
      .filter(({ namespace, message, signature }) => {
        writeFileSync(file, signature, "latin1");
        const options = ["-Y", "check-novalidate", "-n", namespace === "" ? "x" : namespace, "-s", file];
        return spawnSync("ssh-keygen", options, { input: message }).status === 0;
      });
    assert.deepEqual(
      lenient.map(({ name }) => name),
      stricter,
    );
  });

  test("it lets one signature by the identity point stand for every message, and we don't", () => {
    const vector = refused.find(({ name }) => name === "ed25519-identity-signs-everything");
    assert.ok(vector !== undefined);
    const blob = unarmorSignature(vector.signature);
    const line = `ssh-ed25519 ${blob.subarray(14, 14 + blob.readUInt32BE(10)).toString("base64")}`;
    for (const anything of ["", "pay 5", "pay 5,000"].map((text) => Buffer.from(text))) {
      assert.ok(keygenAccepts(line, vector.namespace, anything, vector.signature));
      assert.equal(outcomeOf(vector.signature, vector.namespace, anything), "KEY");
    }
  });

  test("a token that asks for no touch: it accepts, we don't; one that asks for a PIN: we say so", () => {
    for (const type of ["ed25519-sk", "ecdsa-sk"]) {
      const untouched = make(`${type}-untouched`, "-t", type, "-O", "no-touch-required");
      const signature = sign(untouched, "a@b", message);
      assert.ok(keygenAccepts(untouched.line, "a@b", message, signature));
      assert.equal(outcomeOf(signature, "a@b", message), "TOUCH");
      const withPin = make(`${type}-pin`, "-t", type, "-O", "verify-required");
      const verified = verifySignature(parseSignature(sign(withPin, "a@b", message)), "a@b", message);
      assert.deepEqual(verified, { touched: true, userVerified: true });
    }
  });

  test("a token's key for another application: it accepts, we don't", () => {
    const other = make("other-application", "-t", "ed25519-sk", "-O", "application=ssh:other");
    const signature = sign(other, "a@b", message);
    assert.ok(keygenAccepts(other.line, "a@b", message, signature));
    assert.equal(outcomeOf(signature, "a@b", message), "KEY");
  });

  test("rsa of 2048 bits: it accepts, we don't", () => {
    const short = make("rsa-2048", "-t", "rsa", "-b", "2048");
    const signature = sign(short, "a@b", message);
    assert.ok(keygenAccepts(short.line, "a@b", message, signature));
    assert.equal(outcomeOf(signature, "a@b", message), "KEY");
  });

  test("keys in files: ecdsa signs and opens no mail, with a passphrase or without; a token's file does neither", () => {
    for (const bits of ["256", "384", "521"]) {
      const { path, line } = make(`ecdsa-${bits}-protected`, "-t", "ecdsa", "-b", bits);
      execFileSync("ssh-keygen", ["-q", "-p", "-a", "1", "-P", "", "-N", "secret", "-f", path]);
      const text = readFileSync(path, "latin1");
      assert.throws(() => parsePrivateKey(text), { name: "PolicyError", code: "PASSPHRASE" });
      assert.throws(() => parsePrivateKey(text, "wrong"), { name: "VerifyError", code: "PASSPHRASE" });
      const signature = signMessage(parsePrivateKey(text, "secret"), "a@b", message);
      assert.ok(keygenAccepts(line, "a@b", message, signature));
      assert.throws(() => parseIdentities(text, "secret"), { name: "FormatError", code: "KEY" });
    }
    for (const { path } of keys.slice(5)) {
      assert.throws(() => parsePrivateKey(readFileSync(path, "latin1")), { name: "FormatError", code: "KEY" });
    }
  });

  test("a private ecdsa key in the file of another public one is refused", () => {
    const [a, b] = [make("one", "-t", "ecdsa"), make("two", "-t", "ecdsa")].map(({ path }) => {
      const lines = readFileSync(path, "latin1").trim().split("\n").slice(1, -1);
      return Buffer.from(lines.join(""), "base64");
    });
    assert.ok(a !== undefined && b !== undefined);
    const armor = (bytes: Buffer): string =>
      `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;
    // The public blob has 104 bytes and the same place in both files; behind the second copy of the point comes the number.
    const start = a.indexOf("ecdsa-sha2-nistp256") - 4;
    const exchanged = Buffer.concat([a.subarray(0, start), b.subarray(start, start + 104), a.subarray(start + 104)]);
    const second = exchanged.indexOf("ecdsa-sha2-nistp256", start + 104) - 4;
    const bothExchanged = Buffer.from(exchanged);
    b.copy(bothExchanged, second, start, start + 104);
    assert.equal(parsePrivateKey(armor(a)).type, "ecdsa-sha2-nistp256");
    for (const bad of [exchanged, bothExchanged]) {
      assert.throws(() => parsePrivateKey(armor(bad)), { name: "FormatError", code: "KEY" });
    }
  });
});
