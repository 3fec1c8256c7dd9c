/** Takes a message that was handed in apart (RFC 2046), strictly, and leaves alone what is signed. */

import { FormatError } from "#core/errors.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { lineAt } from "#core/mail/message-fields.ts";
import { FieldScanner } from "./field-scanner.ts";
import { decodedParameter, withoutFolders } from "./file-names.ts";
import { checkEncodedWords, checkParameter } from "./hidden-controls.ts";
import { firstEightBit } from "./lines.ts";
import { isFileName, type MediaValue, parseDisposition, parseMediaType, parseToken } from "./media-value.ts";
import { mistake } from "./mistake.ts";
import { readStrictHeader, type StrictField } from "./strict-header.ts";
import type { Warnings } from "./warnings.ts";

export type Encoding = "7bit" | "8bit" | "base64" | "binary" | "quoted-printable";

interface EntityHead {
  readonly type: MediaValue;
  /** Whether the message says so; what says nothing is text. */
  readonly typeIsGiven: boolean;
  readonly encoding: Encoding;
  readonly disposition: MediaValue | undefined;
  /** With its angle brackets. */
  readonly contentId: string | undefined;
  readonly location: string | undefined;
  readonly description: string | undefined;
}

export interface LeafPart extends EntityHead {
  readonly kind: "leaf";
  readonly body: Buffer;
  readonly isEightBit: boolean;
}

export interface MultipartPart extends EntityHead {
  readonly kind: "multipart";
  readonly parts: readonly Part[];
}

/** The part of a `multipart/signed` that is signed, with its header: every byte stays. */
export interface SignedPart {
  readonly kind: "signed";
  /** Of its header. */
  readonly fields: readonly StrictField[];
  readonly bytes: Buffer;
  readonly isEightBit: boolean;
}

export type Part = LeafPart | MultipartPart | SignedPart;

export const MAX_PARTS = 1000;
export const MAX_DEPTH = 20;
/** In the headers of all parts: each costs time in which nobody else is served. */
export const MAX_PART_FIELDS = 10_000;
/** As written, in all its pieces; no system has names that are longer. */
const MAX_FILE_NAME_CHARACTERS = 2000;

const ENCODINGS = ["7bit", "8bit", "binary", "quoted-printable", "base64"] as const;
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;
const CONTENT_ID = /<[!-;=?-~]{1,200}>/y;
const CR = 0x0d;
const LF = 0x0a;

interface Context {
  readonly message: Buffer;
  readonly warnings: Warnings;
  readonly maxHeaderBytes: number;
  readonly hasEightBit: boolean;
  parts: number;
  partFields: number;
}

/**
 * Expects CRLF line ends.
 * @param fields those of the message's header; only `Content-*` are looked at
 * @param maxHeaderBytes of each part
 * @throws FormatError SUBMISSION with the number of the line; TOO-LARGE
 */
