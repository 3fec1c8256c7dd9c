/** Both directions against the two independent implementations: the `age` command and the npm library. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from "age-encryption";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { open, openStream, parseIdentities, parseRecipient, seal, sealStream } from "./age.ts";

const SIZES = [0, 1, 1000, 65_535, 65_536, 65_537, 131_072, 300_001];

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "shoal-age-"));
});
after(() => rmSync(folder, { recursive: true }));

function makeSshKey(name: string, ...options: string[]): { path: string; secret: string; line: string } {
  const path = join(folder, name);
  execFileSync("ssh-keygen", ["-q", "-C", "", "-f", path, ...options]);
  return { path, secret: readFileSync(path, "utf8"), line: readFileSync(`${path}.pub`, "utf8").trim() };
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

/** Every size, both directions, whole and streamed, against the `age` command. */
async function checkWithCommand(recipient: string, secret: string, path: string): Promise<void> {
  const identities = parseIdentities(secret);
  const recipients = [parseRecipient(recipient)];
  for (const size of SIZES) {
    const plaintext = randomBytes(size);
    const sealed = join(folder, "sealed.age");
    writeFileSync(sealed, seal(recipients, plaintext));
    assert.deepEqual(execFileSync("age", ["-d", "-i", path, sealed]), plaintext, `age opens ours, ${size}`);
    const theirs = execFileSync("age", ["-r", recipient], { input: plaintext });
    assert.deepEqual(open(identities, theirs), plaintext, `we open age's, ${size}`);
    assert.deepEqual(await collect(openStream(identities, [theirs])), plaintext);
  }
  const plaintext = randomBytes(200_000);
  const streamed = await collect(sealStream(recipients, [plaintext.subarray(0, 9), plaintext.subarray(9)]));
  assert.deepEqual(execFileSync("age", ["-d", "-i", path], { input: streamed }), plaintext);
}

describe("with the age command", () => {
  test("ssh-ed25519", async () => {
    const { line, secret, path } = makeSshKey("ed25519", "-t", "ed25519", "-N", "");
    await checkWithCommand(line, secret, path);
  });

  test("ssh-rsa", async () => {
    const { line, secret, path } = makeSshKey("rsa", "-t", "rsa", "-b", "3072", "-N", "");
    await checkWithCommand(line, secret, path);
  });

  test("X25519, with its key file as age-keygen writes it", async () => {
    const path = join(folder, "native");
    execFileSync("age-keygen", ["-o", path], { stdio: "ignore" });
    const text = readFileSync(path, "utf8");
    const recipient = /^# public key: (.*)$/m.exec(text)?.[1] ?? "";
    assert.equal(parseIdentities(text)[0]?.recipient, recipient);
    await checkWithCommand(recipient, text, path);
  });

  test("several recipients of all three kinds in one file", () => {
    const first = makeSshKey("several-1", "-t", "ed25519", "-N", "");
    const second = makeSshKey("several-2", "-t", "rsa", "-b", "3072", "-N", "");
    const third = join(folder, "several-3");
    execFileSync("age-keygen", ["-o", third], { stdio: "ignore" });
    const native = parseIdentities(readFileSync(third, "utf8"));
    const lines = [first.line, second.line, native[0]?.recipient ?? ""];
    const ours = seal(lines.map(parseRecipient), Buffer.from("hello"));
    for (const path of [first.path, second.path, third]) {
      assert.equal(execFileSync("age", ["-d", "-i", path], { input: ours }).toString(), "hello");
    }
    const theirs = execFileSync(
      "age",
      lines.flatMap((line) => ["-r", line]),
      { input: "hello" },
    );
    for (const identities of [parseIdentities(first.secret), parseIdentities(second.secret), native]) {
      assert.equal(open(identities, theirs).toString(), "hello");
    }
  });
});

