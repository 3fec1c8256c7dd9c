/** The text header of an age file (C2SP age specification, "Header"): printed and parsed in its one form. */

import { createHmac, hkdfSync } from "node:crypto";
import { decodeBase64Unpadded, encodeBase64Unpadded, equalBytes } from "#core/bytes.ts";
import { FormatError, VerifyError } from "#core/errors.ts";

const VERSION_LINE = "age-encryption.org/v1\n";
const FOOTER = "\n---";
const MAC_BYTES = 32;
/** Base64 characters in a full line of a stanza's body; the last line has fewer, if need be none. */
const LINE_CHARACTERS = 64;

/** Ten post-quantum recipients take 17 KB; whoever sends more wants to be read for ever. */
export const MAX_HEADER_BYTES = 128 * 1024;

/** One recipient's way to the file key. */
export interface Stanza {
  /** The type, as `ssh-ed25519`, and what belongs to it: each of printable ASCII without spaces. */
  readonly args: readonly string[];
  readonly body: Buffer;
}

export interface Header {
  readonly stanzas: readonly Stanza[];
  /** What the MAC covers: the header up to and with `---`. */
  readonly covered: Buffer;
  readonly mac: Buffer;
  /** Length of the whole header with its last line end. */
  readonly bytes: number;
}

function headerMac(covered: Buffer, fileKey: Buffer): Buffer {
  const key = Buffer.from(hkdfSync("sha256", fileKey, Buffer.alloc(0), "header", 32));
  return createHmac("sha256", key).update(covered).digest();
}

/** Prints a header and authenticates it with the file key. */
export function printHeader(stanzas: readonly Stanza[], fileKey: Buffer): Buffer {
  let text = VERSION_LINE;
  for (const { args, body } of stanzas) {
    text += `-> ${args.join(" ")}\n`;
    const base64 = encodeBase64Unpadded(body);
    // Up to and with the length itself, so that a body of full lines ends in an empty one.
    for (let at = 0; at <= base64.length; at += LINE_CHARACTERS) text += `${base64.slice(at, at + LINE_CHARACTERS)}\n`;
  }
  const covered = Buffer.from(`${text}---`, "latin1");
  return Buffer.concat([covered, Buffer.from(` ${encodeBase64Unpadded(headerMac(covered, fileKey))}\n`, "latin1")]);
}

/**
 * Where the header at the start of `bytes` ends, or null if more bytes are needed to tell.
 * @throws FormatError AGE-HEADER if this can't become a header
 */
export function headerEnd(bytes: Buffer): number | null {
  const start = bytes.toString("latin1", 0, VERSION_LINE.length);
  if (!VERSION_LINE.startsWith(start)) {
    throw new FormatError("AGE-HEADER", 'age header: expected "age-encryption.org/v1" in the first line', {
      hint: start.startsWith("-----BEGIN AGE") ? "armored files are not read: take the armor off with age" : undefined,
    });
  }
  const limited = bytes.subarray(0, MAX_HEADER_BYTES);
  const footer = limited.indexOf(FOOTER);
  const end = footer < 0 ? -1 : limited.indexOf("\n", footer + FOOTER.length);
  if (end >= 0) return end + 1;
  if (bytes.length >= MAX_HEADER_BYTES) {
    throw new FormatError("AGE-HEADER", `age header: does not end within ${MAX_HEADER_BYTES} bytes`);
  }
  return null;
}

/**
 * Parses the header at the start of `bytes`. The MAC is not checked here: that takes the file key.
 * @throws FormatError AGE-HEADER
 */
export function parseHeader(bytes: Buffer): Header {
  const end = headerEnd(bytes);
  if (end === null) throw new FormatError("AGE-HEADER", "age header: the file ends before its header does");
  const lines = bytes.toString("latin1", 0, end - 1).split("\n");
  const stanzas: Stanza[] = [];
  let index = 1;
  while (index < lines.length - 1) {
    const args = parseArguments(lines[index++] ?? "");
    const parts: Buffer[] = [];
    let line: string;
    do {
      // The footer can't be taken for a body line: `-` is no base64 character.
      line = lines[index++] ?? "";
      parts.push(parseBodyLine(line));
    } while (line.length === LINE_CHARACTERS);
    stanzas.push({ args, body: Buffer.concat(parts) });
  }
  const footer = lines[index] ?? "";
  const mac = footer.startsWith("--- ") ? decodeBase64Unpadded(footer.slice(4)) : null;
  if (mac === null || mac.length !== MAC_BYTES) {
    throw new FormatError(
      "AGE-HEADER",
      'age header: expected "--- " and a MAC of 43 base64 characters in the last line',
    );
  }
  if (stanzas.length === 0) throw new FormatError("AGE-HEADER", "age header: there is no recipient");
  // A passphrase stanza beside others would tell who knows the passphrase that the file is from somebody who knows it.
  if (stanzas.length > 1 && stanzas.some(({ args }) => args[0] === "scrypt")) {
    throw new FormatError("AGE-HEADER", "age header: a passphrase stands beside other recipients");
  }
  const covered = bytes.subarray(0, end - 1 - footer.length + "---".length);
  return { stanzas, covered, mac, bytes: end };
}

function parseArguments(line: string): string[] {
  const [arrow, ...args] = line.split(" ");
  if (arrow !== "->" || args.length === 0 || !args.every((argument) => /^[\x21-\x7e]+$/.test(argument))) {
    throw new FormatError("AGE-HEADER", 'age header: expected "-> " and words of printable ASCII');
  }
  return args;
}

function parseBodyLine(line: string): Buffer {
  const bytes = line.length > LINE_CHARACTERS ? null : decodeBase64Unpadded(line);
  if (bytes === null) {
    throw new FormatError(
      "AGE-HEADER",
      "age header: a stanza's body is not canonical base64 in lines of 64 characters",
    );
  }
  return bytes;
}

/**
 * Checks the header against the file key that one of its stanzas gave.
 * @throws VerifyError AGE-MAC
 */
export function checkHeaderMac(header: Header, fileKey: Buffer): void {
  if (!equalBytes(headerMac(header.covered, fileKey), header.mac)) {
    throw new VerifyError("AGE-MAC", "age header: it was changed after sealing, its MAC does not fit");
  }
}
