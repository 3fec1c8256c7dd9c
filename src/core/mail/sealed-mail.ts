/**
 * What is inside a sealed mail (docs/formats/sealed-mail.md): a block of header fields by our own machine, the message as
 * it was accepted, and padding. Opened with plain `age -d` it is a readable `.eml`.
 */

import { FormatError } from "#core/errors.ts";
import { paddedLength } from "./padding.ts";
import { renameTraceFields } from "./trace-fields.ts";

export { renameTraceFields } from "./trace-fields.ts";

/** How a message came in. Strings of strangers may hold anything: the block replaces what it can't say by `?`. */
export interface Trace {
  /** The envelope sender without angle brackets; "" for notices that have none. */
  readonly sender: string;
  /** The recipients as named that this account gets the message for, 1 to {@link MAX_ADDRESSES}. */
  readonly addresses: readonly string[];
  /** What the sending machine called itself; "" if it did not. */
  readonly helo: string;
  /** The name that DNS gives for its address; "" if none. */
  readonly rdns: string;
  /** Its address, IPv4 or IPv6; "" if unknown. */
  readonly ip: string;
  /** The name of the machine that sealed. */
  readonly host: string;
  readonly protocol: "SMTP" | "ESMTP" | "ESMTPS";
  /** Unix time, whole seconds. */
  readonly time: number;
}

export interface SealedMail {
  readonly trace: Trace;
  /** The message as it was accepted, after {@link renameTraceFields}; LF line ends; a view. */
  readonly message: Buffer;
  /** The exact bytes of the block in front of it; a view. */
  readonly block: Buffer;
}

export const MAX_ADDRESSES = 1000;
const MAX_NAME_CHARACTERS = 255;
const MAX_PATH_CHARACTERS = 320;
/** End of the year 9999: a date has four digits for the year. */
const MAX_TIME = 253_402_300_799;
const LF = 0x0a;

const NOT_IN_NAMES = /[^A-Za-z0-9._:[\]-]/g;
const NOT_IN_SENDERS = /[^\x20-\x7e]|[<>]/g;
const NOT_IN_ADDRESSES = /[^\x21-\x7e]|[<>]/g;

function clean(text: string, notAllowed: RegExp, maxCharacters: number): string {
  return text.slice(0, maxCharacters).replace(notAllowed, "?");
}

function nameOr(text: string): string {
  return clean(text, NOT_IN_NAMES, MAX_NAME_CHARACTERS) || "unknown";
}

/** RFC 5322 section 3.3, in UTC. */
function printDate(time: number): string {
  if (!Number.isSafeInteger(time) || time < 0 || time > MAX_TIME) {
    throw new FormatError("SEALED-MAIL", `time ${time} is not whole seconds from 0 to ${MAX_TIME}`);
  }
  return new Date(time * 1000).toUTCString().replace("GMT", "+0000");
}

function printFields(trace: Trace): string {
  if (trace.addresses.length === 0 || trace.addresses.length > MAX_ADDRESSES) {
    throw new FormatError("SEALED-MAIL", `${trace.addresses.length} addresses, expected 1 to ${MAX_ADDRESSES}`);
  }
  const deliveredTo = trace.addresses
    .map((address) => `Delivered-To: ${clean(address, NOT_IN_ADDRESSES, MAX_PATH_CHARACTERS) || "?"}\n`)
    .join("");
  return (
    `Return-Path: <${clean(trace.sender, NOT_IN_SENDERS, MAX_PATH_CHARACTERS)}>\n${deliveredTo}` +
    `Received: from ${nameOr(trace.helo)} (${nameOr(trace.rdns)} [${nameOr(trace.ip)}])\n` +
    `\tby ${nameOr(trace.host)} with ${trace.protocol};\n\t${printDate(trace.time)}\n`
  );
}

