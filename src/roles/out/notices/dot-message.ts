/** A message behind DATA up to the line with a dot alone (RFC 5321 sections 4.1.1.4 and 4.5.2). */

import { FormatError, HostError } from "#core/errors.ts";
import type { MemoryShare } from "../memory-budget.ts";
import type { RelayInput } from "../relay-input.ts";

export interface DotMessageBounds {
  readonly maxBytes: number;
  /** Without a byte of it. */
  readonly pauseMilliseconds: number;
  readonly share: MemoryShare;
}

const END = Buffer.from("\r\n.\r\n", "latin1");

/**
 * @returns the message, CRLF line ends; null if there was no room for it: then it was read and dropped
 * @throws HostError NETWORK, TIMEOUT; FormatError SMTP if something stands behind its end
 */
export async function readDotMessage(input: RelayInput, bounds: DotMessageBounds): Promise<Buffer | null> {
  const { maxBytes, pauseMilliseconds, share } = bounds;
  let chunks: Buffer[] | null = [];
  let bytes = 0;
  /** The last bytes so far. A message may begin with its end. */
  let tail: Buffer = Buffer.from("\r\n");
  for (;;) {
    const chunk = await input.chunk(Date.now() + pauseMilliseconds);
    if (chunk === null) throw new HostError("NETWORK", "the connection ended inside a message");
    bytes += chunk.length;
    if (chunks !== null && bytes <= maxBytes && hasRoom(share, chunk.length)) chunks.push(chunk);
    else chunks = null;
    // Only the end of what came can be the end: nobody says anything behind it before we have answered.
    const window = Buffer.concat([tail, chunk]);
    const end = window.indexOf(END);
    if (end < 0) {
      tail = window.subarray(-(END.length - 1));
      continue;
    }
    if (end + END.length !== window.length) throw new FormatError("SMTP", "something stands behind the message");
    return chunks === null ? null : unstuffed(Buffer.concat(chunks));
  }
}

function hasRoom(share: MemoryShare, bytes: number): boolean {
  try {
    share.take(bytes);
    return true;
  } catch (error) {
    if (error instanceof HostError && error.code === "BUSY") return false;
    throw error;
  }
}

/** Without the last dot, and the dots in front of dots. */
function unstuffed(all: Buffer): Buffer {
  const text = `\r\n${all.toString("latin1", 0, all.length - 3)}`;
  return Buffer.from(text.replaceAll("\r\n.", "\r\n").slice(2), "latin1");
}