test("two real keys of one tag: age seals to both, either opens here, and we don't seal to both", () => {
  const vectors = new URL("../../../test/vectors/age/", import.meta.url);
  const secrets = ["colliding-tag-1", "colliding-tag-2"].map((name) => readFileSync(new URL(name, vectors), "utf8"));
  const identities = secrets.map((secret) => parseIdentities(secret));
  const lines = identities.map(([identity]) => identity?.recipient ?? "");
  const recipients = lines.map(parseRecipient);
  assert.equal(recipients[0]?.tag, recipients[1]?.tag);
  assert.notEqual(lines[0], lines[1]);
  const both = execFileSync(
    "age",
    lines.flatMap((line) => ["-r", line]),
    { input: "hello" },
  );
  for (const identity of identities) assert.equal(open(identity, both).toString(), "hello");
  const first = execFileSync("age", ["-r", lines[0] ?? ""], { input: "hello" });
  assert.equal(open(identities.flat().reverse(), first).toString(), "hello");
  assert.throws(
    () => open(identities[1] ?? [], first),
    (error) => error instanceof PolicyError && error.code === "NO-IDENTITY",
  );
  assert.throws(
    () => seal(recipients, Buffer.from("hello")),
    (error) => error instanceof PolicyError && error.code === "KEY-TAG",
  );
});

describe("with the npm library", () => {
  for (const [name, generate] of [
    ["X25519", generateX25519Identity],
    ["mlkem768x25519", generateHybridIdentity],
  ] as const) {
    test(name, async () => {
      const [secret, other] = [await generate(), await generate()];
      const [recipient, otherRecipient] = [await identityToRecipient(secret), await identityToRecipient(other)];
      const identities = parseIdentities(secret);
      assert.equal(identities[0]?.recipient, recipient);
      for (const size of SIZES) {
        const plaintext = randomBytes(size);
        const decrypter = new Decrypter();
        decrypter.addIdentity(secret);
        const ours = seal([otherRecipient, recipient].map(parseRecipient), plaintext);
        assert.deepEqual(Buffer.from(await decrypter.decrypt(ours)), plaintext);
        const encrypter = new Encrypter();
        encrypter.addRecipient(otherRecipient);
        encrypter.addRecipient(recipient);
        const theirs = Buffer.from(await encrypter.encrypt(plaintext));
        assert.deepEqual(open(identities, theirs), plaintext);
        assert.equal(theirs.length, ours.length);
      }
    });
  }
});

