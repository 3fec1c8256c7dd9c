/**
 * Marks: words that stand nowhere by chance. They are put into mail, and every disk is searched for them afterwards.
 * One mark serves a whole run, however many mails: put `mark + number` into each mail and search for the mark.
 */

import { randomInt } from "node:crypto";

/** Letters of a mark; 24 letters are 112 bits, so a hit is never chance. */
export const markLetters = 24;

/** How the mark stood in what was searched. */
export type MarkEncoding = "plain" | "base64" | "hex" | "utf-16le" | "quoted-printable";

/** A byte string that betrays a mark. The search compares without regard to case, so needles are lower case. */
export interface Needle {
  mark: string;
  encoding: MarkEncoding;
  text: string;
}

/** A fresh mark: 24 random lower-case letters. */
export function makeMark(): string {
  return Array.from({ length: markLetters }, () => String.fromCharCode(97 + randomInt(26))).join("");
}

/**
 * Every needle of a mark: as it is, as UTF-16LE, as hex and as base64 at the three alignments; hex and base64 of the
 * upper-case mark as well. Line breaks, quoted-printable and percent encoding are undone by the scanner itself.
 * @throws RangeError when the mark isn't 16 or more lower-case letters, since shorter ones are found by chance
 */
export function needlesOf(mark: string): Needle[] {
  if (!/^[a-z]{16,64}$/.test(mark)) throw new RangeError(`mark "${mark}" is not 16 to 64 lower-case letters`);
  const needles: Needle[] = [
    { mark, encoding: "plain", text: mark },
    { mark, encoding: "utf-16le", text: mark.replaceAll(/(?<=.)(?=.)/g, "\0") },
  ];
  for (const form of [mark, mark.toUpperCase()]) {
    needles.push({ mark, encoding: "hex", text: Buffer.from(form).toString("hex") });
    for (const before of [0, 1, 2]) needles.push({ mark, encoding: "base64", text: base64Core(form, before) });
  }
  return needles;
}

/** The base64 characters that follow from the mark alone when `before` bytes of its three-byte group precede it. */
function base64Core(form: string, before: number): string {
  const first = Math.ceil((before * 8) / 6);
  const end = Math.floor(((before + form.length) * 8) / 6);
  return Buffer.from("\0".repeat(before) + form)
    .toString("base64")
    .slice(first, end)
    .toLowerCase();
}
