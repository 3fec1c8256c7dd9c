/** The public half of a key file, whatever kind of file it is. */

import { FormatError, HostError } from "#core/errors.ts";
import { parsePublicKey, parsePublicKeyBlob } from "#core/ssh/public-key.ts";
import { WireReader } from "#core/ssh/wire.ts";
import { readBounded } from "#host/files.ts";

const MAX_BYTES = 65_536;
const OPENSSH = /^-----BEGIN OPENSSH PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----\s*$/;
const MAGIC = "openssh-key-v1\0";

export interface PublicHalf {
  /** `TYPE BASE64`, or `age1…`. */
  readonly key: string;
  /** What stands behind the key in a file of public keys. */
  readonly comment: string;
  /** The file holds a private key (or the handle of a token's) that asks for a passphrase. */
  readonly isProtected: boolean;
  /** The file holds a public key only: the private one is in an agent. */
  readonly isPublicOnly: boolean;
}

/**
 * Reads a private key file, a `.pub` file, or an age identity. Of a private key in OpenSSH's own format the public half
 * stands in the file itself, for everybody to read; of others in the `.pub` file beside it.
 * @throws FormatError KEY; HostError FILE when it can't be read
 */
export async function readPublicHalf(file: string): Promise<PublicHalf> {
  const text = await readKeyText(file);
  const base64 = OPENSSH.exec(text)?.[1];
  if (base64 !== undefined) return fromOpenSsh(base64, await commentBeside(file));
  if (/^(ssh|sk-ssh|ecdsa|sk-ecdsa)-/.test(text)) return fromPublicLine(text, true);
  if (/^age1[^\s]+\s*$/.test(text)) return { key: text.trim(), comment: "", isProtected: false, isPublicOnly: true };
  const age = /^# public key: (age1\S+)\r?$/m.exec(text)?.[1];
  if (age !== undefined) return { key: age, comment: "", isProtected: false, isPublicOnly: false };
  if (!/PRIVATE KEY-----/.test(text)) {
    throw new FormatError("KEY", `"${file}" is no key file`, {
      hint: "expected a private key of ssh-keygen, its .pub file, or a file of age-keygen",
    });
  }
  try {
    const half = fromPublicLine(await readKeyText(`${file}.pub`), false);
    return { ...half, isProtected: /ENCRYPTED/.test(text) };
  } catch (cause) {
    throw new FormatError("KEY", `there is no public key beside "${file}"`, {
      cause,
      hint: "ssh-keygen -y -f FILE > FILE.pub makes it",
    });
  }
}

function fromOpenSsh(base64: string, comment: string): PublicHalf {
  const reader = new WireReader(Buffer.from(base64, "base64"), "KEY", "private key file");
  if (reader.take(MAGIC.length).toString("latin1") !== MAGIC) {
    throw new FormatError("KEY", 'private key file: expected "openssh-key-v1"');
  }
  const cipher = reader.name();
  reader.name();
  reader.string();
  reader.uint32();
  const { line } = parsePublicKeyBlob(reader.string());
  return { key: line, comment, isProtected: cipher !== "none", isPublicOnly: false };
}

function fromPublicLine(text: string, isPublicOnly: boolean): PublicHalf {
  const line = text.trim();
  const comment = line
    .split(/[ \t]+/)
    .slice(2)
    .join(" ");
  return { key: parsePublicKey(line).line, comment, isProtected: false, isPublicOnly };
}

async function commentBeside(file: string): Promise<string> {
  try {
    return fromPublicLine(await readKeyText(`${file}.pub`), true).comment;
  } catch {
    // A comment is for people only.
    return "";
  }
}

async function readKeyText(file: string): Promise<string> {
  try {
    return (await readBounded(file, MAX_BYTES)).toString("latin1");
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new HostError("FILE", `can't read the key "${file}": ${(cause as Error).message}`, { cause });
  }
}
