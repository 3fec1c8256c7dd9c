/** What a mail of the corpus must look like once it is delivered, and where it does not. */

import type { CorpusMail } from "#test/corpus/compose.ts";

/** Fields that our side (the last three: the rspamd filter) and the mail servers before it put in front of a message. */
const traceNames = [
  ...["return-path", "delivered-to", "received", "shoal-length", "envelope-to", "x-original-to"],
  ...["x-spam", "x-spam-score", "x-spam-status"],
];

/**
 * The message as it must be delivered, without what was put in front of it: LF line ends, the last line ended, and
 * fields that pass for our own (docs/formats/sealed-mail.md) with `X-Outside-` before their names. Nothing else changes.
 */
export function expectedAfterDelivery(mail: Pick<CorpusMail, "bytes">): Buffer {
  return expectedText(mail, true);
}

/** The same behind other fields: a blank in front continues these, and a byte order mark belongs to a field's name. */
export function expectedBehindFields(mail: Pick<CorpusMail, "bytes">): Buffer {
  return expectedText(mail, false);
}

function expectedText({ bytes }: Pick<CorpusMail, "bytes">, isFirst: boolean): Buffer {
  const lf = bytes.toString("latin1").replaceAll("\r\n", "\n");
  const ended = lf === "" || lf.endsWith("\n") ? lf : `${lf}\n`;
  return Buffer.from(renameOutsideFields(ended, isFirst), "latin1");
}

function renameOutsideFields(text: string, isFirst: boolean): string {
  const mark = isFirst && text.startsWith("\xef\xbb\xbf") ? "\xef\xbb\xbf" : "";
  // The header goes no further than the first empty line, whatever stands before it.
  const [head = ""] = text.slice(mark.length).split("\n\n", 1);
  return mark + renamedHead(head, isFirst) + text.slice(mark.length + head.length);
}

function renamedHead(head: string, isFirst: boolean): string {
  const lines = head.split("\n");
  const renamed: string[] = [];
  for (const [index, line] of lines.entries()) {
    const continues = /^[ \t]/.test(line);
    if (index === 0 && continues && isFirst) {
      renamed.push(`X-Outside-Continuation:${line}`);
    } else if (continues || /^>?From /.test(line)) {
      renamed.push(line);
    } else if (/^[!-9;-~\x80-\xff]+[ \t]*:/.test(line)) {
      renamed.push(line.replace(/^(?=(?:shoal-[^:]*|return-path|delivered-to)[ \t]*:)/i, "X-Outside-"));
    } else {
      return [...renamed, ...lines.slice(index)].join("\n");
    }
  }
  return renamed.join("\n");
}

/**
 * Compares a delivered mail (LF line ends) with what was sent.
 * @returns null when it is right: some complete trace fields, then exactly the expected message; otherwise what differs
 * first, for people
 */
export function deliveryFault(mail: CorpusMail, delivered: Uint8Array): string | null {
  if (mail.expect === "refused") return `"${mail.name}" was delivered and should have been refused: ${mail.why}`;
  const actual = Buffer.from(delivered);
  if (actual.equals(expectedAfterDelivery(mail))) return null;
  const expected = expectedBehindFields(mail);
  const starts = messageStarts(actual);
  if (starts.some((start) => start > 0 && actual.subarray(start).equals(expected))) return null;
  const best = Math.max(...starts.map((start) => commonLength(expected, actual.subarray(start))));
  const start = starts.find((candidate) => commonLength(expected, actual.subarray(candidate)) === best) ?? 0;
  return `"${mail.name}" arrived changed (${mail.why}): ${firstDifference(expected, actual.subarray(start)) ?? "?"}`;
}

/** Every place at which the message may begin: after none, one, two, … lines of the trace fields on top. */
function messageStarts(actual: Buffer): number[] {
  const starts = [0];
  for (let at = 0; at < actual.length; ) {
    const name = /^([!-9;-~]+):/.exec(actual.toString("latin1", at, at + 60))?.[1]?.toLowerCase();
    if (name === undefined || !traceNames.includes(name)) break;
    do {
      const end = actual.indexOf("\n", at);
      at = end < 0 ? actual.length : end + 1;
      // A message that starts with a blank looks like one more line of the field before it.
      starts.push(at);
    } while (actual[at] === 0x20 || actual[at] === 0x09);
  }
  return starts;
}

function commonLength(a: Buffer, b: Buffer): number {
  const most = Math.min(a.length, b.length);
  let low = 0;
  let high = most;
  // Comparing halves natively finds the place in 34 MB at once.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (a.subarray(low, middle).equals(b.subarray(low, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where two texts with LF line ends differ first, as line, column and both sides; null when they don't. */
export function firstDifference(expected: Buffer, actual: Buffer): string | null {
  if (expected.equals(actual)) return null;
  const at = commonLength(expected, actual);
  const before = expected.subarray(0, at);
  let line = 1;
  for (let end = before.indexOf(10); end >= 0; end = before.indexOf(10, end + 1)) line++;
  const column = at - (before.lastIndexOf("\n") + 1) + 1;
  return (
    `line ${line}, column ${column} (byte ${at}): expected ${excerpt(expected, at)}, found ${excerpt(actual, at)}; ` +
    `${expected.length} bytes expected, ${actual.length} found`
  );
}

/** Some bytes around a place, quoted and escaped. */
function excerpt(bytes: Buffer, at: number): string {
  if (at >= bytes.length) return "the end";
  const text = bytes.toString("latin1", at, at + 40).replaceAll(/[^\x20-\x7e]/g, (character) => {
    if (character === "\n") return "\\n";
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${text}"`;
}
