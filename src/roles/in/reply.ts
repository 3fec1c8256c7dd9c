/** Replies of an SMTP server (RFC 5321, section 4.2). */

import { FormatError, HostError } from "#core/errors.ts";
import type { Wire } from "./wire.ts";

/** Most bytes of one reply, all its lines together. */
const maxReplyBytes = 65_536;

export interface Reply {
  code: number;
  /** The lines as they came, without CRLF, one character a byte. */
  lines: string[];
}

/** True for 2yz and 3yz. */
export function isPositive(reply: Reply): boolean {
  return reply.code < 400;
}

/** The bytes of a reply, one character a byte. */
export function printReply(lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

/** A reply of several lines: `250-…`, `250-…`, `250 …`. */
export function replyLines(code: number, texts: readonly string[]): string[] {
  return texts.map((text, index) => `${code}${index === texts.length - 1 ? " " : "-"}${text}`);
}

/**
 * Takes one reply off `bytes`; null when its end has not arrived.
 * @throws FormatError SMTP when it is none
 */
export function takeReply(bytes: Buffer): { reply: Reply; rest: Buffer } | null {
  const lines: string[] = [];
  let from = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n", from, "latin1");
    if (end < 0) {
      if (bytes.length > maxReplyBytes) throw new FormatError("SMTP", `a reply has more than ${maxReplyBytes} bytes`);
      return null;
    }
    const line = bytes.toString("latin1", from, end);
    from = end + 2;
    const parts = /^([2-5]\d\d)(?:([ -]).*)?$/.exec(line);
    const first = lines[0];
    if (parts === null || (first !== undefined && !first.startsWith(parts[1] ?? ""))) {
      throw new FormatError("SMTP", `"${line}" is no reply`);
    }
    lines.push(line);
    if (parts[2] !== "-") return { reply: { code: Number(parts[1]), lines }, rest: bytes.subarray(from) };
  }
}

/**
 * Reads one reply.
 * @throws FormatError SMTP; HostError TIMEOUT, NETWORK (also when the other side closes instead)
 */
export async function readReply(wire: Wire, deadline: number): Promise<Reply> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await wire.read(deadline);
    if (chunk === null) throw new HostError("NETWORK", "the server closed the connection");
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const taken = takeReply(bytes);
    if (taken === null) continue;
    if (taken.rest.length > 0) wire.unread(taken.rest);
    return taken.reply;
  }
}
