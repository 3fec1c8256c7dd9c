/** Private keys that open sealed mail. */

import { FormatError } from "#core/errors.ts";
import { isPrivateKeyFile, parsePrivateKey } from "#core/ssh/private-key.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";
import type { Stanza } from "./header.ts";
import { hybridIdentity, unwrapHybrid } from "./hybrid-stanza.ts";
import { ed25519Identity, sshTag, unwrapSshEd25519, unwrapSshRsa } from "./ssh-stanza.ts";
import { pointOf, privateKeyOf } from "./x25519.ts";
import { unwrapX25519 } from "./x25519-stanza.ts";

const SECRET_BYTES = 32;
const MAX_FILE_CHARACTERS = 1024 * 1024;

export interface Identity {
  /** The recipient that it opens for, in the form of `Recipient.text`. */
  readonly recipient: string;
  /**
   * The file key, or null if the stanza is not for this key (also when its 32-bit tag says so and its content does not).
   * @throws FormatError AGE-HEADER if the stanza is of this key's type and not what such a stanza is
   */
  unwrap(stanza: Stanza): Buffer | null;
}

/**
 * Parses a file of private keys: lines `AGE-SECRET-KEY-1…` and `AGE-SECRET-KEY-PQ-1…` with empty lines and `#` comments
 * between them, or one OpenSSH private key file (ed25519, rsa).
 * @param passphrase of an OpenSSH private key file
 * @throws FormatError KEY; PolicyError PASSPHRASE if one is missing; VerifyError PASSPHRASE if it is wrong
 */
export function parseIdentities(text: string, passphrase?: string): Identity[] {
  if (text.length > MAX_FILE_CHARACTERS) {
    throw new FormatError("KEY", `key file: ${text.length} characters, at most ${MAX_FILE_CHARACTERS} are expected`);
  }
  if (isPrivateKeyFile(text)) return [sshIdentity(text, passphrase)];
  const identities: Identity[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    identities.push(nativeIdentity(line, index + 1));
  }
  if (identities.length === 0) {
    throw new FormatError("KEY", "key file: it holds no private key", {
      hint: "expected an OpenSSH private key, or lines that start with AGE-SECRET-KEY-",
    });
  }
  return identities;
}

/** A secret key is written in capitals all over. */
function decodeSecret(prefix: string, line: string): Buffer | null {
  return line === line.toUpperCase() ? decodeBech32(prefix, line.toLowerCase()) : null;
}

function nativeIdentity(line: string, number: number): Identity {
  const hybrid = decodeSecret("age-secret-key-pq-", line);
  if (hybrid?.length === SECRET_BYTES) {
    const keys = hybridIdentity(hybrid);
    return { recipient: encodeBech32("age1pq", keys.publicBytes), unwrap: (stanza) => unwrapHybrid(keys, stanza) };
  }
  const scalar = decodeSecret("age-secret-key-", line);
  if (scalar?.length === SECRET_BYTES) {
    const privateKey = privateKeyOf(scalar);
    const point = pointOf(privateKey);
    return { recipient: encodeBech32("age", point), unwrap: (stanza) => unwrapX25519(privateKey, point, stanza) };
  }
  // The line is not quoted: it may be most of a secret.
  throw new FormatError("KEY", `key file: line ${number} is no private key of age`, {
    hint: line.startsWith("age1") ? "that is a public key; the private one starts with AGE-SECRET-KEY-" : undefined,
  });
}

function sshIdentity(text: string, passphrase: string | undefined): Identity {
  const key = parsePrivateKey(text, passphrase);
  const { blob, line } = key.publicKey;
  if (key.type === "ssh-ed25519") {
    const identity = ed25519Identity(blob, key.seed);
    return { recipient: line, unwrap: (stanza) => unwrapSshEd25519(identity, stanza) };
  }
  if (key.type !== "ssh-rsa") {
    throw new FormatError("KEY", `${key.type} keys can sign and can't open sealed mail`, {
      hint: "mail is sealed to ssh-ed25519, ssh-rsa, age1 and age1pq1 keys",
    });
  }
  const tag = sshTag(blob);
  return { recipient: line, unwrap: (stanza) => unwrapSshRsa(key.key, tag, stanza) };
}
