/** What the courier and the ledger say to each other about deliveries (docs/formats/mailbox-append.md). Pure. */

import { isChainId } from "#core/account/chain-id.ts";
import { FormatError } from "#core/errors.ts";
import { isDigest } from "./entry.ts";

/** The first line of each side. */
export const APPEND_HELLO = "shoal-append/v1";
/** Characters of a line, without its LF. */
export const MAX_APPEND_LINE = 512;
/** Requests that may be open on one connection. */
export const MAX_APPENDS_OPEN = 1024;
const MAX_TEXT_CHARACTERS = 300;
const NUMBER = /^(?:0|[1-9][0-9]{0,14})$/;
const CODE = /^[A-Z][A-Z0-9-]{0,31}$/;
const TEXT = new RegExp(`^[ -~]{1,${MAX_TEXT_CHARACTERS}}$`);

export interface KnownRequest {
  readonly kind: "known";
  /** The caller's; no two open requests have the same. */
  readonly tag: number;
  /** Id of an account. */
  readonly account: string;
  /** SHA-256 of the sealed file, 64 hex digits. */
  readonly digest: string;
}

/** The file lies in `mail/`, durably. */
export interface AppendNewRequest {
  readonly kind: "append";
  readonly tag: number;
  readonly account: string;
  readonly digest: string;
  /** Of the sealed file, in bytes, from 1. */
  readonly size: number;
  /** Of the account state that it is sealed to, from 1. */
  readonly version: number;
}

export type AppendRequest = KnownRequest | AppendNewRequest;

export type AppendAnswer =
  /** It is in the chain under this number, durably. */
  | { readonly kind: "have"; readonly tag: number; readonly seq: number }
  /** To `known` alone. */
  | { readonly kind: "lack"; readonly tag: number }
  | { readonly kind: "refused"; readonly tag: number; readonly code: string; readonly text: string };

/** @throws FormatError APPEND */
export function parseAppendRequest(line: string): AppendRequest {
  const [kind, tagText = "", account = "", digest = "", ...more] = line.split(" ");
  const tag = numberOf(tagText, 0);
  if (!isChainId(account) || !isDigest(digest)) throw mistake("an account and a SHA-256 in 64 hex digits");
  if (kind === "known" && more.length === 0) return { kind, tag, account, digest };
  const [size = "", version = ""] = more;
  if (kind !== "append" || more.length !== 2) {
    throw mistake('"known TAG ACCOUNT DIGEST" or "append TAG ACCOUNT DIGEST SIZE VERSION"');
  }
  return { kind, tag, account, digest, size: numberOf(size, 1), version: numberOf(version, 1) };
}

/** The line with its LF. @throws FormatError APPEND for what the format can't say */
export function printAppendRequest(request: AppendRequest): string {
  const { kind, tag, account, digest } = request;
  const more = request.kind === "append" ? ` ${request.size} ${request.version}` : "";
  const line = `${kind} ${tag} ${account} ${digest}${more}`;
  parseAppendRequest(line);
  return `${line}\n`;
}

/** @throws FormatError APPEND */
export function parseAppendAnswer(line: string): AppendAnswer {
  const [kind, tagText = "", ...more] = line.split(" ");
  const tag = numberOf(tagText, 0);
  if (kind === "have" && more.length === 1) return { kind, tag, seq: numberOf(more[0] ?? "", 1) };
  if (kind === "lack" && more.length === 0) return { kind, tag };
  const [code = "", ...words] = more;
  const text = words.join(" ");
  if (kind !== "refused" || !CODE.test(code) || !TEXT.test(text)) {
    throw mistake('"have TAG SEQ", "lack TAG" or "refused TAG CODE TEXT"');
  }
  return { kind, tag, code, text };
}

/** The line with its LF; a text is cut and made printable. @throws FormatError APPEND for what the format can't say */
export function printAppendAnswer(answer: AppendAnswer): string {
  const line = answerLine(answer);
  parseAppendAnswer(line);
  return `${line}\n`;
}

function answerLine(answer: AppendAnswer): string {
  if (answer.kind === "have") return `have ${answer.tag} ${answer.seq}`;
  if (answer.kind === "lack") return `lack ${answer.tag}`;
  const text = answer.text.replaceAll(/[^ -~]/g, "?").slice(0, MAX_TEXT_CHARACTERS);
  return `refused ${answer.tag} ${answer.code} ${text === "" ? "-" : text}`;
}

function numberOf(text: string, least: 0 | 1): number {
  const number = Number(text);
  if (!NUMBER.test(text) || number < least) throw mistake(`a number from ${least}`);
  return number;
}

function mistake(expected: string): FormatError {
  return new FormatError("APPEND", `append: expected ${expected}`);
}

/** Takes what one side sends in pieces of any size; holds one unfinished line. */
export class AppendReader<Line> {
  readonly #parse: (line: string) => Line;
  #rest = "";
  #isGreeted = false;

  /** @param parse {@link parseAppendRequest} or {@link parseAppendAnswer} */
  constructor(parse: (line: string) => Line) {
    this.#parse = parse;
  }

  /** True once the other side has said that it speaks this. */
  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /**
   * The lines that `chunk` completes, without the greeting.
   * @throws FormatError APPEND; nothing may be pushed after that
   */
  push(chunk: Buffer): Line[] {
    const lines = (this.#rest + chunk.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    const long = [...lines, this.#rest].find((line) => line.length > MAX_APPEND_LINE);
    if (long !== undefined) throw mistake(`a line of at most ${MAX_APPEND_LINE} characters`);
    if (!this.#isGreeted && lines.length > 0) {
      if (lines.shift() !== APPEND_HELLO) throw mistake(`"${APPEND_HELLO}" first`);
      this.#isGreeted = true;
    }
    return lines.map(this.#parse);
  }
}
