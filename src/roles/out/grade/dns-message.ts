/**
 * DNS messages (RFC 1035 section 4), as far as asking a resolver about mail needs them. Strict where libraries are lenient:
 * a record's data must fill its length exactly, names point backwards only, and bytes that no host name has are escaped, so
 * that two different names never look the same.
 */

import { FormatError } from "#core/errors.ts";

const typeNumbers = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const;
const classInternet = 1;
const typeOpt = 41;
/** RFC 9715: what passes any path in one packet. More comes over TCP. */
const udpPayloadBytes = 1232;

const maxRecords = 256;
const maxNameBytes = 255;
const maxAliases = 8;
/** RFC 8767 section 4: more than a week is nobody's intention. */
const maxTtlSeconds = 604_800;

export type RecordType = keyof typeof typeNumbers;

export interface MxRecord {
  readonly preference: number;
  /** In lower case without a final dot; "" is the root, as in a null MX (RFC 7505). */
  readonly exchange: string;
}

export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  readonly data: Buffer;
}

/** What a record of each type holds: addresses and names as text, TXT with its strings joined (one character a byte). */
export interface RecordData {
  A: string;
  AAAA: string;
  CNAME: string;
  PTR: string;
  MX: MxRecord;
  TXT: string;
  TLSA: TlsaRecord;
}

export interface Question<Type extends RecordType = RecordType> {
  readonly id: number;
  readonly name: string;
  readonly type: Type;
}

export interface Reply<Type extends RecordType = RecordType> {
  /** RCODE: 0 no error, 2 server failure, 3 no such name. */
  readonly code: number;
  readonly truncated: boolean;
  /** AD (RFC 4035 section 3.2.3): the resolver has validated all of the answer. */
  readonly secure: boolean;
  /** Where the aliases (CNAME) lead; the question's name if it is none. */
  readonly canonicalName: string;
  readonly records: readonly RecordData[Type][];
  /** Of everything on the way from the question to the records; 0 without records. */
  readonly ttlSeconds: number;
}

interface RawRecord {
  readonly name: string;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly start: number;
  readonly end: number;
}

/**
 * A query that asks for recursion and for the AD bit (RFC 6840 section 5.7), with EDNS0.
 * @param unchecked sets CD: answer even if validation fails
 * @throws FormatError DNS for what is no domain name
 */
export function printQuery({ id, name, type }: Question, unchecked = false): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100 | 0x0020 | (unchecked ? 0x0010 : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const question = Buffer.alloc(4);
  question.writeUInt16BE(typeNumbers[type], 0);
  question.writeUInt16BE(classInternet, 2);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(typeOpt, 1);
  opt.writeUInt16BE(udpPayloadBytes, 3);
  return Buffer.concat([header, printName(name), question, opt]);
}

/**
 * Null for what is not the answer to `question` (another id, another question, not a reply at all): to be ignored, as
 * anybody may have sent it.
 * @throws FormatError DNS for an answer that is malformed
 */
export function parseReply<Type extends RecordType>(message: Buffer, question: Question<Type>): Reply<Type> | null {
  if (message.length < 12 || message.readUInt16BE(0) !== question.id) return null;
  const flags = message.readUInt16BE(2);
  const isReply = (flags & 0x8000) !== 0 && (flags & 0x7800) === 0;
  if (!isReply || message.readUInt16BE(4) !== 1) return null;
  const asked = readName(message, 12);
  const questionEnd = asked.end + 4;
  if (questionEnd > message.length) throw new FormatError("DNS", "the question is cut off");
  if (
    asked.name !== question.name ||
    message.readUInt16BE(asked.end) !== typeNumbers[question.type] ||
    message.readUInt16BE(asked.end + 2) !== classInternet
  ) {
    return null;
  }
  const code = flags & 0x000f;
  const secure = (flags & 0x0020) !== 0;
  const nothing = { code, secure, canonicalName: question.name, records: [], ttlSeconds: 0 };
  if ((flags & 0x0200) !== 0) return { ...nothing, truncated: true };
  if (code !== 0 && code !== 3) return { ...nothing, truncated: false };
  const answers = readAnswers(message, questionEnd, message.readUInt16BE(6));
  return { code, secure, truncated: false, ...follow(message, answers, question) };
}

/** The records that answer the question, along its aliases. Whatever else stands in the answer counts for nothing. */
function follow<Type extends RecordType>(message: Buffer, answers: readonly RawRecord[], question: Question<Type>) {
  let canonicalName: string = question.name;
  let ttlSeconds = maxTtlSeconds;
  for (let aliases = 0; question.type !== "CNAME"; aliases += 1) {
    const alias = answers.find((each) => each.name === canonicalName && each.type === typeNumbers.CNAME);
    if (alias === undefined) break;
    if (aliases === maxAliases) throw new FormatError("DNS", `"${question.name}" has more than ${maxAliases} aliases`);
    canonicalName = readData(message, alias, "CNAME");
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
  }
  const found = answers.filter((each) => each.name === canonicalName && each.type === typeNumbers[question.type]);
  const records = found.map((each) => readData(message, each, question.type));
  ttlSeconds = found.length === 0 ? 0 : Math.min(ttlSeconds, ...found.map((each) => each.ttlSeconds));
  return { canonicalName, records, ttlSeconds };
}

