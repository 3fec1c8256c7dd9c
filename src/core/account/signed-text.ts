/** A text with its signatures behind it, as `cat state state.sig` makes it (docs/formats/account-state.md, "Signed state"). */

import { hash } from "node:crypto";
import { FormatError, PolicyError } from "#core/errors.ts";
import { parseSignature, type SshSignature, verifySignature } from "#core/ssh/signature.ts";

/** A step has at most 10 new keys, and 10 that were masters and recovery keys before it. */
export const MAX_SIGNATURES = 20;
/** Of RSA with 16384 bits in armor, with room. */
export const MAX_SIGNATURE_BYTES = 8192;

const BEGIN = "-----BEGIN SSH SIGNATURE-----\n";
const END = "-----END SSH SIGNATURE-----\n";

export interface SignedText {
  /** The exact bytes that were signed. */
  readonly body: Buffer;
  /** Armored, as they stand in the file. */
  readonly signatures: readonly string[];
}

/**
 * Splits a text from its signatures; neither is judged. Nothing may stand between or behind the signatures.
 * @throws FormatError SIGNED, TOO-LARGE
 */
export function splitSigned(bytes: Buffer, maxBodyBytes: number): SignedText {
  const maxBytes = maxBodyBytes + MAX_SIGNATURES * MAX_SIGNATURE_BYTES;
  if (bytes.length > maxBytes) {
    throw new FormatError("TOO-LARGE", `signed text: ${bytes.length} bytes, expected at most ${maxBytes}`);
  }
  const begin = bytes.indexOf(`\n${BEGIN}`);
  const body = begin < 0 ? bytes : bytes.subarray(0, begin + 1);
  if (body.length > maxBodyBytes) {
    throw new FormatError("TOO-LARGE", `signed text: ${body.length} bytes, expected at most ${maxBodyBytes}`);
  }
  const signatures: string[] = [];
  for (let at = body.length; at < bytes.length; ) {
    const end = bytes.indexOf(END, at);
    if (!bytes.subarray(at).toString("latin1", 0, BEGIN.length).startsWith(BEGIN) || end < 0) {
      throw new FormatError("SIGNED", `signed text: byte ${at}: expected a whole signature and nothing else`, {
        hint: "append the files that ssh-keygen -Y sign made, unchanged",
      });
    }
    signatures.push(bytes.toString("latin1", at, end + END.length));
    at = end + END.length;
  }
  if (signatures.length > MAX_SIGNATURES) {
    throw new FormatError("SIGNED", `signed text: ${signatures.length} signatures, expected at most ${MAX_SIGNATURES}`);
  }
  return { body, signatures };
}

/** The inverse of {@link splitSigned}. */
export function joinSigned({ body, signatures }: SignedText): Buffer {
  return Buffer.concat([body, Buffer.from(signatures.join(""), "latin1")]);
}

/** How a version is named by the one behind it: base64 of the body's SHA-256. */
export function hashOfBody(body: Uint8Array): string {
  return hash("sha256", body, "base64");
}

/** The name of a chain for ever: the first 16 bytes of its first body's SHA-256, base64url without padding, 22 characters. */
export function chainId(firstBody: Uint8Array): string {
  return hash("sha256", firstBody, "buffer").subarray(0, 16).toString("base64url");
}

/**
 * Verifies every signature; each must be by another of the keys that may sign.
 * @param maySign key lines
 * @returns the key lines that signed
 * @throws FormatError SSHSIG, KEY; PolicyError SIGNER for a key that may not sign, SIGNER-TWICE; VerifyError NAMESPACE,
 * SIGNATURE, TOUCH
 */
export function verifiedSigners(signed: SignedText, namespace: string, maySign: ReadonlySet<string>): Set<string> {
  const signers = new Set<string>();
  const parsed: SshSignature[] = [];
  for (const armored of signed.signatures) {
    const signature = parseSignature(armored);
    const { line } = signature.publicKey;
    if (!maySign.has(line)) {
      throw new PolicyError("SIGNER", `a signature is by a key that has no say here: ${line}`);
    }
    if (signers.has(line)) throw new PolicyError("SIGNER-TWICE", `two signatures are by the same key: ${line}`);
    signers.add(line);
    parsed.push(signature);
  }
  for (const signature of parsed) verifySignature(signature, namespace, signed.body);
  return signers;
}
