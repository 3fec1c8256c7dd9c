/**
 * Writes the vectors beside this file, the same bytes each time: every key and every random number comes from the hash of
 * a name. The keys exist for this alone. A vector is a text file:
 *
 *     expect ACCEPTED            or the code that refuses it
 *     namespace NAMESPACE        what the verifier expects
 *     message BASE64             what the verifier was given; empty for an empty message
 *     -----BEGIN SSH SIGNATURE-----
 *     ...                        the signature, up to the end of the file
 */

import { constants, createHash, sign } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bigIntOf, bytesOf } from "#core/bytes.ts";
import { armorSignature } from "#core/ssh/armor.ts";
import { wirePositive } from "#core/ssh/wire.ts";
import {
  bytesFrom,
  concat,
  ecdsa,
  ed25519,
  littleEndian,
  littleEndianOf,
  mpints,
  ORDER_25519,
  rsa,
  type Signer,
  sha256,
  token,
  uint32,
  wire,
} from "./keys.ts";

const NAMESPACE = "shoal-test@example.org";
const MESSAGE = Buffer.from("the message\n");

interface Fields {
  magic: string;
  version: number;
  key: Buffer;
  namespace: string;
  reserved: string;
  hash: string;
  proof: Buffer;
  /** Where what is signed differs from what is said. */
  signed: { namespace?: string; reserved?: string; hash?: string; message?: Buffer };
}

function signedBytes(fields: Fields["signed"]): Buffer {
  const { namespace = NAMESPACE, reserved = "", hash = "sha512", message = MESSAGE } = fields;
  const digest = createHash(hash.toLowerCase().replace("\0", "")).update(message).digest();
  return concat("SSHSIG", wire(namespace), wire(reserved), wire(hash), wire(digest));
}

function blobOf(signer: Signer, fields: Partial<Fields> = {}): Buffer {
  const { magic = "SSHSIG", version = 1, key = signer.key, namespace = NAMESPACE, reserved = "" } = fields;
  const { hash = "sha512", signed = {} } = fields;
  const proof = fields.proof ?? signer.proof(signedBytes({ namespace, reserved, hash, ...signed }));
  return concat(magic, uint32(version), wire(key), wire(namespace), wire(reserved), wire(hash), wire(proof));
}

/** A key of the vectors of public keys. */
function keyOf(name: string): Buffer {
  const line = readFileSync(join(import.meta.dirname, "../ssh-public-key", name), "latin1");
  return Buffer.from(line.split(" ")[1] ?? "", "base64");
}

type Expected = "ACCEPTED" | "SSHSIG" | "KEY" | "NAMESPACE" | "SIGNATURE" | "TOUCH";

interface Given {
  namespace?: string;
  message?: Buffer;
}