function readAnswers(message: Buffer, start: number, count: number): RawRecord[] {
  if (count > maxRecords) throw new FormatError("DNS", `expected at most ${maxRecords} records`);
  const records: RawRecord[] = [];
  let at = start;
  while (records.length < count) {
    const { name, end } = readName(message, at);
    if (end + 10 > message.length) throw new FormatError("DNS", "a record is cut off");
    const ttl = message.readUInt32BE(end + 4);
    const dataStart = end + 10;
    at = dataStart + message.readUInt16BE(end + 8);
    if (at > message.length) throw new FormatError("DNS", "a record is cut off");
    const isInternet = message.readUInt16BE(end + 2) === classInternet;
    records.push({
      name,
      type: isInternet ? message.readUInt16BE(end) : 0,
      // RFC 2181 section 8: the highest bit set means zero.
      ttlSeconds: ttl > 0x7fff_ffff ? 0 : Math.min(ttl, maxTtlSeconds),
      start: dataStart,
      end: at,
    });
  }
  return records;
}

const readers: { [Type in RecordType]: (message: Buffer, start: number, end: number) => RecordData[Type] | null } = {
  A: (message, start, end) => (end - start === 4 ? message.subarray(start, end).join(".") : null),
  AAAA(message, start, end) {
    if (end - start !== 16) return null;
    return Array.from({ length: 8 }, (_, group) => message.readUInt16BE(start + 2 * group).toString(16)).join(":");
  },
  CNAME: (message, start, end) => readNameExactly(message, start, end),
  PTR: (message, start, end) => readNameExactly(message, start, end),
  MX(message, start, end) {
    if (end - start < 3) return null;
    const exchange = readNameExactly(message, start + 2, end);
    return exchange === null ? null : { preference: message.readUInt16BE(start), exchange };
  },
  TXT(message, start, end) {
    const parts: string[] = [];
    for (let at = start; at < end; ) {
      const next = at + 1 + message.readUInt8(at);
      if (next > end) return null;
      parts.push(message.toString("latin1", at + 1, next));
      at = next;
    }
    return parts.length === 0 ? null : parts.join("");
  },
  TLSA(message, start, end) {
    if (end - start < 4) return null;
    const [usage = 0, selector = 0, matching = 0] = message.subarray(start);
    return { usage, selector, matching, data: Buffer.from(message.subarray(start + 3, end)) };
  },
};

function readData<Type extends RecordType>(message: Buffer, record: RawRecord, type: Type): RecordData[Type] {
  const data = readers[type](message, record.start, record.end);
  if (data === null) throw new FormatError("DNS", `the ${type} record of "${record.name}" is malformed`);
  return data;
}

function readNameExactly(message: Buffer, start: number, end: number): string | null {
  const read = readName(message, start);
  return read.end === end ? read.name : null;
}

function readName(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let bytes = 1;
  let end: number | undefined;
  // Every pointer must lead to before where the name, or the part of it that was read last, began: so there are no loops.
  let before = start;
  for (let at = start; ; ) {
    const length = message[at];
    if (length === undefined) throw new FormatError("DNS", "a name is cut off");
    if (length === 0) return { name: labels.join("."), end: end ?? at + 1 };
    if (length >= 0xc0) {
      if (at + 2 > message.length) throw new FormatError("DNS", "a name is cut off");
      const target = message.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw new FormatError("DNS", "a name points forwards");
      end ??= at + 2;
      before = target;
      at = target;
      continue;
    }
    bytes += length + 1;
    if (length > 63 || bytes > maxNameBytes) throw new FormatError("DNS", "a name is too long");
    if (at + 1 + length > message.length) throw new FormatError("DNS", "a name is cut off");
    labels.push(printLabel(message.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
}

/** Bytes outside of `a-z 0-9 - _` become `\ddd` (RFC 4343 section 2.1); upper case becomes lower case. */
function printLabel(label: Buffer): string {
  return label
    .toString("latin1")
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/[^a-z0-9_-]/g, (character) => `\\${String(character.charCodeAt(0)).padStart(3, "0")}`);
}

function printName(name: string): Buffer {
  const parts = name.split(".").map((label) => {
    if (!/^[a-z0-9_-]{1,63}$/.test(label)) throw new FormatError("DNS", `"${name}" is no domain name in lower case`);
    return Buffer.from(`${String.fromCharCode(label.length)}${label}`, "latin1");
  });
  const bytes = Buffer.concat([...parts, Buffer.alloc(1)]);
  if (bytes.length > maxNameBytes) throw new FormatError("DNS", `"${name}" is too long for a domain name`);
  return bytes;
}