/** The block with `Shoal-Length`, which counts its own digits, too. */
function printBlock(trace: Trace, messageBytes: number): { block: Buffer; length: number } {
  const fields = printFields(trace);
  const without = "Shoal-Length: \n".length + fields.length + messageBytes;
  let length = without;
  while (length !== without + String(length).length) length = without + String(length).length;
  return { block: Buffer.from(`Shoal-Length: ${length}\n${fields}`, "latin1"), length };
}

/**
 * Makes the plaintext that is sealed for one account. Fields in the message's own header that would pass for ours are
 * renamed on the way ({@link renameTraceFields}).
 * @param message with LF line ends
 * @throws FormatError SEALED-MAIL if the trace has no address, too many, or no sane time
 */
export function composeSealedMail(trace: Trace, message: Buffer): Buffer {
  const renamed = renameTraceFields(message);
  const { block, length } = printBlock(trace, renamed.length);
  const out = Buffer.allocUnsafe(paddedLength(length));
  out.set(block);
  out.set(renamed, block.length);
  out.fill(LF, length);
  return out;
}

/**
 * Takes an opened mail apart. The block must be exactly what {@link composeSealedMail} prints for what it says.
 * @throws FormatError SEALED-MAIL
 */
export function parseSealedMail(bytes: Buffer): SealedMail {
  const { length, trace, end } = parseBlock(bytes);
  if (length < end || length > bytes.length || bytes.length !== paddedLength(length)) {
    throw new FormatError("SEALED-MAIL", `${bytes.length} bytes for a Shoal-Length of ${length}`);
  }
  const block = bytes.subarray(0, end);
  if (!printBlock(trace, length - end).block.equals(block)) fail("it is not in its one form");
  for (let at = length; at < bytes.length; at++) if (bytes[at] !== LF) fail("its padding holds something");
  return { trace, message: bytes.subarray(end, length), block };
}

function fail(message: string): never {
  throw new FormatError("SEALED-MAIL", `sealed mail: ${message}`);
}

function parseBlock(bytes: Buffer): { length: number; trace: Trace; end: number } {
  let end = 0;
  /** The next line if it fits the pattern: what its groups caught. */
  const next = (pattern: RegExp): readonly (string | undefined)[] | null => {
    const lf = bytes.subarray(end, end + 1000).indexOf(LF);
    const match = lf < 0 ? null : pattern.exec(bytes.toString("latin1", end, end + lf));
    if (match === null) return null;
    end += lf + 1;
    return match.slice(1);
  };
  const expect = (what: string, pattern: RegExp): readonly (string | undefined)[] =>
    next(pattern) ?? fail(`expected ${what} at byte ${end}`);

  const [length = ""] = expect('"Shoal-Length: NUMBER"', /^Shoal-Length: ([1-9][0-9]{0,14})$/);
  const [sender = ""] = expect('"Return-Path: <SENDER>"', /^Return-Path: <([\x20-\x7e]*)>$/);
  const addresses: string[] = [];
  const deliveredTo = /^Delivered-To: ([\x21-\x7e]+)$/;
  for (let match = expect('"Delivered-To: ADDRESS"', deliveredTo); ; ) {
    addresses.push(match[0] ?? "");
    const following = addresses.length > MAX_ADDRESSES ? null : next(deliveredTo);
    if (following === null) break;
    match = following;
  }
  const received = /^Received: from ([^ ]+) \(([^ ]+) \[([^ ]+)\]\)$/;
  const [helo = "", rdns = "", ip = ""] = expect('"Received: from NAME (NAME [ADDRESS])"', received);
  const [host = "", protocol = ""] = expect('"by NAME with PROTOCOL;"', /^\tby ([^ ]+) with (SMTP|ESMTP|ESMTPS);$/);
  const [date = ""] = expect("a date", /^\t([A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \+0000)$/);
  const time = Date.parse(date) / 1000;
  if (Number.isNaN(time)) fail(`"${date}" is no date`);
  const trace = { sender, addresses, helo, rdns, ip, host, protocol: protocol as Trace["protocol"], time };
  return { length: Number(length), trace, end };
}
