/** What programs leave to `sendmail`: the end of the input, the empty line, From, Date and Message-ID. Nothing else. */

import { printField } from "#core/mail/submission/folding.ts";
import { newMessageId, printMailDate } from "./compose-message.ts";
import { type Correspondent, printCorrespondent } from "./correspondent.ts";
import { encodePhrase } from "./encode-words.ts";

export interface Filling {
  /** For a message without From. */
  readonly from: Correspondent;
  /** The names that a program on this computer calls its user by, where it gives no domain. */
  readonly localNames: readonly string[];
  /** False: a line with a dot alone ends the message. */
  readonly ignoreDots: boolean;
  /** Unix seconds. */
  readonly time: number;
}

const FIELD = /^([!-9;-~]+)[ \t]*:/;

/**
 * The message with what was missing, behind the other fields, so that numbers of lines hold. A message that does not start
 * with a header gets one.
 */
export function fillIn(input: Buffer, { from, localNames, ignoreDots, time }: Filling): Buffer {
  const whole = withoutMailboxLine(ignoreDots ? input : untilDot(input));
  const text = whole.toString("latin1");
  const end = /\r\n/.test(text.slice(0, text.indexOf("\n") + 1)) ? "\r\n" : "\n";
  const { lines, bodyStart, hasEmptyLine } = splitHeader(text);
  const names = new Set(lines.map((line) => FIELD.exec(line)?.[1]?.toLowerCase() ?? ""));
  const header = lines.map((line, index) => {
    // A folded field is no machine's short name.
    if (/^[ \t]/.test(lines[index + 1] ?? "")) return line;
    return qualified(line, from, localNames);
  });
  const added: string[] = [];
  if (!names.has("date")) added.push(printField("Date", printMailDate(time)));
  if (!names.has("from")) added.push(printField("From", printCorrespondent(from)));
  if (!names.has("message-id")) added.push(printField("Message-ID", newMessageId(from.address)));
  const fields = [...header.map((line) => `${line}${end}`), ...added.map((field) => field.replaceAll("\r\n", end))];
  const separator = hasEmptyLine ? "" : end;
  return Buffer.concat([Buffer.from(`${fields.join("")}${separator}`, "latin1"), whole.subarray(bodyStart)]);
}

/** The lines of the header without their ends; what follows starts with the empty line, if there is one. */
function splitHeader(text: string): { lines: string[]; bodyStart: number; hasEmptyLine: boolean } {
  const lines: string[] = [];
  let at = 0;
  while (at < text.length) {
    const lf = text.indexOf("\n", at);
    const line = text.slice(at, lf < 0 ? text.length : lf).replace(/\r$/, "");
    if (line === "") return { lines, bodyStart: at, hasEmptyLine: true };
    if (!FIELD.test(line) && !(lines.length > 0 && /^[ \t]/.test(line))) break;
    lines.push(line);
    at = lf < 0 ? text.length : lf + 1;
  }
  return { lines, bodyStart: at, hasEmptyLine: false };
}

/** cron writes `From: root (Cron Daemon)` and `To: alice`: who has no domain is somebody of this computer. */
function qualified(line: string, from: Correspondent, localNames: readonly string[]): string {
  const [, name = "", value = ""] = /^(From|To):[ \t]*(.*?)[ \t]*$/i.exec(line) ?? [];
  if (name === "" || value.includes("@")) return line;
  const [, comment, word] =
    /^(?:"?\(?([^"()<>]*)\)?"?[ \t]*<)?([a-z0-9_][a-z0-9_.-]*)>?(?:[ \t]*\(.*\))?$/i.exec(value) ?? [];
  const behind = /\(([^()]*)\)$/.exec(value)?.[1];
  const shown = (comment ?? behind ?? "").trim();
  if (word === undefined) return line;
  if (/^from$/i.test(name)) return `${name}: ${shown === "" ? "" : `${encodePhrase(shown)} `}<${from.address}>`;
  return localNames.includes(word) ? `${name}: ${from.address}` : line;
}

/** The line that mail folders put in front of a message. */
function withoutMailboxLine(input: Buffer): Buffer {
  return input.toString("latin1", 0, 5) === "From " ? input.subarray(input.indexOf("\n") + 1 || input.length) : input;
}

function untilDot(input: Buffer): Buffer {
  const match = /^\.\r?$/m.exec(input.toString("latin1"));
  return match === null ? input : input.subarray(0, match.index);
}