/** Every vector by its path: accept/NAME or reject/NAME. */
export function vectors(): Map<string, string> {
  const all = new Map<string, string>();
  const add = (name: string, expected: Expected, signature: Buffer | string, given: Given = {}): void => {
    const { namespace = NAMESPACE, message = MESSAGE } = given;
    const text = typeof signature === "string" ? signature : armorSignature(signature);
    const path = `${expected === "ACCEPTED" ? "accept" : "reject"}/${name}`;
    if (all.has(path)) throw new Error(`two vectors are named ${path}`);
    all.set(path, `expect ${expected}\nnamespace ${namespace}\nmessage ${message.toString("base64")}\n${text}`);
  };
  const ed = ed25519("ed25519");
  const rsa3072 = rsa("rsa-3072", 3072);
  const p256 = ecdsa("nistp256", "nistp256");
  const p384 = ecdsa("nistp384", "nistp384");
  const p521 = ecdsa("nistp521", "nistp521");
  const proof = (algorithm: string, ...parts: Buffer[]): Buffer => concat(wire(algorithm), ...parts);
  const usual = signedBytes({});
  const good = blobOf(ed);
  const text = armorSignature(good);
  const base64 = good.toString("base64");
  const armor = (...lines: string[]): string =>
    `-----BEGIN SSH SIGNATURE-----\n${lines.map((line) => `${line}\n`).join("")}-----END SSH SIGNATURE-----\n`;
  const wrapped = (columns: number): string[] => base64.match(new RegExp(`.{1,${columns}}`, "g")) ?? [];

  // Every type of key, both hashes.
  for (const hash of ["sha256", "sha512"]) {
    add(`ed25519-${hash}`, "ACCEPTED", blobOf(ed, { hash }));
    add(`rsa-${hash}`, "ACCEPTED", blobOf(rsa3072, { hash }));
    add(`ecdsa-nistp256-${hash}`, "ACCEPTED", blobOf(p256, { hash }));
    add(`ecdsa-nistp384-${hash}`, "ACCEPTED", blobOf(p384, { hash }));
    add(`ecdsa-nistp521-${hash}`, "ACCEPTED", blobOf(p521, { hash }));
    add(`sk-ed25519-${hash}`, "ACCEPTED", blobOf(token(ed), { hash }));
    add(`sk-ecdsa-${hash}`, "ACCEPTED", blobOf(token(p256), { hash }));
  }
  add(
    "rsa-signed-by-sha2-256",
    "ACCEPTED",
    blobOf(rsa3072, { proof: proof("rsa-sha2-256", wire(rsa3072.with("sha256", usual))) }),
  );
  add(
    "ecdsa-short-r",
    "ACCEPTED",
    blobOf(p256, { proof: proof(p256.type, wire(mpints(p256.numbers(usual, ({ r }) => r < 2n ** 247n)))) }),
  );
  add(
    "ecdsa-short-s",
    "ACCEPTED",
    blobOf(p256, { proof: proof(p256.type, wire(mpints(p256.numbers(usual, ({ s }) => s < 2n ** 247n)))) }),
  );
  const half = p256.numbers(usual, ({ s }) => s < p256.order / 2n);
  add("ecdsa-low-s", "ACCEPTED", blobOf(p256, { proof: proof(p256.type, wire(mpints(half))) }));
  add(
    "ecdsa-high-s-of-the-same",
    "ACCEPTED",
    blobOf(p256, { proof: proof(p256.type, wire(mpints({ r: half.r, s: p256.order - half.s }))) }),
  );
  add("sk-ed25519-pin", "ACCEPTED", blobOf(token(ed, { flags: 0x05 })));
  add("sk-ecdsa-pin", "ACCEPTED", blobOf(token(p256, { flags: 0x05 })));
  add("sk-ed25519-backed-up-and-reserved-flags", "ACCEPTED", blobOf(token(ed, { flags: 0x3b })));
  add("sk-ed25519-counter-0", "ACCEPTED", blobOf(token(ed, { counter: 0 })));
  add("sk-ed25519-counter-largest", "ACCEPTED", blobOf(token(ed, { counter: 0xffffffff })));
  add("message-empty", "ACCEPTED", blobOf(ed, { signed: { message: Buffer.alloc(0) } }), { message: Buffer.alloc(0) });
  const binary = bytesFrom("binary", 300);
  add("message-of-any-bytes", "ACCEPTED", blobOf(ed, { signed: { message: binary } }), { message: binary });
  for (const [name, namespace] of [
    ["of-1-character", "x"],
    ["of-255-characters", "n".repeat(255)],
    ["of-all-printable-characters", String.fromCharCode(...Array.from({ length: 0x7f - 0x20 }, (_, i) => 0x20 + i))],
  ] as const) {
    add(`namespace-${name}`, "ACCEPTED", blobOf(ed, { namespace }), { namespace });
  }
  add("armor-of-76-columns", "ACCEPTED", armor(...wrapped(76)));
  add("armor-of-1-column", "ACCEPTED", armor(...wrapped(1)));
  add(
    "armor-of-unequal-lines",
    "ACCEPTED",
    armor(base64.slice(0, 7), base64.slice(7, 70), base64.slice(70, 71), ...(base64.slice(71).match(/.{1,60}/g) ?? [])),
  );

  // The armor.
  add("blank-line-in-armor", "SSHSIG", armor(...wrapped(70).flatMap((line) => [line, ""])));
  add("armor-no-final-line-end", "SSHSIG", text.slice(0, -1));
  add("armor-crlf", "SSHSIG", text.replaceAll("\n", "\r\n"));
  add("armor-text-before", "SSHSIG", `signed by me\n${text}`);
  add("armor-text-behind", "SSHSIG", `${text}signed by me\n`);
  add("armor-line-end-behind", "SSHSIG", `${text}\n`);
  add("armor-two-signatures", "SSHSIG", text + text);
  add("armor-space-in-front", "SSHSIG", armor(...wrapped(70).map((line) => ` ${line}`)));
  add("armor-space-at-line-end", "SSHSIG", armor(...wrapped(70).map((line) => `${line} `)));
  add("armor-77-columns", "SSHSIG", armor(...wrapped(77)));
  add("armor-no-content", "SSHSIG", armor());
  add("armor-no-begin", "SSHSIG", text.slice(text.indexOf("\n") + 1));
  add("armor-no-end", "SSHSIG", text.slice(0, text.indexOf("-----END")));
  add("armor-end-on-the-last-line", "SSHSIG", text.replace("\n-----END", "-----END"));
  add("armor-of-pgp", "SSHSIG", text.replaceAll("SSH SIGNATURE", "PGP SIGNATURE"));
  add("armor-in-small-letters", "SSHSIG", text.replace("BEGIN", "begin"));
  add("armor-header-field", "SSHSIG", armor("Hash: SHA512", ...wrapped(70)));
  // 196 bytes leave four bits unused in the last character.
  const spare = blobOf(ed, { namespace: `${NAMESPACE}.x` });
  const spareText = armorSignature(spare);
  const last = /([A-Za-z0-9+/])(=+)\n-----END/.exec(spareText)?.[1];
  if (last === undefined) throw new Error("the base64 has no padding");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const given = { namespace: `${NAMESPACE}.x` };
  add(
    "armor-base64-non-canonical-tail",
    "SSHSIG",
    spareText.replace(/.(=+\n-----END)/, `${alphabet[alphabet.indexOf(last) + 1]}$1`),
    given,
  );
  add("armor-base64-unpadded", "SSHSIG", spareText.replace(/=+\n-----END/, "\n-----END"), given);
  add("armor-base64-padded-too-much", "SSHSIG", text.replace("\n-----END", "====\n-----END"));
  add(
    "armor-base64-in-two-parts",
    "SSHSIG",
    armor(good.toString("base64", 0, 50), good.toString("base64", 50, 100), good.toString("base64", 100)),
  );
  const odd = (() => {
    for (let i = 0; ; i++) {
      const message = Buffer.from(`message ${i}`);
      const blob = blobOf(ed, { signed: { message } });
      if (/[+/]/.test(blob.toString("base64"))) return { message, blob };
    }
  })();
  add("armor-base64-url-alphabet", "SSHSIG", armorSignature(odd.blob).replaceAll("+", "-").replaceAll("/", "_"), {
    message: odd.message,
  });
  add("armor-too-long", "SSHSIG", blobOf(ed, { namespace: "n".repeat(13_000) }), { namespace: "n".repeat(13_000) });

  // The fields.
  add("magic-in-small-letters", "SSHSIG", blobOf(ed, { magic: "sshsig" }));
  add("version-0", "SSHSIG", blobOf(ed, { version: 0 }));
  add("version-2", "SSHSIG", blobOf(ed, { version: 2 }));
  add("trailing-byte", "SSHSIG", concat(good, Buffer.of(0)));
  add(
    "trailing-byte-behind-algorithm-and-signature",
    "SSHSIG",
    blobOf(ed, { proof: concat(ed.proof(usual), Buffer.of(0)) }),
  );
  add("cut-off", "SSHSIG", good.subarray(0, -1));
  add("only-the-magic", "SSHSIG", good.subarray(0, 6));
  add("length-beyond-end", "SSHSIG", concat(good.subarray(0, 10), uint32(0xffffffff), good.subarray(14)));
  add("signature-without-its-wrapping", "SSHSIG", ed.proof(usual));
  add("namespace-empty", "SSHSIG", blobOf(ed, { namespace: "" }), { namespace: "" });
  add("namespace-with-nul", "SSHSIG", blobOf(ed, { namespace: `${NAMESPACE}\0x` }));
  add("namespace-with-line-end", "SSHSIG", blobOf(ed, { namespace: `${NAMESPACE}\n` }));
  add("namespace-not-ascii", "SSHSIG", blobOf(ed, { namespace: "\xc3\xa9" }));
  add("namespace-of-256-characters", "SSHSIG", blobOf(ed, { namespace: "n".repeat(256) }), {
    namespace: "n".repeat(256),
  });
  add("reserved-not-empty", "SSHSIG", blobOf(ed, { reserved: "x", signed: { reserved: "" } }));
  add("reserved-not-empty-and-signed", "SSHSIG", blobOf(ed, { reserved: "x" }));
  add("hash-sha1", "SSHSIG", blobOf(ed, { hash: "sha1" }));
  add("hash-sha384", "SSHSIG", blobOf(ed, { hash: "sha384" }));
  add("hash-in-capitals", "SSHSIG", blobOf(ed, { hash: "SHA512" }));
  add("hash-with-nul", "SSHSIG", blobOf(ed, { hash: "sha512\0" }));

  // The public key.
  const small = keyOf("reject/ed25519-small-order-0-torsion");
  const identity = concat(Buffer.of(1), Buffer.alloc(31));
  if (!small.subarray(-32).equals(identity)) throw new Error("the point is not the identity");
  const forged = concat(identity, Buffer.alloc(32));
  add(
    "ed25519-identity-signs-everything",
    "KEY",
    blobOf(ed, { key: small, proof: proof("ssh-ed25519", wire(forged)) }),
  );
  const smallToken = token({ key: small, proof: () => proof("ssh-ed25519", wire(forged)) });
  add("sk-ed25519-identity-signs-everything", "KEY", blobOf(smallToken));
  add("ed25519-mixed-order-key", "KEY", blobOf(ed, { key: keyOf("reject/ed25519-mixed-order-plus-1-torsion") }));
  add("ed25519-non-canonical-key", "KEY", blobOf(ed, { key: keyOf("reject/ed25519-non-canonical-y-is-p-plus-3") }));
  const rsa2048 = rsa("rsa-2048", 2048);
  add("rsa-2048", "KEY", blobOf(rsa2048));
  add("rsa-exponent-3", "KEY", blobOf(rsa("rsa-exponent-3", 3072, 3n)));
  add("ecdsa-off-curve-key", "KEY", blobOf(p256, { key: keyOf("reject/ecdsa-off-curve") }));
  const certificate = concat(
    ...[wire("ssh-ed25519-cert-v01@openssh.com"), wire(bytesFrom("nonce", 32)), wire(ed.point)],
    ...[Buffer.alloc(8), uint32(1), wire("name"), wire(wire("name")), Buffer.alloc(8), Buffer.alloc(8, 0xff)],
    ...[wire(""), wire(""), wire(""), wire(ed.key)],
  );
  add("certificate-as-key", "KEY", blobOf(ed, { key: concat(certificate, wire(ed.proof(certificate))) }));
  add("key-trailing-byte", "KEY", blobOf(ed, { key: concat(ed.key, Buffer.of(0)) }));
  add("key-empty", "KEY", blobOf(ed, { key: Buffer.alloc(0) }));
  add("sk-ed25519-other-application", "KEY", blobOf(token(ed, { application: "ssh:other" })));
  add("sk-ecdsa-web-site-application", "KEY", blobOf(token(p256, { application: "https://example.org" })));
  add("rsa-2048-sha1", "KEY", blobOf(rsa2048, { proof: proof("ssh-rsa", wire(rsa2048.with("sha1", usual))) }));

  // The algorithm.
  add("rsa-sha1", "SSHSIG", blobOf(rsa3072, { proof: proof("ssh-rsa", wire(rsa3072.with("sha1", usual))) }));
  add(
    "rsa-algorithm-of-certificates",
    "SSHSIG",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512-cert-v01@openssh.com", wire(rsa3072.with("sha512", usual))) }),
  );
  add(
    "rsa-sha1-called-sha2-512",
    "SIGNATURE",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(rsa3072.with("sha1", usual))) }),
  );
  add(
    "rsa-sha2-256-called-sha2-512",
    "SIGNATURE",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(rsa3072.with("sha256", usual))) }),
  );
  add("ed25519-algorithm-of-rsa", "SSHSIG", blobOf(ed, { proof: proof("rsa-sha2-512", wire(ed.raw(usual))) }));
  add("ed25519-algorithm-empty", "SSHSIG", blobOf(ed, { proof: proof("", wire(ed.raw(usual))) }));
  add("ed25519-algorithm-of-tokens", "SSHSIG", blobOf(ed, { proof: token(ed).proof(usual) }));
  add("sk-ed25519-algorithm-without-token", "SSHSIG", blobOf(token(ed), { proof: ed.proof(usual) }));
  add(
    "ecdsa-nistp384-algorithm-of-nistp256",
    "SSHSIG",
    blobOf(p384, { proof: proof(p256.type, wire(mpints(p384.numbers(usual)))) }),
  );
  const webauthn = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";
  const challenge = usual.toString("base64url");
  const client = Buffer.from(`{"type":"webauthn.get","challenge":"${challenge}","origin":"https://example.org"}`);
  const ofWeb = p256.numbers(concat(sha256(Buffer.from("ssh:")), Buffer.of(1), uint32(7), sha256(client)));
  add(
    "sk-ecdsa-webauthn",
    "SSHSIG",
    blobOf(token(p256), {
      proof: proof(
        webauthn,
        wire(mpints(ofWeb)),
        Buffer.of(1),
        uint32(7),
        wire("https://example.org"),
        wire(client),
        wire(""),
      ),
    }),
  );

  // Ed25519.
  const raw = ed.raw(usual);
  add("ed25519-63-bytes", "SSHSIG", blobOf(ed, { proof: proof("ssh-ed25519", wire(raw.subarray(0, 63))) }));
  add("ed25519-65-bytes", "SSHSIG", blobOf(ed, { proof: proof("ssh-ed25519", wire(concat(raw, Buffer.of(0)))) }));
  const plusOrder = littleEndianOf(littleEndian(raw.subarray(32)) + ORDER_25519);
  add(
    "ed25519-s-plus-l",
    "SIGNATURE",
    blobOf(ed, { proof: proof("ssh-ed25519", wire(concat(raw.subarray(0, 32), plusOrder))) }),
  );
  const identityPlusP = littleEndianOf(2n ** 255n - 19n + 1n);
  add(
    "ed25519-r-not-canonical",
    "SIGNATURE",
    blobOf(ed, { proof: proof("ssh-ed25519", wire(ed.withR(identityPlusP, usual))) }),
  );
  const torsion = keyOf("reject/ed25519-small-order-1-torsion").subarray(-32);
  add(
    "ed25519-r-off-by-small-order",
    "SIGNATURE",
    blobOf(ed, { proof: proof("ssh-ed25519", wire(ed.withR(torsion, usual))) }),
  );
  add("ed25519-all-zero", "SIGNATURE", blobOf(ed, { proof: proof("ssh-ed25519", wire(Buffer.alloc(64))) }));
  add("message-signed-directly", "SIGNATURE", blobOf(ed, { proof: proof("ssh-ed25519", wire(ed.raw(MESSAGE))) }));

  // RSA.
  const short = (() => {
    for (let i = 0; ; i++) {
      const message = Buffer.from(`message ${i}`);
      const signature = rsa3072.with("sha512", signedBytes({ message }));
      if (signature[0] === 0) return { message, signature };
    }
  })();
  add(
    "rsa-signature-begins-with-zero",
    "ACCEPTED",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(short.signature)) }),
    { message: short.message },
  );
  add(
    "rsa-signature-without-leading-zero",
    "SSHSIG",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(short.signature.subarray(1))) }),
    { message: short.message },
  );
  const plusModulus = bytesOf(bigIntOf(short.signature) + rsa3072.modulus, 384);
  add("rsa-signature-plus-modulus", "SIGNATURE", blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(plusModulus)) }), {
    message: short.message,
  });
  const ofRsa = rsa3072.with("sha512", usual);
  add(
    "rsa-signature-with-zero-in-front",
    "SSHSIG",
    blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(concat(Buffer.of(0), ofRsa))) }),
  );
  add("rsa-signature-empty", "SSHSIG", blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire("")) }));
  add("rsa-signature-one", "SIGNATURE", blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(bytesOf(1n, 384))) }));
  // PSS with an empty salt is the only one that is the same each time.
  const pss = sign("sha512", usual, { key: rsa3072.secret, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 });
  add("rsa-pss", "SIGNATURE", blobOf(rsa3072, { proof: proof("rsa-sha2-512", wire(pss)) }));

  // ECDSA.
  const { r, s } = p256.numbers(usual, (numbers) => numbers.r < 2n ** 255n && numbers.s >= 2n ** 255n);
  const inP256 = (...parts: Buffer[]): Buffer => blobOf(p256, { proof: proof(p256.type, wire(concat(...parts))) });
  const [rBytes, sBytes] = [bytesOf(r), bytesOf(s)];
  add("ecdsa-padded-mpint", "SSHSIG", inP256(wire(concat(Buffer.of(0), rBytes)), wirePositive(sBytes)));
  add("ecdsa-mpint-without-sign", "SSHSIG", inP256(wirePositive(rBytes), wire(sBytes)));
  add("ecdsa-third-number", "SSHSIG", inP256(wirePositive(rBytes), wirePositive(sBytes), wirePositive(rBytes)));
  add("ecdsa-only-r", "SSHSIG", inP256(wirePositive(rBytes)));
  add("ecdsa-r-zero", "SSHSIG", inP256(wire(""), wirePositive(sBytes)));
  add("ecdsa-r-and-s-zero", "SSHSIG", inP256(wire(""), wire("")));
  add("ecdsa-r-of-33-bytes", "SSHSIG", inP256(wirePositive(bytesOf(r + 2n ** 256n)), wirePositive(sBytes)));
  add("ecdsa-r-is-the-order", "SIGNATURE", inP256(wirePositive(bytesOf(p256.order)), wirePositive(sBytes)));
  add("ecdsa-s-is-the-order", "SIGNATURE", inP256(wirePositive(rBytes), wirePositive(bytesOf(p256.order))));
  add("ecdsa-r-and-s-exchanged", "SIGNATURE", inP256(wirePositive(sBytes), wirePositive(rBytes)));
  const in521 = p521.numbers(usual);
  const s521 = mpints({ r: in521.r, s: in521.s + p521.order });
  add("ecdsa-nistp521-s-plus-order", "SIGNATURE", blobOf(p521, { proof: proof(p521.type, wire(s521)) }));
  const integer = (value: bigint): Buffer => {
    const bytes = wirePositive(bytesOf(value)).subarray(4);
    return concat(Buffer.of(2, bytes.length), bytes);
  };
  const der = concat(integer(r), integer(s));
  add("ecdsa-der", "SSHSIG", inP256(Buffer.of(0x30, der.length), der));

  // FIDO2 tokens.
  add("sk-no-touch", "TOUCH", blobOf(token(ed, { flags: 0 })));
  add("sk-ecdsa-no-touch", "TOUCH", blobOf(token(p256, { flags: 0 })));
  add("sk-pin-without-touch", "TOUCH", blobOf(token(ed, { flags: 4 })));
  add("sk-touch-claimed-later", "SIGNATURE", blobOf(token(ed, { flags: 0 }, { flags: 1 })));
  add("sk-pin-claimed-later", "SIGNATURE", blobOf(token(p256, { flags: 1 }, { flags: 5 })));
  add("sk-counter-changed", "SIGNATURE", blobOf(token(ed, { counter: 7 }, { counter: 8 })));
  add("sk-flags-attested-data", "SSHSIG", blobOf(token(ed, { flags: 0x41 })));
  add("sk-flags-extension-data", "SSHSIG", blobOf(token(p256, { flags: 0x81 })));
  add("sk-no-counter", "SSHSIG", blobOf(token(ed), { proof: token(ed).proof(usual).subarray(0, -4) }));
  add("sk-trailing-byte", "SSHSIG", blobOf(token(ed), { proof: concat(token(ed).proof(usual), Buffer.of(0)) }));
  const direct = concat(wire("sk-ssh-ed25519@openssh.com"), wire(ed.raw(usual)), Buffer.of(1), uint32(7));
  add("sk-signed-without-token", "SIGNATURE", blobOf(token(ed), { proof: direct }));

  // What was signed is something else.
  add("wrong-namespace", "NAMESPACE", blobOf(ed, { namespace: "other@example.org" }));
  add("namespace-is-a-prefix", "NAMESPACE", blobOf(ed, { namespace: NAMESPACE.slice(0, -1) }));
  add("namespace-goes-on", "NAMESPACE", blobOf(ed, { namespace: `${NAMESPACE}.` }));
  add("namespace-in-capitals", "NAMESPACE", blobOf(ed, { namespace: NAMESPACE.toUpperCase() }));
  add("namespace-changed-later", "SIGNATURE", blobOf(ed, { signed: { namespace: "other@example.org" } }));
  add("wrong-message", "SIGNATURE", blobOf(ed), { message: Buffer.from("another message\n") });
  add("message-lacks-line-end", "SIGNATURE", blobOf(ed), { message: MESSAGE.subarray(0, -1) });
  add("message-is-its-own-hash", "SIGNATURE", blobOf(ed), { message: createHash("sha512").update(MESSAGE).digest() });
  add(
    "hash-changed-later",
    "SIGNATURE",
    blobOf(ed, { hash: "sha512", proof: ed.proof(signedBytes({ hash: "sha256" })) }),
  );
  add("key-of-another-person", "SIGNATURE", blobOf(ed, { key: ed25519("another").key }));
  add("sk-no-touch-and-wrong-message", "SIGNATURE", blobOf(token(ed, { flags: 0 })), { message: Buffer.from("x") });
  add("wrong-namespace-and-message", "NAMESPACE", blobOf(ed, { namespace: "other" }), { message: Buffer.from("x") });
  return all;
}

if (import.meta.main) {
  for (const folder of ["accept", "reject"]) {
    rmSync(join(import.meta.dirname, folder), { recursive: true, force: true });
    mkdirSync(join(import.meta.dirname, folder));
  }
  for (const [path, text] of vectors()) writeFileSync(join(import.meta.dirname, path), text, "latin1");
}
