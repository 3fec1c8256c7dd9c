/** Writes a message's parts again: neutral boundaries and Content-IDs, fields in one order, content as it was. */

import type { ContentIds } from "./content-ids.ts";
import { printField } from "./folding.ts";
import { type MediaValue, printMediaValue } from "./media-value.ts";
import type { Encoding, LeafPart, MultipartPart, Part } from "./structure.ts";

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
}

/** @param isRoot whether the fields stand in the header of the message */
export function printPart(part: LeafPart | MultipartPart, tools: BodyTools, isRoot: boolean): PrintedPart {
  if (part.kind === "leaf") {
    const { body, encoding } = tools.ids.rewrite(part);
    const isReceipt = /^message\/(?:global-)?disposition-notification$/.test(part.type.value);
    return {
      fields: printHead(part, part.type.parameters, encoding, tools, isRoot),
      body: [isReceipt ? tools.cleanReceipt(body) : body],
    };
  }
  const boundary = Buffer.from(tools.random(16)).toString("hex");
  const parameters = new Map(part.type.parameters).set("boundary", boundary);
  const start = parameters.get("start");
  if (start !== undefined && tools.ids.has(start)) parameters.set("start", tools.ids.print(start));
  else parameters.delete("start");
  const body: Buffer[] = [];
  for (const child of part.parts) {
    body.push(Buffer.from(`--${boundary}\r\n`), ...printChild(child, tools), Buffer.from("\r\n"));
  }
  body.push(Buffer.from(`--${boundary}--`));
  return { fields: printHead(part, parameters, part.isEightBit ? "8bit" : "7bit", tools, isRoot), body };
}

function printChild(child: Part, tools: BodyTools): Buffer[] {
  if (child.kind === "signed") return [child.bytes];
  const { fields, body } = printPart(child, tools, false);
  return [Buffer.from(`${fields}\r\n`, "latin1"), ...body];
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
