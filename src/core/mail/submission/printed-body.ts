/** Writes a message's parts again: neutral boundaries and Content-IDs, fields in one order, content as it was. */

import type { ContentIds } from "./content-ids.ts";
import { printField } from "./folding.ts";
import { firstEightBit } from "./lines.ts";
import { type MediaValue, printMediaValue } from "./media-value.ts";
import type { Encoding, LeafPart, MultipartPart, Part } from "./structure.ts";
import { encodeBody } from "./transfer-encode.ts";

export interface BodyTools {
  readonly ids: ContentIds;
  readonly random: (bytes: number) => Uint8Array;
  /** Judges and cleans the machine-readable part of a receipt. */
  readonly cleanReceipt: (body: Buffer) => Buffer;
}

export interface PrintedPart {
  /** Fields with their line ends, without the empty line. */
  readonly fields: string;
  readonly body: readonly Buffer[];
  /** Only what is not to be touched can be. */
  readonly isEightBit: boolean;
}

/** @param isRoot whether the fields stand in the header of the message */
export function printPart(part: LeafPart | MultipartPart, tools: BodyTools, isRoot: boolean): PrintedPart {
  if (part.kind === "leaf") {
    const { body, encoding, isEightBit } = printLeaf(part, tools);
    return { fields: printHead(part, part.type.parameters, encoding, tools, isRoot), body: [body], isEightBit };
  }
  const boundary = Buffer.from(tools.random(16)).toString("hex");
  const parameters = new Map(part.type.parameters).set("boundary", boundary);
  const start = parameters.get("start");
  if (start !== undefined && tools.ids.has(start)) parameters.set("start", tools.ids.print(start));
  else parameters.delete("start");
  const body: Buffer[] = [];
  let isEightBit = false;
  for (const child of part.parts) {
    const printed = printChild(child, tools);
    body.push(Buffer.from(`--${boundary}\r\n`), ...printed.body, Buffer.from("\r\n"));
    isEightBit ||= printed.isEightBit;
  }
  body.push(Buffer.from(`--${boundary}--`));
  return { fields: printHead(part, parameters, isEightBit ? "8bit" : "7bit", tools, isRoot), body, isEightBit };
}

/** 8-bit text is encoded, because servers on the way may have to, and that would break our signature (RFC 6376 section 5.3). */
function printLeaf(
  part: LeafPart,
  { ids, cleanReceipt }: BodyTools,
): { body: Buffer; encoding: Encoding; isEightBit: boolean } {
  const { body: text, encoding } = ids.rewrite(part);
  const isReceipt = /^message\/(?:global-)?disposition-notification$/.test(part.type.value);
  const body = isReceipt ? cleanReceipt(text) : text;
  const isEightBit = part.isEightBit && firstEightBit(body, 0, body.length) >= 0;
  const isPlain = encoding === "8bit" || encoding === "binary";
  if (isPlain && !isEightBit) return { body, encoding: "7bit", isEightBit };
  // What somebody else wrote can't be encoded (RFC 2046 section 5.2.1).
  if (!isPlain || part.type.value.startsWith("message/")) return { body, encoding, isEightBit };
  return { ...encodeBody(body), isEightBit: false };
}

function printChild(child: Part, tools: BodyTools): Pick<PrintedPart, "body" | "isEightBit"> {
  if (child.kind === "signed") return { body: [child.bytes], isEightBit: child.isEightBit };
  const { fields, body, isEightBit } = printPart(child, tools, false);
  return { body: [Buffer.from(`${fields}\r\n`, "latin1"), ...body], isEightBit };
}

function printHead(
  part: LeafPart | MultipartPart,
  parameters: ReadonlyMap<string, string>,
  encoding: Encoding,
  { ids }: BodyTools,
  isRoot: boolean,
): string {
  const { typeIsGiven, disposition, contentId, location, description } = part;
  const type: MediaValue = { value: part.type.value, parameters };
  return [
    typeIsGiven ? printMediaValue("Content-Type", type) : "",
    encoding === "7bit" ? "" : printField("Content-Transfer-Encoding", encoding),
    // Some programs say of every message that it is to be shown, which goes without saying.
    disposition === undefined || (isRoot && isPlainInline(disposition))
      ? ""
      : printMediaValue("Content-Disposition", disposition),
    contentId === undefined ? "" : printField("Content-ID", ids.print(contentId)),
    location === undefined ? "" : printField("Content-Location", location),
    description === undefined ? "" : printField("Content-Description", description),
  ].join("");
}

function isPlainInline({ value, parameters }: MediaValue): boolean {
  return value === "inline" && parameters.size === 0;
}
