/** Encoded words in header fields (RFC 2047, with the language tag of RFC 2231 section 5). */

import { decodeCharset, decodeUnlabelledText } from "./charset.ts";
import { decodeLenientBase64, decodeQuotedPrintable } from "./transfer-encoding.ts";

// Blanks inside are wrong and common. Each part ends at a question mark, so no character is looked at more than thrice.
const ENCODED_WORD = /=\?([^?\s]+)\?([BbQq])\?([^?]*)\?=/g;

/** Charsets whose words start and end in ASCII: to go there and back at once would count as an error. */
const SHIFTS = /^iso-2022-/;

interface Word {
  charset: string;
  bytes: Buffer;
}

/**
 * Decodes a field's value that was read byte by byte and unfolded. White space between two encoded words is dropped;
 * words of one charset that stand together are decoded together, because many programs cut in the middle of a character.
 */
export function decodeEncodedWords(latin1: string): string {
  const out: string[] = [];
  let run: Word[] = [];
  let end = 0;
  const flush = (): void => {
    if (run.length > 0) out.push(decodeRun(run));
    run = [];
  };
  for (const match of latin1.matchAll(ENCODED_WORD)) {
    const between = latin1.slice(end, match.index);
    if (run.length === 0 || /[^ \t\r\n]/.test(between)) {
      flush();
      out.push(decodeUnlabelledText(between));
    }
    run.push(wordOf(match[1] ?? "", match[2] ?? "", match[3] ?? ""));
    end = match.index + match[0].length;
  }
  flush();
  out.push(decodeUnlabelledText(latin1.slice(end)));
  return out.join("");
}

/** The charsets that the encoded words of a value name, in lower case. */
export function charsetsOfEncodedWords(latin1: string): string[] {
  return [...latin1.matchAll(ENCODED_WORD)].map(([, charset = ""]) => wordOf(charset, "q", "").charset);
}

function wordOf(charsetAndLanguage: string, encoding: string, text: string): Word {
  const charset = (charsetAndLanguage.split("*", 1)[0] ?? "").toLowerCase();
  if (encoding === "B" || encoding === "b") return { charset, bytes: decodeLenientBase64(text) };
  return { charset, bytes: decodeQuotedPrintable(Buffer.from(text.replace(/[_ ]/g, "=20"), "latin1")) };
}

function decodeRun(run: readonly Word[]): string {
  const out: string[] = [];
  for (let at = 0; at < run.length; ) {
    const charset = run[at]?.charset ?? "";
    const same: Buffer[] = [];
    do same.push(run[at++]?.bytes ?? Buffer.alloc(0));
    while (at < run.length && run[at]?.charset === charset && !SHIFTS.test(charset));
    out.push(decodeCharset(Buffer.concat(same), charset));
  }
  return out.join("");
}
