/** Writes Content-Transfer-Encodings (RFC 2045 section 6) with CRLF line ends. */

const LINE_CHARACTERS = 76;
const HEX = "0123456789ABCDEF";
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const EQUALS = 0x3d;
const TILDE = 0x7e;

/** Lines of 76 characters; no line end behind the last. */
export function encodeBase64Lines(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n"), "latin1");
}

/** CRLF stays a line end; every other CR and LF is encoded. Decoding gives back the bytes. */
export function encodeQuotedPrintable(bytes: Buffer): Buffer {
  const characters = bytes.length + 2 * countEscapes(bytes);
  // A soft line end comes behind 73 characters at the earliest.
  const out = Buffer.allocUnsafe(characters + 3 * Math.ceil(characters / 73));
  let length = 0;
  let column = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (isLineEnd(bytes, at)) {
      out[length++] = CR;
      out[length++] = LF;
      column = 0;
      at += 1;
      continue;
    }
    const isEscaped = mustEscape(bytes, at);
    const width = isEscaped ? 3 : 1;
    const isLast = at + 1 === bytes.length || isLineEnd(bytes, at + 1);
    if (column + width > (isLast ? LINE_CHARACTERS : LINE_CHARACTERS - 1)) {
      length += out.write("=\r\n", length, "latin1");
      column = 0;
    }
    column += width;
    if (isEscaped) {
      out[length++] = EQUALS;
      out[length++] = HEX.charCodeAt(byte >> 4);
      out[length++] = HEX.charCodeAt(byte & 15);
    } else out[length++] = byte;
  }
  return out.subarray(0, length);
}

/** In 7 bits: quoted-printable, which can be read as it is, unless more than a byte in six is escaped; base64 is shorter then. */
export function encodeBody(bytes: Buffer): { body: Buffer; encoding: "base64" | "quoted-printable" } {
  return countEscapes(bytes) * 6 <= bytes.length
    ? { body: encodeQuotedPrintable(bytes), encoding: "quoted-printable" }
    : { body: encodeBase64Lines(bytes), encoding: "base64" };
}

function countEscapes(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (isLineEnd(bytes, at)) at += 1;
    else if (mustEscape(bytes, at)) count += 1;
  }
  return count;
}

function isLineEnd(bytes: Buffer, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF;
}

/** For a byte that is not of a line end; blanks would be lost at the end of a line. */
function mustEscape(bytes: Buffer, at: number): boolean {
  const byte = bytes[at] ?? 0;
  if (byte === SPACE || byte === TAB) return at + 1 === bytes.length || isLineEnd(bytes, at + 1);
  return byte < SPACE || byte > TILDE || byte === EQUALS;
}
