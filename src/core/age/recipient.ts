/** Public keys that mail is sealed to. Everything that is the same for each mail is worked out once, when parsing. */

import { createPublicKey, type KeyObject } from "node:crypto";
import { FormatError } from "#core/errors.ts";
import { montgomeryOf } from "#core/ssh/edwards25519.ts";
import { ed25519Point, parsePublicKey } from "#core/ssh/public-key.ts";
import { WireReader } from "#core/ssh/wire.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";
import type { Stanza } from "./header.ts";
import { HYBRID_PUBLIC_BYTES, hybridRecipient, wrapHybrid } from "./hybrid-stanza.ts";
import { ed25519Recipient, sshTag, wrapSshEd25519, wrapSshRsa } from "./ssh-stanza.ts";
import { privateKeyOf, publicKeyOf, sharedSecret } from "./x25519.ts";
import { POINT_BYTES, wrapX25519 } from "./x25519-stanza.ts";

export interface Recipient {
  readonly type: "X25519" | "mlkem768x25519" | "ssh-ed25519" | "ssh-rsa";
  /** The one canonical text: `age1…`, `age1pq1…` or `TYPE BASE64`. */
  readonly text: string;
  /** The 32-bit tag by which a stanza names an SSH key; null for native keys, whose stanzas name nobody. */
  readonly tag: string | null;
  /** Holds against an attacker with a quantum computer. */
  readonly postQuantum: boolean;
  /** A stanza from which the owner of the key, and nobody else, gets the file key. */
  wrap(fileKey: Buffer): Stanza;
}

/**
 * Parses `ssh-ed25519 AAAA…`, `ssh-rsa AAAA…` (a comment is dropped), `age1…` or `age1pq1…`.
 * @throws FormatError KEY for anything else and for keys with which sealing would not be sealing
 */
export function parseRecipient(text: string): Recipient {
  if (text.startsWith("age1pq1")) return parseHybrid(text);
  if (text.startsWith("age1")) return parseX25519(text);
  return parseSsh(text);
}

function parseX25519(text: string): Recipient {
  const bytes = decodeBech32("age", text);
  if (bytes?.length !== POINT_BYTES) {
    throw new FormatError(
      "KEY",
      `age recipient: "${text.slice(0, 20)}…" is not "age1" and 58 characters with a checksum`,
      {
        hint: text.startsWith("age1yubikey") ? "recipients of plugins can't be used" : undefined,
      },
    );
  }
  const key = checkedPoint(bytes);
  return {
    type: "X25519",
    text: encodeBech32("age", bytes),
    tag: null,
    postQuantum: false,
    wrap: (fileKey) => wrapX25519(key, bytes, fileKey),
  };
}

function parseHybrid(text: string): Recipient {
  const bytes = decodeBech32("age1pq", text);
  if (bytes?.length !== HYBRID_PUBLIC_BYTES) {
    throw new FormatError(
      "KEY",
      `age recipient: "${text.slice(0, 20)}…" is not "age1pq1" and 1,952 characters with a checksum`,
    );
  }
  const recipient = hybridRecipient(bytes);
  checkedPoint(recipient.point);
  return {
    type: "mlkem768x25519",
    text: encodeBech32("age1pq", bytes),
    tag: null,
    postQuantum: true,
    wrap: (fileKey) => wrapHybrid(recipient, fileKey),
  };
}

/** 2^255 - 19, little-endian, is the first value that does not stand for itself. */
function isCanonicalPoint(point: Buffer): boolean {
  if ((point[31] ?? 0) >= 0x80) return false;
  const high = point.subarray(1, 31).every((byte) => byte === 0xff) && point[31] === 0x7f;
  return !high || (point[0] ?? 0) < 0xed;
}

const TEST_SCALAR = privateKeyOf(Buffer.alloc(32, 0x48));

function checkedPoint(point: Buffer): KeyObject {
  const key = publicKeyOf(point);
  if (!isCanonicalPoint(point))
    throw new FormatError("KEY", "age recipient: the point is not in its one canonical form");
  if (sharedSecret(TEST_SCALAR, key) === null)
    throw new FormatError("KEY", "age recipient: the point is of small order");
  return key;
}

function parseSsh(text: string): Recipient {
  const key = parsePublicKey(text);
  if (key.type === "ssh-ed25519") {
    const recipient = ed25519Recipient(key.blob, montgomeryOf(ed25519Point(key)));
    return {
      type: key.type,
      text: key.line,
      tag: recipient.tag,
      postQuantum: false,
      wrap: (fileKey) => wrapSshEd25519(recipient, fileKey),
    };
  }
  if (key.type === "ssh-rsa") {
    const reader = new WireReader(key.blob, "KEY", "rsa key");
    reader.string();
    const [e, n] = [reader.positive().toString("base64url"), reader.positive().toString("base64url")];
    const rsa = createPublicKey({ key: { kty: "RSA", e, n }, format: "jwk" });
    const tag = sshTag(key.blob);
    return {
      type: key.type,
      text: key.line,
      tag,
      postQuantum: false,
      wrap: (fileKey) => wrapSshRsa(rsa, tag, fileKey),
    };
  }
  throw new FormatError("KEY", `${key.type} keys can sign and can't open sealed mail`, {
    hint: "name an ssh-ed25519, ssh-rsa, age1 or age1pq1 key for sealing beside it",
  });
}
