/** The text around an SSH signature (docs/formats/sshsig.md): one form but for where its lines break. */

import { decodeBase64 } from "#core/bytes.ts";
import { FormatError } from "#core/errors.ts";

const BEGIN = "-----BEGIN SSH SIGNATURE-----\n";
const END = "-----END SSH SIGNATURE-----\n";
/** What ssh-keygen prints. */
const COLUMNS = 70;
/** An RSA signature of 16,384 bits with its key takes 5,900 characters. */
const MAX_CHARACTERS = 16 * 1024;

/** The text that `ssh-keygen -Y sign` prints for these bytes. */
export function armorSignature(blob: Buffer): string {
  return `${BEGIN}${blob.toString("base64").replace(new RegExp(`.{1,${COLUMNS}}`, "g"), "$&\n")}${END}`;
}

/**
 * The bytes of an armored signature: nothing before or behind it, lines of 1 to 76 characters that end in LF.
 * @throws FormatError SSHSIG
 */
export function unarmorSignature(text: string): Buffer {
  if (text.length > MAX_CHARACTERS) {
    throw new FormatError("SSHSIG", `signature: ${text.length} characters, at most ${MAX_CHARACTERS} are expected`);
  }
  if (!text.startsWith(BEGIN) || !text.endsWith(`\n${END}`)) {
    throw new FormatError("SSHSIG", `signature: expected lines from "${BEGIN.trimEnd()}" to "${END.trimEnd()}"`, {
      hint: "it is the file that ssh-keygen -Y sign writes, with LF at the end of each line",
    });
  }
  const lines = text.slice(BEGIN.length, -END.length);
  if (!/^(?:[A-Za-z0-9+/=]{1,76}\n)+$/.test(lines)) {
    throw new FormatError("SSHSIG", "signature: expected base64 in lines of 1 to 76 characters");
  }
  const blob = decodeBase64(lines.replaceAll("\n", ""));
  if (blob === null) throw new FormatError("SSHSIG", "signature: it is not canonical base64");
  return blob;
}
