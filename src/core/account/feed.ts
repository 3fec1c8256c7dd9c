/** What machines say to each other about accounts: lines and counted bytes (docs/formats/account-feed.md). Pure. */

import { FormatError } from "#core/errors.ts";
import { isChainId } from "./chain-id.ts";
import { MAX_ACCOUNTS_EVER, MAX_DIRECTORY_BYTES } from "./directory.ts";
import { accountNameMistake } from "./names.ts";
import { MAX_SIGNATURE_BYTES, MAX_SIGNATURES } from "./signed-text.ts";
import { MAX_STATE_BYTES } from "./state.ts";

/** The first line of each side. */
export const FEED_HELLO = "shoal-feed/v1";
const MAX_LINE_CHARACTERS = 1024;
const MAX_TEXT_CHARACTERS = 700;
const MAX_STATUS_BYTES = 1024 * 1024;
/** Body and signatures. */
export const MAX_RECORD_BYTES: Readonly<Record<RecordKind, number>> = {
  directory: MAX_DIRECTORY_BYTES + MAX_SIGNATURES * MAX_SIGNATURE_BYTES,
  state: MAX_STATE_BYTES + MAX_SIGNATURES * MAX_SIGNATURE_BYTES,
};

/** A list of the keys that sign mailboxes (docs/formats/mailbox-ledger.md, "Signers"): body and signatures. */
const MAX_LIST_BYTES = 64 * 1024 + MAX_SIGNATURES * MAX_SIGNATURE_BYTES;

export type RecordKind = "directory" | "state";

/** One record with its acceptance: of the directory, or of the account that it names itself. */
export interface RecordFrame {
  readonly kind: "record";
  readonly of: RecordKind;
  /** Unix seconds. */
  readonly accepted: number;
  readonly signed: Buffer;
}

export interface AliveFrame {
  readonly kind: "alive";
}

/** `account` is null for the directory. */
export type AcceptFrame =
  | AliveFrame
  /** What the machine has; version 0 with hash null for nothing. */
  | { readonly kind: "have"; readonly account: string | null; readonly version: number; readonly hash: string | null }
  /** It has said all that it has. */
  | { readonly kind: "ready" }
  | { readonly kind: "took"; readonly account: string | null; readonly version: number }
  | {
      readonly kind: "refused";
      readonly account: string | null;
      readonly version: number;
      readonly code: string;
      readonly text: string;
    };

export type LedgerFrame = AliveFrame | RecordFrame;

export interface ProposalFrame {
  readonly kind: "proposal";
  /** Chosen by the sender; the answer repeats it. */
  readonly number: number;
  /** Login name that it was handed in with. */
  readonly name: string;
  readonly signed: Buffer;
}

export type KeysFrame = AliveFrame | ProposalFrame;

export interface AnswerFrame {
  readonly kind: "answer";
  readonly number: number;
  /** `ACCEPTED` or the code of an error. */
  readonly code: string;
  /** Latest version of the account of that name; null for none. */
  readonly version: number | null;
  readonly text: string;
}

export type AnswersFrame = AliveFrame | AnswerFrame;

/** `signer` is answered like `status`, with other JSON, and `adopt` like a record. */
export type OperatorQuestion = "adopt" | "dump" | "signer" | "status";
const QUESTIONS: ReadonlySet<string> = new Set<OperatorQuestion>(["adopt", "dump", "signer", "status"]);

export type OperatorFrame =
  | { readonly kind: "submit"; readonly of: RecordKind; readonly signed: Buffer }
  /** A list of the keys that sign mailboxes. */
  | { readonly kind: "certify"; readonly signed: Buffer }
  | { readonly kind: "ask"; readonly what: OperatorQuestion };

export type ReplyFrame =
  | RecordFrame
  /** Behind the last record of a dump. */
  | { readonly kind: "end" }
  | { readonly kind: "reply"; readonly code: string; readonly text: string }
  | { readonly kind: "status"; readonly json: Buffer };

export type Frame = AcceptFrame | AnswersFrame | KeysFrame | LedgerFrame | OperatorFrame | ReplyFrame;

/** A frame, or the number of bytes that it still lacks. */
type Parsed<F> = { readonly frame: F } | { readonly bytes: number; readonly complete: (payload: Buffer) => F };
/** Null for a line that has no place here. */
type LineParser<F> = (line: string) => Parsed<F> | null;

/**
 * Takes what one side sends in pieces of any size. It holds one line or one payload at a time, whose limits follow from
 * what is announced, and nothing is allocated before its announcement is checked.
 */
export class FeedReader<F> {
  readonly #parse: LineParser<F>;
  #line = "";
  #greeted = false;
  #payload: { readonly bytes: Buffer; have: number; readonly complete: (payload: Buffer) => F } | null = null;

  constructor(parse: LineParser<F>) {
    this.#parse = parse;
  }

