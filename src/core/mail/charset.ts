/** Bytes of strangers to text: whatever they claim, the result is a string and nothing is thrown. */

const NOT_ASCII = /[^\0-\x7f]/;
const EVERY_NOT_ASCII = /[^\0-\x7f]/g;
const ASCII_NAMES: ReadonlySet<string> = new Set(["", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "8bit"]);
const REPLACEMENT = "\ufffd";

/**
 * Decodes with the charset of that name (labels of the WHATWG Encoding Standard). Where none is named, or only ASCII,
 * bytes above 127 are read as UTF-8 if they are that, else as windows-1252. Of an unknown charset only ASCII is
 * believed: every other byte becomes U+FFFD, as do bytes that the charset does not have.
 */
export function decodeCharset(bytes: Buffer, charset = ""): string {
  const name = charset.trim().toLowerCase();
  if (ASCII_NAMES.has(name)) return decodeUnlabelled(bytes);
  const decoder = decoderOf(name);
  return decoder === null ? bytes.toString("latin1").replace(EVERY_NOT_ASCII, REPLACEMENT) : decoder.decode(bytes);
}

/** False for charsets of which {@link decodeCharset} reads the ASCII alone: others may read something else. */
export function isKnownCharset(charset: string): boolean {
  const name = charset.trim().toLowerCase();
  return ASCII_NAMES.has(name) || decoderOf(name) !== null;
}

/** The text of a header that was read byte by byte (one character a byte). */
export function decodeUnlabelledText(latin1: string): string {
  return NOT_ASCII.test(latin1) ? decodeUnlabelled(Buffer.from(latin1, "latin1")) : latin1;
}

function decodeUnlabelled(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? new TextDecoder("windows-1252").decode(bytes) : text;
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function decoderOf(name: string): TextDecoder | null {
  try {
    return new TextDecoder(name);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
