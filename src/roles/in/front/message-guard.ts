/**
 * Watches a message go by, byte for byte: only CRLF ends a line, only CRLF "." CRLF ends the message, and there is no
 * CR, LF or NUL anywhere else (RFC 5321, sections 2.3.8 and 4.1.1.4). Any server behind us that splits lines in any
 * known way then sees the same lines as we do, so no part of a message can be taken for commands.
 */

/**
 * Longest line of a message, without its CRLF. smtpd reads lines into 65,536 bytes together with 50 bytes of its
 * filter protocol; a line that doesn't fit stops the filter for good.
 */
export const maxLineBytes = 65_000;

const CR = 13;
const LF = 10;
const DOT = 46;
const nothing: Buffer = Buffer.alloc(0);

/** Why a message is refused. */
export interface Fault {
  /** The reply, without CRLF. */
  reply: string;
  /** The client's lines are not to be believed any more: nothing that follows is obeyed. */
  closes: boolean;
}

export interface Passed {
  /** Bytes that are safe to pass on, a part of the chunk; none from the first fault on. */
  bytes: Buffer;
  /** What came after the end of the message; null while it has not ended. */
  rest: Buffer | null;
}

export class MessageGuard {
  readonly #maxBytes: number;
  /** Bytes of the line so far, without its CRLF. */
  #lineBytes = 0;
  #lineStartsWithDot = false;
  /** The last byte seen was a CR that has not been counted. */
  #afterCr = false;
  #messageBytes = 0;
  #fault: Fault | null = null;

  /** @param maxBytes largest message, as RFC 1870 counts: CRLF are two bytes, dots added for SMTP and the last line none */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The first thing that was wrong. */
  get fault(): Fault | null {
    return this.#fault;
  }

  push(chunk: Buffer): Passed {
    const nul = chunk.indexOf(0);
    let at = 0;
    while (at < chunk.length) {
      if (this.#afterCr) {
        this.#afterCr = false;
        if (chunk[at] === LF) {
          at += 1;
          if (this.#endLine()) return this.#passed(chunk.subarray(0, at), chunk.subarray(at));
          continue;
        }
        this.#blame("550 5.6.0 bare CR in the message, lines end in CRLF", true);
        this.#lineBytes += 1;
      }
      at = this.#restOfLine(chunk, at, nul);
    }
    return this.#passed(chunk, null);
  }

  /** Takes the line up to and with its CR, or to the end of the chunk; gives where it stopped. `nul`: where the first NUL is. */
  #restOfLine(chunk: Buffer, from: number, nul: number): number {
    const cr = chunk.indexOf(CR, from);
    const end = cr < 0 ? chunk.length : cr;
    if (nul >= from && nul < end) this.#blame("550 5.6.0 NUL in the message", true);
    if (this.#fault?.closes !== true) {
      const lf = chunk.indexOf(LF, from);
      if (lf >= 0 && lf < end) this.#blame("550 5.6.0 bare LF in the message, lines end in CRLF", true);
    }
    if (this.#lineBytes === 0 && end > from) this.#lineStartsWithDot = chunk[from] === DOT;
    this.#lineBytes += end - from;
    if (this.#lineBytes > maxLineBytes) this.#blame(`550 5.6.0 line longer than ${maxLineBytes} bytes`, false);
    this.#afterCr = cr >= 0;
    return cr < 0 ? end : cr + 1;
  }

  /** True when the line that ends here is the last one. */
  #endLine(): boolean {
    const last = this.#lineStartsWithDot && this.#lineBytes === 1;
    if (!last) this.#messageBytes += this.#lineBytes + 2 - (this.#lineStartsWithDot ? 1 : 0);
    if (this.#messageBytes > this.#maxBytes) {
      this.#blame(`552 5.3.4 message larger than ${this.#maxBytes} bytes`, false);
    }
    this.#lineBytes = 0;
    this.#lineStartsWithDot = false;
    return last;
  }

  #blame(reply: string, closes: boolean): void {
    // A later doubt about the lines themselves outweighs a mere size.
    if (this.#fault === null || (closes && !this.#fault.closes)) this.#fault = { reply, closes };
  }

  #passed(bytes: Buffer, rest: Buffer | null): Passed {
    return { bytes: this.#fault === null ? bytes : nothing, rest };
  }
}