  /**
   * The frames that `chunk` completes; their payloads are copies.
   * @throws FormatError FEED; nothing may be pushed after that
   */
  push(chunk: Buffer): F[] {
    const frames: F[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#payload !== null) {
        const { bytes, have, complete } = this.#payload;
        const copied = chunk.copy(bytes, have, at);
        at += copied;
        this.#payload.have += copied;
        if (this.#payload.have < bytes.length) break;
        this.#payload = null;
        frames.push(complete(bytes));
        continue;
      }
      const end = chunk.indexOf(10, at);
      this.#line += chunk.toString("latin1", at, end < 0 ? Math.min(chunk.length, at + MAX_LINE_CHARACTERS + 1) : end);
      if (this.#line.length > MAX_LINE_CHARACTERS) {
        throw new FormatError("FEED", `feed: a line of more than ${MAX_LINE_CHARACTERS} characters`);
      }
      if (end < 0) break;
      at = end + 1;
      const parsed = this.#parseLine();
      if (parsed === null) continue;
      if ("frame" in parsed) frames.push(parsed.frame);
      else this.#payload = { bytes: Buffer.allocUnsafeSlow(parsed.bytes), have: 0, complete: parsed.complete };
    }
    return frames;
  }

  /** True between two frames: an end of the stream here cuts nothing. */
  get isBetweenFrames(): boolean {
    return this.#line === "" && this.#payload === null;
  }

  /** True once the other side has said that it speaks this. */
  get isGreeted(): boolean {
    return this.#greeted;
  }

  #parseLine(): Parsed<F> | null {
    const line = this.#line;
    this.#line = "";
    if (!this.#greeted) {
      if (line !== FEED_HELLO) throw new FormatError("FEED", `feed: the first line is not "${FEED_HELLO}"`);
      this.#greeted = true;
      return null;
    }
    const parsed = /^[\x20-\x7e]*$/.test(line) ? this.#parse(line) : null;
    if (parsed === null) throw new FormatError("FEED", `feed: a line that has no place here: ${quoted(line)}`);
    return parsed;
  }
}

function quoted(line: string): string {
  return JSON.stringify(line.slice(0, 80));
}

const ALIVE: { readonly frame: AliveFrame } = { frame: { kind: "alive" } };
const WHO = String.raw`(directory|account [A-Za-z0-9_-]{22})`;
const NUMBER = "(0|[1-9][0-9]{0,14})";
const CODE = "([A-Z][A-Z0-9-]{0,31})";
const HAVE = new RegExp(`^have ${WHO} ${NUMBER} (-|[A-Za-z0-9+/]{43}=)$`);
const TOOK = new RegExp(`^took ${WHO} ${NUMBER}$`);
const REFUSED = new RegExp(`^refused ${WHO} ${NUMBER} ${CODE} (.+)$`);
const RECORD = new RegExp(`^(directory|state) ${NUMBER} ${NUMBER}$`);
const PROPOSAL = new RegExp(`^proposal ${NUMBER} (\\S+) ${NUMBER}$`);
const ANSWER = new RegExp(`^answer ${NUMBER} ${CODE} (-|[1-9][0-9]{0,14}) (.+)$`);
const SUBMIT = new RegExp(`^(directory|state) ${NUMBER}$`);
const CERTIFY = new RegExp(`^signers ${NUMBER}$`);
const REPLY = new RegExp(`^answer ${CODE} (.+)$`);
const STATUS = new RegExp(`^status ${NUMBER}$`);

/** What shoal-accept says: `have` lines (the directory first, accounts sorted, each once) up to `ready`, then answers. */
export function fromAccept(): FeedReader<AcceptFrame> {
  let last: string | null | undefined;
  let accounts = 0;
  let ready = false;
  return new FeedReader<AcceptFrame>((line): Parsed<AcceptFrame> | null => {
    if (line === "alive") return ALIVE;
    if (!ready) {
      if (line === "ready" && last !== undefined) {
        ready = true;
        return { frame: { kind: "ready" } };
      }
      const [, who = "", number = "", text = ""] = HAVE.exec(line) ?? [];
      const account = accountOf(who);
      const version = Number(number);
      const hash = text === "-" ? null : text;
      if (account === undefined || (version === 0) !== (hash === null)) return null;
      const isNext = account === null ? last === undefined : last === null || (last !== undefined && last < account);
      if (!isNext) return null;
      if (account !== null && (version === 0 || ++accounts > MAX_ACCOUNTS_EVER)) return null;
      last = account;
      return { frame: { kind: "have", account, version, hash } };
    }
    const [, who = "", number = "", code = "", text = ""] = TOOK.exec(line) ?? REFUSED.exec(line) ?? [];
    const account = accountOf(who);
    const version = Number(number);
    if (account === undefined || version === 0) return null;
    if (code === "") return { frame: { kind: "took", account, version } };
    return { frame: { kind: "refused", account, version, code, text } };
  });
}

/** Null for the directory, undefined for neither. */
function accountOf(who: string): string | null | undefined {
  if (who === "directory") return null;
  const account = who.slice("account ".length);
  return isChainId(account) ? account : undefined;
}

/** What the ledger says to shoal-accept, and what a dump is made of but for its end. */
export function fromLedger(): FeedReader<LedgerFrame> {
  return new FeedReader<LedgerFrame>((line): Parsed<LedgerFrame> | null =>
    line === "alive" ? ALIVE : recordLine(line),
  );
}