export function readStructure(
  message: Buffer,
  { fields, bodyStart }: { fields: readonly StrictField[]; bodyStart: number },
  maxHeaderBytes: number,
  warnings: Warnings,
): LeafPart | MultipartPart {
  const hasEightBit = firstEightBit(message, bodyStart, message.length) >= 0;
  const context: Context = { message, warnings, maxHeaderBytes, hasEightBit, parts: 0, partFields: 0 };
  const content = fields.filter(({ key }) => key.startsWith("content-"));
  return readPart(context, content, { start: bodyStart, end: message.length }, []);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function readPart(
  context: Context,
  fields: readonly StrictField[],
  { start, end }: Range,
  open: readonly string[],
  defaultType = "text/plain",
): LeafPart | MultipartPart {
  const { message, warnings } = context;
  context.parts += 1;
  if (context.parts > MAX_PARTS) throw mistake({ message, offset: start }, `expected at most ${MAX_PARTS} parts`);
  const head = readHead(context, fields, defaultType);
  if (!head.type.value.startsWith("multipart/")) {
    const eightBit = context.hasEightBit ? firstEightBit(message, start, end) : -1;
    if (eightBit >= 0) checkEightBit(head, { message, offset: eightBit });
    checkMessageInside(head, fields, { message, offset: start });
    if (head.type.value === "message/rfc822") warnings.add("left", "the message inside, with its header");
    else if (TELLING.has(head.type.value)) warnings.add("left", head.type.value);
    // A message inside is what somebody else wrote: it is labelled as it is.
    const encoding = eightBit >= 0 && head.encoding === "7bit" ? "8bit" : head.encoding;
    return { kind: "leaf", ...head, encoding, body: message.subarray(start, end), isEightBit: eightBit >= 0 };
  }
  const place = fields.find(({ key }) => key === "content-type")?.place ?? { message, offset: start };
  if (head.encoding === "base64" || head.encoding === "quoted-printable") {
    throw mistake(place, `${head.type.value} in ${head.encoding}: expected 7bit or 8bit`);
  }
  const boundary = head.type.parameters.get("boundary") ?? "";
  if (!BOUNDARY.test(boundary)) throw mistake(place, "Content-Type: expected a boundary of 1 to 70 characters");
  if (open.includes(boundary))
    throw mistake(place, "Content-Type: expected another boundary than that of the multipart around");
  if (open.length >= MAX_DEPTH) throw mistake(place, `expected at most ${MAX_DEPTH} multiparts inside each other`);
  const ranges = divide(context, { start, end }, boundary);
  const isSigned = head.type.value === "multipart/signed";
  if (isSigned && ranges.length !== 2) throw mistake(place, `multipart/signed with ${ranges.length} parts: expected 2`);
  const inDigest = head.type.value === "multipart/digest" ? "message/rfc822" : undefined;
  const parts = ranges.map((range, index): Part => {
    const header = readStrictHeader(message, range.start, range.end, context.maxHeaderBytes);
    context.partFields += header.fields.length;
    if (context.partFields > MAX_PART_FIELDS) {
      throw mistake({ message, offset: range.start }, `expected at most ${MAX_PART_FIELDS} fields in all parts`);
    }
    if (isSigned && index === 0) {
      const isEightBit = context.hasEightBit && firstEightBit(message, range.start, range.end) >= 0;
      return { kind: "signed", fields: header.fields, bytes: message.subarray(range.start, range.end), isEightBit };
    }
    return readPart(context, header.fields, { start: header.bodyStart, end: range.end }, [...open, boundary], inDigest);
  });
  return { kind: "multipart", ...head, parts };
}

/** Other kinds of messages inside, and headers: sent as they are. */
const TELLING: ReadonlySet<string> = new Set([
  ...["message/global", "message/news", "message/external-body", "message/feedback-report", "message/delivery-status"],
  ...["message/global-headers", "message/global-delivery-status", "text/rfc822-headers"],
]);

/** What stands inside in pieces, or encoded, can't be judged. */
function checkMessageInside(
  { type, encoding }: EntityHead,
  fields: readonly StrictField[],
  start: { message: Buffer; offset: number },
): void {
  const place = fields.find(({ key }) => key === "content-type")?.place ?? start;
  if (type.value === "message/partial") throw mistake(place, "message/partial: expected the message in one piece");
  const isReceipt = /^message\/(?:global-)?disposition-notification$/.test(type.value);
  if (!isReceipt || (encoding !== "base64" && encoding !== "quoted-printable")) return;
  // RFC 8098 section 3.1: 7bit.
  throw mistake(place, `${type.value} in ${encoding}: expected 7bit`);
}

function checkEightBit(head: EntityHead, place: { message: Buffer; offset: number }): void {
  if (head.encoding === "8bit" || head.encoding === "binary" || head.type.value.startsWith("message/")) return;
  if (head.encoding !== "7bit") throw mistake(place, `a byte above 127 in ${head.encoding}: expected ASCII`);
  const hint =
    "say what it is: MIME-Version: 1.0, Content-Type: text/plain; charset=utf-8, Content-Transfer-Encoding: 8bit";
  throw mistake(place, "a byte above 127, and nothing says that the body is 8-bit: expected ASCII", hint);
}

/** Where the parts are. The line end in front of a boundary belongs to the boundary. */
function divide({ message, warnings }: Context, { start, end }: Range, boundary: string): Range[] {
  const mark = Buffer.from(`--${boundary}`, "latin1");
  const view = message.subarray(0, end);
  const ranges: Range[] = [];
  let partStart = -1;
  let closedAt = -1;
  for (let at = view.indexOf(mark, start); at >= 0; at = view.indexOf(mark, at + 1)) {
    if (at > start && view[at - 1] !== LF) continue;
    const line = lineAt(view, at);
    const rest = view.toString("latin1", at + mark.length, line.end).replace(/[ \t]+$/, "");
    if (rest !== "" && rest !== "--") continue;
    if (closedAt >= 0) throw mistake({ message, offset: at }, "a boundary behind the closing one: expected the end");
    if (partStart >= 0) ranges.push({ start: partStart, end: Math.max(partStart, lineEndBefore(view, at)) });
    else if (rest === "--") throw mistake({ message, offset: at }, "the closing boundary first: expected a part");
    else if (/[!-~]/.test(view.toString("latin1", start, at)))
      warnings.add("dropped", "text in front of the first part");
    if (ranges.length > MAX_PARTS) throw mistake({ message, offset: at }, `expected at most ${MAX_PARTS} parts`);
    partStart = line.next;
    if (rest === "--") closedAt = line.next;
  }
  if (partStart < 0)
    throw mistake(
      { message, offset: start },
      "expected a part: the boundary that Content-Type names does not stand there",
    );
  if (closedAt < 0)
    throw mistake({ message, offset: end }, "the closing boundary is missing: the message may have been cut");
  if (/[^ \t\r\n]/.test(view.toString("latin1", closedAt))) warnings.add("dropped", "text behind the last part");
  return ranges;
}

function lineEndBefore(bytes: Buffer, start: number): number {
  if (bytes[start - 1] !== LF) return start;
  return bytes[start - 2] === CR ? start - 2 : start - 1;
}

function readHead({ warnings }: Context, fields: readonly StrictField[], defaultType: string): EntityHead {
  const byKey = new Map<string, StrictField>();
  for (const field of fields) {
    if (!KEPT.has(field.key)) {
      warnings.add("dropped", field.name);
    } else {
      if (byKey.has(field.key)) throw mistake(field.place, `a second ${field.name}: expected one`);
      byKey.set(field.key, field);
    }
  }
  const typeField = byKey.get("content-type");
  const encodingField = byKey.get("content-transfer-encoding");
  const dispositionField = byKey.get("content-disposition");
  const idField = byKey.get("content-id");
  const description = byKey.get("content-description");
  const location = byKey.get("content-location");
  if (description !== undefined) checkEncodedWords(description);
  // Names of files are for the reader; paths and addresses tell of the sender's machine.
  const keepsLocation =
    location !== undefined && /^[!-.0-9;-[\]-~]+$/.test(location.value) && !/%(?:2f|3a|5c)/i.test(location.value);
  if (location !== undefined && !keepsLocation) warnings.add("dropped", location.name);
  return {
    type: typeField === undefined ? { value: defaultType, parameters: new Map() } : mediaTypeOf(typeField, warnings),
    typeIsGiven: typeField !== undefined,
    encoding: encodingField === undefined ? "7bit" : encodingOf(encodingField),
    disposition: dispositionField === undefined ? undefined : dispositionOf(dispositionField, warnings),
    contentId: idField === undefined ? undefined : contentIdOf(idField),
    location: keepsLocation ? location.value : undefined,
    description: description?.value,
  };
}

const KEPT: ReadonlySet<string> = new Set([
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "content-id",
  "content-description",
  "content-location",
]);
/** Parameters that say how to read a part; everything else says what wrote it. */
const TYPE_PARAMETERS: ReadonlySet<string> = new Set([
  "boundary",
  "charset",
  "component",
  "delsp",
  "format",
  "method",
  "micalg",
  "name",
  "protocol",
  "report-type",
  "smime-type",
  "start",
  "type",
  "version",
]);
const DISPOSITION_PARAMETERS: ReadonlySet<string> = new Set(["filename"]);

function encodingOf(field: StrictField): Encoding {
  const token = parseToken(field, ENCODINGS);
  const encoding = ENCODINGS.find((name) => name === token);
  if (encoding === undefined) throw new FormatError("SUBMISSION", `${field.name}: unknown encoding`);
  return encoding;
}

function mediaTypeOf(field: StrictField, warnings: Warnings): MediaValue {
  return keep(parseMediaType(field), TYPE_PARAMETERS, field, warnings);
}

function dispositionOf(field: StrictField, warnings: Warnings): MediaValue {
  return keep(parseDisposition(field), DISPOSITION_PARAMETERS, field, warnings);
}

function keep(media: MediaValue, allowed: ReadonlySet<string>, field: StrictField, warnings: Warnings): MediaValue {
  const parameters = new Map<string, string>();
  const namesInForms = new Set<string>();
  for (const [name, text] of media.parameters) {
    // RFC 2231: name*, name*0, name*0*. Programs that know these forms would follow another boundary than others.
    const base = name.split("*", 1)[0] ?? "";
    const isName = isFileName(name);
    if (!allowed.has(base) || (name !== base && !isName)) {
      warnings.add("dropped", `${field.name}: ${name}`);
    } else if (!isName) {
      checkParameter(field, { name, text, decoded: decodeEncodedWords(text), charset: "" });
      parameters.set(name, base === "charset" ? text.toLowerCase() : text);
    } else if (name === base) {
      keepName(parameters, base, new Map([[name, text]]), field, warnings);
    } else if (!namesInForms.has(base)) {
      namesInForms.add(base);
      const forms = [...media.parameters].filter(([key]) => key.startsWith(`${base}*`));
      keepName(parameters, base, new Map(forms), field, warnings);
    }
  }
  return { value: media.value, parameters };
}

/** @param forms the plain one, or all of RFC 2231 */
function keepName(
  parameters: Map<string, string>,
  base: string,
  forms: ReadonlyMap<string, string>,
  field: StrictField,
  warnings: Warnings,
): void {
  const [[name = base, text = ""] = []] = forms;
  if ([...forms.values()].join("").length > MAX_FILE_NAME_CHARACTERS) {
    throw mistake(field.place, `${field.name}: expected a ${base} of at most ${MAX_FILE_NAME_CHARACTERS} characters`);
  }
  const charset = /\*(?:0\*)?$/.test(name) ? (/^([^']*)'[^']*'/.exec(text)?.[1] ?? "") : "";
  checkParameter(field, { name, text, decoded: decodedParameter(base, forms), charset });
  const kept = withoutFolders(base, forms);
  if (kept !== forms) for (const form of forms.keys()) warnings.add("rewritten", `${field.name}: ${form}`);
  for (const [form, value] of kept) parameters.set(form, value);
}

function contentIdOf(field: StrictField): string {
  const scanner: FieldScanner = new FieldScanner(field);
  scanner.skip();
  const id = scanner.take(CONTENT_ID);
  if (id === undefined) scanner.fail('an identifier such as "<local@domain>"');
  scanner.skip();
  if (!scanner.atEnd) scanner.fail("nothing behind the identifier");
  return id;
}
