/**
 * What stands in smtpd's queue in place of a message: sealed mail for one or more accounts, as a valid message of short
 * lines (docs/formats/envelopes.md).
 */

import { createHash } from "node:crypto";
import { isChainId } from "#core/account/chain-id.ts";
import { FormatError, VerifyError } from "#core/errors.ts";
import { isAccountName } from "./address.ts";

/** Whom a mail was sealed to. */
export interface SealedTo {
  /** The account's name. */
  readonly name: string;
  /** Its id, 22 characters. */
  readonly account: string;
  /** Of the state whose keys the mail is sealed to, from 1. */
  readonly version: number;
}

/** One sealed mail for one account. */
export interface Envelope extends SealedTo {
  /** SHA-256 of the file in hexadecimal: its name on `fetch`. */
  readonly sha256: string;
  readonly file: Buffer;
}

const CONTENT_TYPE = "Content-Type: application/x-shoal-envelopes";
const VERSION_LINE = "shoal-envelopes/v1";
const TO_LINE = /^to ([^ ]+) ([^ ]+) ([1-9][0-9]{0,14}) ([1-9][0-9]{0,11}) ([0-9a-f]{64})$/;
const END_LINE = "end";
/** SMTP allows 998 characters in a line; this is a whole number of groups of 3 bytes. */
const LINE_CHARACTERS = 900;
const LINE_BYTES = (LINE_CHARACTERS / 4) * 3;
/** What smtpd and its kin put in front: a few fields. */
const MAX_HEADER_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;

export function makeEnvelope({ name, account, version }: SealedTo, file: Buffer): Envelope {
  return { name, account, version, sha256: sha256Of(file), file };
}

function sha256Of(file: Buffer): string {
  return createHash("sha256").update(file).digest("hex");
}

/** The lines that stand in front of the envelopes, header included. */
export const ENVELOPES_HEAD: readonly string[] = [CONTENT_TYPE, "", VERSION_LINE];
/** The line behind the last envelope. */
export const ENVELOPES_END = END_LINE;
/**
 * Lines for behind the end, in a message that smtpd is to keep. It does not notice when the last piece of a message, up
 * to 4096 bytes, finds no room on the disk (it does not look at what fclose(3) says), and accepts what is cut off: so that
 * piece must hold nothing.
 */
export const ENVELOPES_PADDING: readonly string[] = Array.from({ length: 5 }, () => "-".repeat(LINE_CHARACTERS));

/** The lines of one envelope. */
export function* envelopeLines(envelope: Envelope): Generator<string, void, void> {
  const { name, account, version, sha256, file } = envelope;
  yield `to ${name} ${account} ${version} ${file.length} ${sha256}`;
  for (let at = 0; at < file.length; at += LINE_BYTES) {
    yield file.toString("base64", at, Math.min(at + LINE_BYTES, file.length));
  }
}

/** The lines of the message, header included, without line ends; none starts with a dot or is longer than 900. */
export function printEnvelopes(envelopes: readonly Envelope[]): string[] {
  return [...ENVELOPES_HEAD, ...envelopes.flatMap((envelope) => [...envelopeLines(envelope)]), ENVELOPES_END];
}

/**
 * Parses such a message, LF or CRLF line ends, with whatever header fields were put in front of it, and checks each file
 * against its size and digest. Anything else is refused: no account twice, canonical base64, nothing behind `end` but
 * padding, which may be cut off anywhere.
 * @throws FormatError ENVELOPES, VerifyError DIGEST
 */
export function parseEnvelopes(bytes: Buffer): Envelope[] {
  const lines = new Lines(bytes);
  skipHeader(lines);
  if (lines.text() !== VERSION_LINE) fail(`expected "${VERSION_LINE}" behind the header`);
  const envelopes: Envelope[] = [];
  const seen = new Set<string>();
  for (let line = lines.text(); line !== END_LINE; line = lines.text()) {
    const match = TO_LINE.exec(line);
    const [, name = "", account = "", version = "", size = "", sha256 = ""] = match ?? [];
    if (match === null || !isAccountName(name) || !isChainId(account)) {
      fail('expected "to NAME ACCOUNT VERSION SIZE SHA256" or "end"');
    }
    if (seen.has(name)) fail(`account "${name}" stands there twice`);
    seen.add(name);
    const file = readFile(lines, Number(size));
    if (sha256Of(file) !== sha256) throw new VerifyError("DIGEST", `the mail for "${name}" is not the one announced`);
    envelopes.push({ name, account, version: Number(version), sha256, file });
  }
  if (envelopes.length === 0) fail("there is no mail");
  for (let count = 0; !lines.atEnd(); count++) {
    const [whole, line] = [ENVELOPES_PADDING[count], lines.text()];
    const isPadding = whole === line || (line !== "" && whole?.startsWith(line) === true && lines.atEnd());
    if (!isPadding) fail('there is something behind "end"');
  }
  return envelopes;
}

function fail(message: string): never {
  throw new FormatError("ENVELOPES", `envelopes: ${message}`);
}

function skipHeader(lines: Lines): void {
  let found = 0;
  for (let line = lines.text(); line !== ""; line = lines.text()) {
    if (/^content-type:/i.test(line)) {
      if (line !== CONTENT_TYPE) fail(`expected "${CONTENT_TYPE}"`);
      found++;
    }
    if (lines.offset > MAX_HEADER_BYTES) fail(`the header is longer than ${MAX_HEADER_BYTES} bytes`);
  }
  if (found !== 1) fail(`expected one "${CONTENT_TYPE}" in the header`);
}

function readFile(lines: Lines, size: number): Buffer {
  // Base64 is longer than what it stands for, so this is checked before memory is set aside.
  if (size > lines.left()) fail("it ends within a mail");
  const file = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += LINE_BYTES) {
    const end = Math.min(at + LINE_BYTES, size);
    const line = lines.text();
    const written = line.length === Math.ceil((end - at) / 3) * 4 ? file.write(line, at, "base64") : -1;
    if (written !== end - at || file.toString("base64", at, end) !== line) fail("a line is not canonical base64");
  }
  return file;
}

/** Hands out line after line, LF or CRLF, but only one of them in the whole. */
class Lines {
  readonly #bytes: Buffer;
  readonly #crlf: boolean;
  offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    const lf = bytes.indexOf(LF);
    this.#crlf = lf > 0 && bytes[lf - 1] === CR;
  }

  /** The next line without its end. */
  text(): string {
    const lf = this.#bytes.indexOf(LF, this.offset);
    if (lf < 0) fail("it was cut off");
    const end = this.#crlf ? lf - 1 : lf;
    if (this.#crlf && this.#bytes[end] !== CR) fail("some lines end in CRLF and some in LF");
    if (end < this.offset) fail("some lines end in CRLF and some in LF");
    const text = this.#bytes.toString("latin1", this.offset, end);
    this.offset = lf + 1;
    return text;
  }

  left(): number {
    return this.#bytes.length - this.offset;
  }

  atEnd(): boolean {
    return this.left() === 0;
  }
}