function recordLine(line: string): Parsed<RecordFrame> | null {
  const [, of, accepted = "", bytes = ""] = RECORD.exec(line) ?? [];
  if (of !== "directory" && of !== "state") return null;
  return payload(bytes, MAX_RECORD_BYTES[of], (signed) => ({ kind: "record", of, accepted: Number(accepted), signed }));
}

function payload<F>(bytes: string, maxBytes: number, complete: (payload: Buffer) => F): Parsed<F> | null {
  const count = Number(bytes);
  return count < 1 || count > maxBytes ? null : { bytes: count, complete };
}

/** What shoal-keys says. */
export function fromKeys(): FeedReader<KeysFrame> {
  return new FeedReader<KeysFrame>((line): Parsed<KeysFrame> | null => {
    if (line === "alive") return ALIVE;
    const [, number = "", name = "", bytes = ""] = PROPOSAL.exec(line) ?? [];
    if (accountNameMistake(name) !== null) return null;
    return payload(bytes, MAX_RECORD_BYTES.state, (signed) => {
      return { kind: "proposal", number: Number(number), name, signed };
    });
  });
}

/** What the ledger says to shoal-keys. */
export function fromJudge(): FeedReader<AnswersFrame> {
  return new FeedReader<AnswersFrame>((line): Parsed<AnswersFrame> | null => {
    if (line === "alive") return ALIVE;
    const [, number = "", code = "", version = "", text = ""] = ANSWER.exec(line) ?? [];
    if (code === "") return null;
    return {
      frame: { kind: "answer", number: Number(number), code, version: version === "-" ? null : Number(version), text },
    };
  });
}

function isQuestion(line: string): line is OperatorQuestion {
  return QUESTIONS.has(line);
}

/** What the operator says to the ledger. */
export function fromOperator(): FeedReader<OperatorFrame> {
  return new FeedReader<OperatorFrame>((line): Parsed<OperatorFrame> | null => {
    if (isQuestion(line)) return { frame: { kind: "ask", what: line } };
    const [, listBytes] = CERTIFY.exec(line) ?? [];
    if (listBytes !== undefined) return payload(listBytes, MAX_LIST_BYTES, (signed) => ({ kind: "certify", signed }));
    const [, of, bytes = ""] = SUBMIT.exec(line) ?? [];
    if (of !== "directory" && of !== "state") return null;
    return payload(bytes, MAX_RECORD_BYTES[of], (signed) => ({ kind: "submit", of, signed }));
  });
}

/** What the ledger says to the operator. */
export function toOperator(): FeedReader<ReplyFrame> {
  return new FeedReader<ReplyFrame>((line): Parsed<ReplyFrame> | null => {
    if (line === "end") return { frame: { kind: "end" } };
    const [, code = "", text = ""] = REPLY.exec(line) ?? [];
    if (code !== "") return { frame: { kind: "reply", code, text } };
    const [, bytes] = STATUS.exec(line) ?? [];
    if (bytes !== undefined) return payload(bytes, MAX_STATUS_BYTES, (json) => ({ kind: "status", json }));
    return recordLine(line);
  });
}

/** The bytes of one frame; texts become one plain line, see {@link plainText}. */
export function printFrame(frame: Frame): Buffer {
  const head = Buffer.from(`${headOf(frame)}\n`, "latin1");
  if ("signed" in frame) return Buffer.concat([head, frame.signed]);
  return "json" in frame ? Buffer.concat([head, frame.json]) : head;
}

function headOf(frame: Frame): string {
  if (frame.kind === "have") return `have ${who(frame.account)} ${frame.version} ${frame.hash ?? "-"}`;
  if (frame.kind === "took") return `took ${who(frame.account)} ${frame.version}`;
  if (frame.kind === "refused") {
    return `refused ${who(frame.account)} ${frame.version} ${frame.code} ${plainText(frame.text)}`;
  }
  if (frame.kind === "record") return `${frame.of} ${frame.accepted} ${frame.signed.length}`;
  if (frame.kind === "proposal") return `proposal ${frame.number} ${frame.name} ${frame.signed.length}`;
  if (frame.kind === "answer") {
    return `answer ${frame.number} ${frame.code} ${frame.version ?? "-"} ${plainText(frame.text)}`;
  }
  if (frame.kind === "submit") return `${frame.of} ${frame.signed.length}`;
  if (frame.kind === "certify") return `signers ${frame.signed.length}`;
  if (frame.kind === "ask") return frame.what;
  if (frame.kind === "reply") return `answer ${frame.code} ${plainText(frame.text)}`;
  if (frame.kind === "status") return `status ${frame.json.length}`;
  return frame.kind;
}

function who(account: string | null): string {
  return account === null ? "directory" : `account ${account}`;
}

/** A text as it may stand in a line: printable ASCII, not empty, of bounded length. */
export function plainText(text: string): string {
  return (
    text
      .replaceAll(/\s+/g, " ")
      .replaceAll(/[^\x20-\x7e]/g, "?")
      .trim()
      .slice(0, MAX_TEXT_CHARACTERS) || "-"
  );
}
