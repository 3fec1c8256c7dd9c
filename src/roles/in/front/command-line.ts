/** Command lines, byte by byte as RFC 5321, section 2.3.8 wants them: only CRLF ends a line. */

import type { Wire } from "../wire.ts";
import { Refusal } from "./refusal.ts";

/** Longest command with its CRLF. smtpd keeps 2,048 bytes of one. */
export const maxCommandBytes = 2048;

const CR = 13;
const LF = 10;
const NUL = 0;
const DEL = 127;
const TAB = 9;

/**
 * Takes one line off `bytes`; null when its end has not arrived.
 * @throws Refusal for a bare LF, a bare CR, a NUL, another control character, or a line that is too long
 */
export function takeLine(bytes: Buffer): { line: string; rest: Buffer } | null {
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (at >= maxCommandBytes) throw new Refusal(`500 5.5.2 line longer than ${maxCommandBytes} bytes`);
    if (byte === LF) throw new Refusal("550 5.6.0 bare LF in a command, lines end in CRLF");
    if (byte === NUL) throw new Refusal("550 5.6.0 NUL in a command");
    if (byte === CR) {
      if (at + 1 === bytes.length) return null;
      if (bytes[at + 1] !== LF) throw new Refusal("550 5.6.0 bare CR in a command, lines end in CRLF");
      return { line: bytes.toString("latin1", 0, at), rest: bytes.subarray(at + 2) };
    }
    if ((byte < 32 && byte !== TAB) || byte === DEL) throw new Refusal("550 5.6.0 control character in a command");
  }
  return null;
}

/**
 * Reads one command line, without its CRLF, one character a byte; null when the client has gone. The deadline is for
 * the whole line, so that bytes that trickle in don't extend it.
 * @throws Refusal, HostError TIMEOUT, NETWORK
 */
export async function readCommandLine(wire: Wire, deadline: number): Promise<string | null> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await wire.read(deadline);
    if (chunk === null) return null;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const taken = takeLine(bytes);
    if (taken === null) continue;
    if (taken.rest.length > 0) wire.unread(taken.rest);
    return taken.line;
  }
}
