/** Content-Transfer-Encoding (RFC 2045 section 6), read as leniently as mail needs: nothing is ever refused. */

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;

/** Decodes a body; an encoding without meaning for us (7bit, 8bit, binary, unknown ones) leaves it as it is. */
export function decodeTransfer(bytes: Buffer, encoding: string): Buffer {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return decodeLenientBase64(bytes.toString("latin1"));
    case "quoted-printable":
      return decodeQuotedPrintable(bytes);
    default:
      return bytes;
  }
}

/** Decodes base64; other characters are skipped, and padding may stand between pieces that were put together. */
export function decodeLenientBase64(text: string): Buffer {
  const padding = text.indexOf("=");
  if (padding < 0) return Buffer.from(text, "base64");
  const pieces: Buffer[] = [];
  for (const piece of text.split("=")) if (piece.length > 1) pieces.push(Buffer.from(piece, "base64"));
  return Buffer.concat(pieces);
}

/** Decodes quoted-printable; an `=` that starts nothing stays, blanks at line ends go, and lines end as they do in `bytes`. */
export function decodeQuotedPrintable(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  /** Length without the unencoded blanks at its end. */
  let solid = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === EQUALS) {
      const value = hexValue(bytes[at + 1]) * 16 + hexValue(bytes[at + 2]);
      const lineEnd = Number.isNaN(value) ? softLineEnd(bytes, at + 1) : -1;
      if (lineEnd >= 0) {
        at = lineEnd;
      } else {
        out[length++] = Number.isNaN(value) ? EQUALS : value;
        if (!Number.isNaN(value)) at += 2;
      }
      solid = length;
    } else {
      if (byte === LF) {
        length = solid;
        if (bytes[at - 1] === CR) out[length++] = CR;
      }
      out[length++] = byte;
      if (byte !== SPACE && byte !== TAB && byte !== CR) solid = length;
    }
  }
  return out.subarray(0, length);
}

/** Where the line ends if only blanks follow, or -1; a run of blanks is looked at once. */
function softLineEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === CR) at += 1;
  return at >= bytes.length || bytes[at] === LF ? at : -1;
}

/** NaN for what is no hexadecimal digit. */
function hexValue(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const upper = byte & ~0x20;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : Number.NaN;
}
