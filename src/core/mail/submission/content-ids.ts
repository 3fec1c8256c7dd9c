/** Gives the parts of a message neutral Content-IDs (RFC 2392), and the text that shows them the same ones. */

import { decodeTransfer } from "#core/mail/transfer-encoding.ts";
import { MAX_LINE_BYTES } from "./lines.ts";
import { printNeutralId } from "./message-ids.ts";
import type { Encoding, LeafPart, Part } from "./structure.ts";
import { encodeBase64Lines, encodeQuotedPrintable } from "./transfer-encode.ts";

const REFERENCE = /(cid:)([!#-;=?-~]{1,300})/gi;
/** What stands behind a reference in texts and style sheets, and may be part of an identifier. */
const MAY_FOLLOW = "'()[],;&?#\\.:!|";
const MAX_READINGS = 20;
const SIGNED_TEXT = "-----BEGIN PGP SIGNED MESSAGE-----";

export class ContentIds {
  /** Without angle brackets. */
  readonly #neutral = new Map<string, string>();
  /** Identifiers that had to stay, because what is not to be touched may show them. */
  readonly left: readonly string[];

  constructor(root: Part, domain: string, random: (bytes: number) => Uint8Array) {
    const untouched: Buffer[] = [];
    const ids = new Set<string>();
    collect(root, ids, untouched);
    const shown = ids.size === 0 ? new Set<string>() : referencesIn(untouched);
    const left: string[] = [];
    for (const id of ids) {
      if (shown.has(id)) left.push(id);
      else this.#neutral.set(id, printNeutralId(Buffer.from(random(16)).toString("hex"), domain).slice(1, -1));
    }
    this.left = left;
  }

  /** Whether a part has it. @param id with its angle brackets */
  has(id: string): boolean {
    return this.#neutral.has(id.slice(1, -1)) || this.left.includes(id.slice(1, -1));
  }

  /** @param id with its angle brackets, as is the result */
  print(id: string): string {
    const neutral = this.#neutral.get(id.slice(1, -1));
    return neutral === undefined ? id : `<${neutral}>`;
  }

  /** The body of a part with `cid:` addresses in their new form. Bytes change only around them, or with the encoding. */
  rewrite(part: LeafPart): { body: Buffer; encoding: Encoding } {
    const unchanged = { body: part.body, encoding: part.encoding };
    if (this.#neutral.size === 0 || !isText(part.type.value)) return unchanged;
    const before = decodeTransfer(part.body, part.encoding).toString("latin1");
    if (before.includes(SIGNED_TEXT)) return unchanged;
    const after = before.replace(REFERENCE, (reference: string, scheme: string, written: string) => {
      for (const { id, rest } of readings(written)) {
        const neutral = this.#neutral.get(id);
        if (neutral !== undefined) return `${scheme}${neutral}${rest}`;
      }
      return reference;
    });
    if (after === before) return unchanged;
    const bytes = Buffer.from(after, "latin1");
    if (part.encoding === "base64") return { body: encodeBase64Lines(bytes), encoding: "base64" };
    if (part.encoding === "quoted-printable" || hasLongLine(after)) {
      return { body: encodeQuotedPrintable(bytes), encoding: "quoted-printable" };
    }
    return { body: bytes, encoding: part.encoding };
  }
}

function collect(part: Part, ids: Set<string>, untouched: Buffer[]): void {
  if (part.kind === "signed") {
    untouched.push(part.bytes);
    return;
  }
  if (part.contentId !== undefined) ids.add(part.contentId.slice(1, -1));
  if (part.kind === "multipart") for (const child of part.parts) collect(child, ids, untouched);
  else if (part.type.value.startsWith("message/")) untouched.push(part.body);
  else if (isText(part.type.value)) {
    const text = decodeTransfer(part.body, part.encoding);
    if (text.includes(SIGNED_TEXT)) untouched.push(text);
  }
}

/** Identifiers that these bytes may show. */
function referencesIn(untouched: readonly Buffer[]): Set<string> {
  const ids = new Set<string>();
  for (const bytes of untouched) {
    for (const [, , written = ""] of bytes.toString("latin1").matchAll(REFERENCE)) {
      for (const { id } of readings(written)) ids.add(id);
    }
  }
  return ids;
}

/** Which identifiers a reference may mean: where it ends is for the text around it to say, so the longest comes first. */
function readings(written: string): { id: string; rest: string }[] {
  const ends = [written.length];
  for (let at = written.length - 1; at > 0 && ends.length <= MAX_READINGS; at--) {
    if (MAY_FOLLOW.includes(written.charAt(at))) ends.push(at);
  }
  return ends.flatMap((end) => {
    const id = written.slice(0, end);
    const rest = written.slice(end);
    return id.includes("%")
      ? [
          { id, rest },
          { id: decodePercent(id), rest },
        ]
      : [{ id, rest }];
  });
}

function isText(type: string): boolean {
  return type.startsWith("text/") || /[/+]xml$/.test(type);
}

function decodePercent(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function hasLongLine(text: string): boolean {
  return text.split("\r\n").some((line) => line.length > MAX_LINE_BYTES);
}
