/** Signs mail by DKIM: RFC 6376, with relaxed canonicalization, and RFC 8463 (docs/formats/signing.md). */

import { createHash, type Hash } from "node:crypto";

export type DkimAlgorithm = "ed25519" | "rsa";

export interface DkimOptions {
  readonly domain: string;
  /** The key is published at `SELECTOR._domainkey.DOMAIN`. */
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
}

/** A message of which everything is known but the signature itself. */
export interface DkimDraft {
  /** What the key signs: for RSA (PKCS #1 v1.5, SHA-256) the header, for Ed25519 its hash. */
  readonly toSign: Buffer;
  /** The whole field that goes in front of the message, CRLF included. */
  finish(signature: Uint8Array): Buffer;
}

/** Fields that a message has at most once: named once more than they stand, so that nobody can add another one. */
const SEALED: readonly string[] = [
  "From",
  "Reply-To",
  "To",
  "Cc",
  "Subject",
  "Date",
  "Message-ID",
  "In-Reply-To",
  "References",
  "MIME-Version",
  "Content-Type",
  "Content-Transfer-Encoding",
  "Content-Disposition",
];

/** The same where they stand; where not, they may be added: a mailing list puts its own Sender into mail that it leaves as it is. */
const SEALED_IF_THERE: readonly string[] = ["Sender", "Disposition-Notification-To", "Autocrypt"];

/** Signed where they stand, and no more. */
const SIGNED: readonly string[] = [
  "Keywords",
  "Comments",
  "Importance",
  "Sensitivity",
  "Auto-Submitted",
  "Content-ID",
  "List-Id",
  "List-Help",
  "List-Subscribe",
  "List-Unsubscribe",
  "List-Unsubscribe-Post",
  "List-Post",
  "List-Owner",
  "List-Archive",
];

const MAX_FOLDED = 76;
const CR = 13;
const LF = 10;
const TAB = 9;
const BLANK = 32;

/**
 * The body's hash, for any number of signatures.
 * @param message CRLF line ends, an empty line behind the header
 */
export function dkimBodyHash(message: Buffer): string {
  const hash = createHash("sha256");
  hashRelaxedBody(hash, message.subarray(splitAt(message) + 4));
  return hash.digest("base64");
}

// BUG: attached messages and parts signed by their sender leave with bytes above 127 if they have some, and RFC 6376 section 5.3
// wants none in what is signed: a server on the way that has to pass it on as 7-bit text breaks both signatures.
/** @param message the one that `bodyHash` is of */
export function draftDkim(message: Buffer, bodyHash: string, options: DkimOptions): DkimDraft {
  const { domain, selector, algorithm } = options;
  const fields = fieldsOf(message.toString("latin1", 0, splitAt(message) + 2));
  const names = namesToSign(fields);
  const field = [
    `DKIM-Signature: v=1; a=${algorithm}-sha256; c=relaxed/relaxed; d=${domain};\r\n\ts=${selector};`,
    `\t${foldNames(names)};`,
    `\tbh=${bodyHash};`,
    "\tb=",
  ].join("\r\n");
  const signed = [...chosenFields(fields, names).map((one) => `${one}\r\n`), relaxed(field)].join("");
  const header = Buffer.from(signed, "latin1");
  return {
    toSign: algorithm === "rsa" ? header : createHash("sha256").update(header).digest(),
    finish(signature) {
      const value = Buffer.from(signature)
        .toString("base64")
        .replaceAll(/.{72}(?=.)/g, "$&\r\n\t");
      return Buffer.from(`${field}${value}\r\n`, "latin1");
    },
  };
}

interface Field {
  /** In lower case. */
  readonly name: string;
  /** Canonical, without its line end. */
  readonly text: string;
}

/** Where the last line end of the header begins. */
function splitAt(message: Buffer): number {
  const at = message.indexOf("\r\n\r\n");
  if (at < 0) throw new TypeError("a message to sign needs an empty line behind its header");
  return at;
}

function fieldsOf(header: string): Field[] {
  return header
    .split(/\r\n(?![ \t])/)
    .filter((field) => field !== "")
    .map((field) => ({ name: nameOf(field), text: relaxed(field) }));
}

function nameOf(field: string): string {
  return field.slice(0, field.indexOf(":")).trimEnd().toLowerCase();
}

/** RFC 6376 section 3.4.2. */
function relaxed(field: string): string {
  const value = field
    .slice(field.indexOf(":") + 1)
    .replaceAll("\r\n", "")
    .replaceAll(/[ \t]+/g, " ");
  return `${nameOf(field)}:${value.replace(/^ /, "").replace(/ $/, "")}`;
}

function namesToSign(fields: readonly Field[]): string[] {
  const count = (name: string): number => fields.filter((field) => field.name === name.toLowerCase()).length;
  const times = (name: string, number: number): string[] => Array.from({ length: number }, () => name);
  return [
    ...SEALED.flatMap((name) => times(name, count(name) + 1)),
    ...SEALED_IF_THERE.flatMap((name) => times(name, count(name) === 0 ? 0 : count(name) + 1)),
    ...SIGNED.flatMap((name) => times(name, count(name))),
  ];
}

/** Of several fields with one name the lowest first; names without a field stand for nothing (section 5.4.2). */
function chosenFields(fields: readonly Field[], names: readonly string[]): string[] {
  const left = Map.groupBy(fields, ({ name }) => name);
  return names.flatMap((name) => left.get(name.toLowerCase())?.pop()?.text ?? []);
}

/** `h=From:From:…` in lines, broken behind colons. */
function foldNames(names: readonly string[]): string {
  let length = 0;
  return names
    .map((name, index) => {
      const word = `${index === 0 ? "h=" : ""}${name}${index === names.length - 1 ? "" : ":"}`;
      const isNew = index > 0 && length + word.length > MAX_FOLDED;
      length = isNew ? word.length : length + word.length;
      return isNew ? `\r\n\t${word}` : word;
    })
    .join("");
}

/** Section 3.4.4, byte by byte: blanks at the ends of lines go, others become one, empty lines at the end go. */
function hashRelaxedBody(hash: Hash, body: Buffer): void {
  const ready = Buffer.allocUnsafe(64 * 1024);
  let length = 0;
  const put = (byte: number): void => {
    if (length === ready.length) {
      hash.update(ready);
      length = 0;
    }
    ready[length++] = byte;
  };
  let lineEnds = 0;
  let hasBlank = false;
  let isEmpty = true;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0;
    if (byte === BLANK || byte === TAB) {
      hasBlank = true;
      continue;
    }
    if (byte === CR && body[at + 1] === LF) {
      at++;
      lineEnds++;
      hasBlank = false;
      continue;
    }
    for (; lineEnds > 0; lineEnds--) {
      put(CR);
      put(LF);
    }
    if (hasBlank) put(BLANK);
    hasBlank = false;
    put(byte);
    isEmpty = false;
  }
  if (!isEmpty) {
    put(CR);
    put(LF);
  }
  hash.update(ready.subarray(0, length));
}
