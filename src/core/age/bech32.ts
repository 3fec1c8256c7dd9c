/** Bech32 (BIP 173) without its limit of 90 characters, as age writes keys. */

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CHECKSUM_WORDS = 6;
/** A post-quantum recipient has 1,959. */
const MAX_CHARACTERS = 4096;

function polymod(words: Iterable<number>): number {
  let sum = 1;
  for (const word of words) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    for (const [bit, generator] of GENERATOR.entries()) if (((top >>> bit) & 1) === 1) sum ^= generator;
  }
  return sum >>> 0;
}

function expandPrefix(prefix: string): number[] {
  const codes = [...Buffer.from(prefix, "latin1")];
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

/** Encodes with a lower-case prefix; the text is lower case. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const words: number[] = [];
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) words.push((value >> (bits - 5)) & 31);
    value &= (1 << bits) - 1;
  }
  if (bits > 0) words.push((value << (5 - bits)) & 31);
  const sum = (polymod([...expandPrefix(prefix), ...words, 0, 0, 0, 0, 0, 0]) ^ 1) >>> 0;
  for (let index = 0; index < CHECKSUM_WORDS; index++) words.push((sum >>> (5 * (CHECKSUM_WORDS - 1 - index))) & 31);
  return `${prefix}1${words.map((word) => ALPHABET[word]).join("")}`;
}

/** The bytes of a lower-case text with this prefix, or null if it is not their one encoding. */
export function decodeBech32(prefix: string, text: string): Buffer | null {
  if (text.length > MAX_CHARACTERS || !text.startsWith(`${prefix}1`)) return null;
  const words: number[] = [];
  for (const character of text.slice(prefix.length + 1)) {
    const word = ALPHABET.indexOf(character);
    if (word < 0) return null;
    words.push(word);
  }
  if (words.length < CHECKSUM_WORDS || polymod([...expandPrefix(prefix), ...words]) !== 1) return null;
  const bytes: number[] = [];
  let value = 0;
  let bits = 0;
  for (const word of words.slice(0, -CHECKSUM_WORDS)) {
    value = (value << 5) | word;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push(value >> bits);
      value &= (1 << bits) - 1;
    }
  }
  return bits < 5 && value === 0 ? Buffer.from(bytes) : null;
}
