/**
 * Takes a message apart (RFC 2045, 2046) in one pass over its lines, whatever it holds: nothing is thrown, every byte is
 * looked at a bounded number of times, and what goes over a limit is left in one piece.
 */

import { type Field, fieldOf, HeaderReader, lineAt } from "./message-fields.ts";
import { type ParameterizedValue, parseParameterized } from "./parameters.ts";

/** A part that is not made of parts. */
export interface MimePart {
  /** Lower case, such as `text/plain`. A multipart that could not be taken apart is one part of its own type. */
  readonly type: string;
  readonly charset: string | undefined;
  /** Content-Transfer-Encoding, as written. */
  readonly encoding: string;
  readonly isAttachment: boolean;
  /** The file name that the sender gave, decoded and otherwise as it came: not to be used as a path. */
  readonly fileName: string | undefined;
  /** Still encoded; a view. */
  readonly body: Buffer;
}

export interface MimeMessage {
  readonly fields: readonly Field[];
  /** In the order of the message. */
  readonly parts: readonly MimePart[];
  /** Whether a limit kept something from being taken apart. */
  readonly limited: boolean;
  /** Bytes and multiparts looked at, each as often as it was: what tests of the running time count. */
  readonly steps: number;
}

/** Multiparts inside multiparts. */
export const MAX_DEPTH = 200;
export const MAX_PARTS = 5000;
/** RFC 2046 allows 70 characters. */
export const MAX_BOUNDARY_CHARACTERS = 200;

const DASH = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;

interface OpenMultipart {
  boundary: string;
  head: ParameterizedValue;
  fields: readonly Field[];
  bodyStart: number;
  /** Whether one of its boundaries was seen. */
  divided: boolean;
}

export function parseMime(bytes: Buffer): MimeMessage {
  return new MimeReader(bytes).read();
}