describe("OpenSSH private keys", () => {
  const code =
    (kind: typeof PolicyError | typeof VerifyError | typeof FormatError, expected: string) => (error: unknown) =>
      error instanceof kind && error.code === expected;

  for (const [type, bits] of [
    ["ed25519", "256"],
    ["rsa", "3072"],
  ] as const) {
    test(`${type} with a passphrase: right, wrong, missing, empty`, () => {
      const passphrase = "correct hörse, battery staple";
      const key = makeSshKey(`locked-${type}`, "-t", type, "-b", bits, "-N", passphrase, "-a", "4");
      const file = execFileSync("age", ["-r", key.line], { input: "hello" });
      assert.equal(open(parseIdentities(key.secret, passphrase), file).toString(), "hello");
      assert.equal(parseIdentities(key.secret, passphrase)[0]?.recipient, key.line);
      assert.throws(() => parseIdentities(key.secret), code(PolicyError, "PASSPHRASE"));
      assert.throws(() => parseIdentities(key.secret, "correct"), code(VerifyError, "PASSPHRASE"));
      assert.throws(() => parseIdentities(key.secret, ""), code(VerifyError, "PASSPHRASE"));
    });
  }

  test("a passphrase for a key that has none does no harm", () => {
    const key = makeSshKey("unlocked", "-t", "ed25519", "-N", "");
    assert.equal(parseIdentities(key.secret, "unneeded")[0]?.recipient, key.line);
    assert.equal(parseIdentities(key.secret.replaceAll("\n", "\r\n"))[0]?.recipient, key.line);
  });

  test("default rounds of ssh-keygen work", () => {
    const key = makeSshKey("default-rounds", "-t", "ed25519", "-N", "secret");
    assert.equal(parseIdentities(key.secret, "secret")[0]?.recipient, key.line);
  });

  test("what can't open mail is refused with a reason", () => {
    const ecdsa = makeSshKey("ecdsa", "-t", "ecdsa", "-N", "");
    assert.throws(() => parseIdentities(ecdsa.secret), code(FormatError, "KEY"));
    assert.throws(() => parseRecipient(ecdsa.line), code(FormatError, "KEY"));
    const pem = makeSshKey("pem", "-t", "rsa", "-b", "3072", "-N", "", "-m", "PEM");
    assert.throws(() => parseIdentities(pem.secret), code(FormatError, "KEY"));
    const cbc = makeSshKey("cbc", "-t", "ed25519", "-N", "secret", "-Z", "aes256-cbc");
    assert.throws(() => parseIdentities(cbc.secret, "secret"), code(FormatError, "KEY"));
    for (const text of ["", "# only a comment\n", "age1something\n", "AGE-SECRET-KEY-1QQQQ\n", "hello"]) {
      assert.throws(() => parseIdentities(text), code(FormatError, "KEY"));
    }
  });

  test("no private key file with a changed byte is taken for another key, and it fails with a code", () => {
    const key = makeSshKey("flipped", "-t", "ed25519", "-N", "");
    const lines = key.secret.trim().split("\n");
    const bytes = Buffer.from(lines.slice(1, -1).join(""), "base64");
    let accepted = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const text = `${lines[0]}\n${changed.toString("base64")}\n${lines.at(-1)}\n`;
      try {
        assert.equal(parseIdentities(text)[0]?.recipient, key.line);
        accepted++;
      } catch (error) {
        assert.ok(error instanceof FormatError && error.code === "KEY", `byte ${at}: ${String(error)}`);
      }
    }
    assert.equal(accepted, 0);
    for (let length = 0; length < bytes.length; length++) {
      const text = `${lines[0]}\n${bytes.subarray(0, length).toString("base64")}\n${lines.at(-1)}\n`;
      assert.throws(() => parseIdentities(text), code(FormatError, "KEY"), `cut to ${length}`);
    }
  });
});

describe("recipients that seal to nobody or to everybody", () => {
  const refused = (text: string): void =>
    assert.throws(
      () => parseRecipient(text),
      (error) => error instanceof FormatError && error.code === "KEY",
      text,
    );

  test("are refused", async () => {
    const { encodeBech32 } = await import("./bech32.ts");
    const good = await identityToRecipient(await generateX25519Identity());
    assert.equal(parseRecipient(good).text, good);
    for (const text of [
      good.toUpperCase(),
      `${good} `,
      ` ${good}`,
      good.slice(0, -1),
      `${good}q`,
      "age1",
      "age1pq1",
      "",
      "age1qqqq",
    ]) {
      refused(text);
    }
    const one = Buffer.alloc(32);
    one[0] = 1;
    const prime = Buffer.alloc(32, 0xff);
    prime[0] = 0xed;
    prime[31] = 0x7f;
    const highBit = Buffer.alloc(32, 9);
    highBit[31] = 0x89;
    for (const point of [Buffer.alloc(32), one, prime, highBit, Buffer.alloc(32, 0xff), Buffer.alloc(31, 9)]) {
      refused(encodeBech32("age", point));
    }
    const hybrid = await identityToRecipient(await generateHybridIdentity());
    const { decodeBech32 } = await import("./bech32.ts");
    const bytes = decodeBech32("age1pq", hybrid);
    assert.ok(bytes !== null);
    assert.equal(parseRecipient(hybrid).text, hybrid);
    refused(encodeBech32("age1pq", Buffer.concat([bytes.subarray(0, 1184), Buffer.alloc(32)])));
    // Coefficients of ML-KEM are below 3329; 4095 is another form of one that is.
    refused(encodeBech32("age1pq", Buffer.concat([Buffer.alloc(3, 0xff), bytes.subarray(3)])));
    refused(encodeBech32("age1pq", bytes.subarray(1)));
  });
});
