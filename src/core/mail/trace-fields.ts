/** Keeps what a stranger wrote into a message's header from passing for what our own machine wrote. */

const PREFIX = Buffer.from("X-Outside-", "latin1");
const CONTINUATION_PREFIX = Buffer.from("X-Outside-Continuation:", "latin1");
const BOM = Buffer.of(0xef, 0xbb, 0xbf);

const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const COLON = 0x3a;

/**
 * Renames header fields `Shoal-*`, `Return-Path` and `Delivered-To` by putting `X-Outside-` in front of their names. A
 * first line that is a continuation would become part of our own last field: it gets a name, `X-Outside-Continuation`.
 * Nothing else changes and the body is not looked at; without such a field the result is `message` itself. The header
 * ends at the first empty line, or at the first line that is neither a field nor a continuation nor the `From …` of an
 * mbox file (a stranger's first line is not ours: smtpd's `Received` stands before it). Expects LF line ends.
 */
export function renameTraceFields(message: Buffer): Buffer {
  const parts: Buffer[] = [];
  let copied = 0;
  const insert = (at: number, text: Buffer): void => {
    parts.push(message.subarray(copied, at), text);
    copied = at;
  };
  // Some programs write a byte order mark; readers that skip it see a field behind it.
  let start = message.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
  if (isBlank(message[start])) insert(start, CONTINUATION_PREFIX);
  while (start < message.length) {
    const end = lineEnd(message, start);
    if (!isBlank(message[start]) && !isMailboxLine(message, start)) {
      const colon = message.subarray(start, end).indexOf(COLON);
      if (colon < 0) break;
      const name = /^([!-~\x80-\xff]+)[ \t]*$/.exec(message.toString("latin1", start, start + colon))?.[1];
      if (name === undefined) break;
      if (/^(shoal-.*|return-path|delivered-to)$/i.test(name)) insert(start, PREFIX);
    }
    start = end;
  }
  if (parts.length === 0) return message;
  return Buffer.concat([...parts, message.subarray(copied)]);
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** The line that separates mails in an mbox file; many readers skip it in front of a header. */
function isMailboxLine(message: Buffer, start: number): boolean {
  return /^>?From /.test(message.toString("latin1", start, start + 6));
}

function lineEnd(message: Buffer, start: number): number {
  const end = message.indexOf(LF, start);
  return end < 0 ? message.length : end + 1;
}