class MimeReader {
  readonly #bytes: Buffer;
  readonly #open: OpenMultipart[] = [];
  /** The places in `#open` of each open boundary, outermost first: a line is looked up, not compared with each. */
  readonly #places = new Map<string, number[]>();
  readonly #parts: MimePart[] = [];
  #header: HeaderReader | undefined;
  #body: { head: ParameterizedValue; fields: readonly Field[]; start: number } | undefined;
  #fields: readonly Field[] | undefined;
  #limited = false;
  #steps = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#header = new HeaderReader(bytes);
  }

  read(): MimeMessage {
    const bytes = this.#bytes;
    for (let start = 0; start < bytes.length && !this.#isFull(); ) {
      const { end, next } = lineAt(bytes, start);
      this.#steps += next - start;
      const place = this.#boundaryAt(start, end);
      if (place !== undefined) {
        this.#close(place, lineEndBefore(bytes, start));
        start = next;
      } else if (this.#header !== undefined && !this.#header.take(start, end)) {
        this.#startBody(this.#header.fields(), start === end ? next : start);
        // The first line of a body without an empty line in front may be a boundary itself.
        if (start === end) start = next;
      } else {
        start = next;
      }
      // Without an open multipart no line of the body can mean anything.
      if (this.#open.length === 0 && this.#header === undefined) break;
    }
    if (this.#header !== undefined && !this.#isFull()) this.#startBody(this.#header.fields(), bytes.length);
    this.#close({ index: 0, isLast: true }, bytes.length);
    return { fields: this.#fields ?? [], parts: this.#parts, limited: this.#limited, steps: this.#steps };
  }

  #isFull(): boolean {
    if (this.#parts.length >= MAX_PARTS) this.#limited = true;
    return this.#parts.length >= MAX_PARTS;
  }

  /** The open multipart that the line divides or ends. The whole line must fit, so one boundary may start another. */
  #boundaryAt(start: number, end: number): { index: number; isLast: boolean } | undefined {
    const bytes = this.#bytes;
    if (this.#open.length === 0 || bytes[start] !== DASH || bytes[start + 1] !== DASH) return undefined;
    this.#steps += end - start;
    let last = end;
    while (last > start && (bytes[last - 1] === SPACE || bytes[last - 1] === TAB || bytes[last - 1] === CR)) last -= 1;
    if (last - start > MAX_BOUNDARY_CHARACTERS + 4) return undefined;
    const text = bytes.toString("latin1", start + 2, last);
    const divides = this.#places.get(text)?.at(-1) ?? -1;
    const ends = text.endsWith("--") ? (this.#places.get(text.slice(0, -2))?.at(-1) ?? -1) : -1;
    if (divides < 0 && ends < 0) return undefined;
    return { index: Math.max(divides, ends), isLast: ends > divides };
  }

  #startBody(fields: readonly Field[], start: number): void {
    this.#header = undefined;
    this.#fields ??= fields;
    const digest = this.#open.at(-1)?.head.value === "multipart/digest";
    const head = contentType(fields, digest ? "message/rfc822" : "text/plain");
    const boundary = (head.parameters.get("boundary") ?? "").trimEnd();
    if (!head.value.startsWith("multipart/") || boundary === "" || boundary.length > MAX_BOUNDARY_CHARACTERS) {
      this.#body = { head, fields, start };
    } else if (this.#open.length >= MAX_DEPTH) {
      this.#limited = true;
      this.#body = { head, fields, start };
    } else {
      const places = this.#places.get(boundary) ?? [];
      places.push(this.#open.length);
      this.#places.set(boundary, places);
      this.#open.push({ boundary, head, fields, bodyStart: start, divided: false });
    }
  }

  /** Ends the part that is read and every multipart inside the one at `index`, and that one too if it is at its end. */
  #close({ index, isLast }: { index: number; isLast: boolean }, end: number): void {
    if (this.#header !== undefined && this.#open.length > 0 && !this.#isFull()) {
      this.#startBody(this.#header.fields(), end);
    }
    this.#header = undefined;
    if (this.#body !== undefined) this.#add(this.#body.head, this.#body.fields, this.#body.start, end);
    this.#body = undefined;
    while (this.#open.length > index + 1) this.#pop(end);
    const multipart = this.#open[index];
    if (multipart === undefined) return;
    if (isLast) {
      // At the end of the message this one may have had no boundary at all.
      if (end < this.#bytes.length) multipart.divided = true;
      this.#pop(end);
    } else {
      multipart.divided = true;
      this.#header = new HeaderReader(this.#bytes);
    }
  }

  #pop(end: number): void {
    const multipart = this.#open.pop();
    if (multipart === undefined) return;
    this.#steps += 1;
    const places = this.#places.get(multipart.boundary) ?? [];
    places.pop();
    if (places.length === 0) this.#places.delete(multipart.boundary);
    if (!multipart.divided) this.#add(multipart.head, multipart.fields, multipart.bodyStart, end);
  }

  #add(head: ParameterizedValue, fields: readonly Field[], start: number, end: number): void {
    if (this.#isFull()) return;
    const disposition = parseParameterized(fieldOf(fields, "content-disposition") ?? "");
    this.#parts.push({
      type: head.value,
      charset: head.parameters.get("charset"),
      encoding: (fieldOf(fields, "content-transfer-encoding") ?? "").replace(/\([^()]*\)/g, ""),
      isAttachment: disposition.value === "attachment",
      fileName: disposition.parameters.get("filename") ?? head.parameters.get("name"),
      body: this.#bytes.subarray(start, Math.max(start, end)),
    });
  }
}

/** RFC 2045 section 5.2: what can't be read is text. */
function contentType(fields: readonly Field[], otherwise: string): ParameterizedValue {
  const value = fieldOf(fields, "content-type");
  const head = parseParameterized(value ?? otherwise);
  return /^[!-~]+\/[!-~]+$/.test(head.value) ? head : { ...head, value: "text/plain" };
}

/** The line end in front of a boundary belongs to the boundary. */
function lineEndBefore(bytes: Buffer, start: number): number {
  const end = start > 0 && bytes[start - 1] === LF ? start - 1 : start;
  return end > 0 && end < start && bytes[end - 1] === CR ? end - 1 : end;
}
