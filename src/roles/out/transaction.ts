/** One message to smtpd in two steps: everything but the last dot, and the last dot, which makes smtpd take it. */

import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { firstEightBit } from "#core/mail/submission/lines.ts";
import { expectCode, replyText, type SmtpReply } from "./smtp-session.ts";
import { type Lent, type SmtpdPool } from "./smtpd-pool.ts";

export interface Consignment {
  /** "" for a notice, which nobody gets a notice about. */
  readonly envelopeFrom: string;
  readonly recipients: readonly string[];
  /** CRLF line ends, the last line too. */
  readonly message: Buffer;
}

/** What became of the last dot. */
export type Outcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly error: Error }
  /** smtpd may have it or not. */
  | { readonly kind: "unknown"; readonly error: Error };

const DOT = 0x2e;

export class Transaction {
  readonly #pool: SmtpdPool;
  readonly #lent: Lent;
  #isOver = false;

  private constructor(pool: SmtpdPool, lent: Lent) {
    this.#pool = pool;
    this.#lent = lent;
  }

  /**
   * Hands over envelope and message. A kept session that has ended meanwhile is replaced by a new one.
   * @throws FormatError RECIPIENT for a recipient, PolicyError REFUSED for what else smtpd never takes; HostError; then
   * smtpd has nothing
   */
  static async begin(pool: SmtpdPool, consignment: Consignment): Promise<Transaction> {
    const lent = await pool.lend();
    try {
      return await Transaction.#with(pool, lent, consignment);
    } catch (error) {
      if (lent.messages === 0 || !(error instanceof HostError)) throw error;
    }
    return await Transaction.#with(pool, await pool.lendNew(), consignment);
  }

  static async #with(pool: SmtpdPool, lent: Lent, consignment: Consignment): Promise<Transaction> {
    try {
      await offer(lent, consignment);
      return new Transaction(pool, lent);
    } catch (error) {
      lent.session.destroy();
      throw error;
    }
  }

  /** Never throws. */
  async commit(): Promise<Outcome> {
    const { session } = this.#lent;
    this.#isOver = true;
    try {
      await session.write(".\r\n", 1);
      const reply = await session.reply();
      if (reply.code === 250) {
        this.#pool.giveBack(this.#lent);
        return { kind: "accepted" };
      }
      session.destroy();
      // RFC 5321 section 4.2.5: only a positive completion makes it smtpd's.
      return { kind: "refused", error: refusal(reply, "the message") };
    } catch (error) {
      session.destroy();
      return { kind: "unknown", error: error instanceof Error ? error : new HostError("NETWORK", String(error)) };
    }
  }

  /** smtpd forgets it. */
  abort(): void {
    if (!this.#isOver) this.#lent.session.destroy();
    this.#isOver = true;
  }
}

async function offer({ session }: Lent, { envelopeFrom, recipients, message }: Consignment): Promise<void> {
  for (const address of [envelopeFrom, ...recipients]) {
    if (!/^[!-;=?-~]*$/.test(address)) throw new RangeError("an address that no envelope can hold");
  }
  const isEightBit = firstEightBit(message, 0, message.length) >= 0;
  if (isEightBit && !session.offers("8BITMIME")) throw new HostError("BUSY", "smtpd does not take 8-bit text now");
  const body = isEightBit ? " BODY=8BITMIME" : "";
  const size = session.offers("SIZE") ? ` SIZE=${message.length}` : "";
  // RFC 3461: the whole mail comes back if it can't be delivered, so that its sender can send it again.
  const back = envelopeFrom !== "" && session.offers("DSN") ? " RET=FULL" : "";
  const commands = [
    `MAIL FROM:<${envelopeFrom}>${size}${body}${back}`,
    ...recipients.map((address) => `RCPT TO:<${address}>`),
  ];
  const replies: SmtpReply[] = [];
  if (session.offers("PIPELINING")) {
    await session.write(commands.map((line) => `${line}\r\n`).join(""), commands.length);
    for (const _ of commands) replies.push(await session.reply());
  } else {
    for (const line of commands) {
      await session.write(`${line}\r\n`, 1);
      const reply = await session.reply();
      replies.push(reply);
      if (reply.code !== 250) break;
    }
  }
  for (const [index, reply] of replies.entries()) {
    if (reply.code === 250) continue;
    throw index === 0 ? refusal(reply, "the sender") : recipientRefusal(reply, recipients[index - 1] ?? "");
  }
  await session.write("DATA\r\n", 1);
  const go = await session.reply();
  if (go.code >= 500) throw refusal(go, "the message");
  expectCode(go, 354);
  await session.write(stuffed(message), 0);
  // Nobody asked for a word before the dot: one now means that smtpd has given up.
  if (!session.isUsable) throw new HostError("NETWORK", "smtpd gave up in the middle of the message");
}

function refusal(reply: SmtpReply, what: string): Error {
  const text = `smtpd refuses ${what}: ${replyText(reply)}`;
  return reply.code >= 500 ? new PolicyError("REFUSED", text) : new HostError("BUSY", text);
}

function recipientRefusal(reply: SmtpReply, address: string): Error {
  if (reply.code < 500) return refusal(reply, `the recipient "${address}" for now`);
  return new FormatError("RECIPIENT", `smtpd refuses the recipient "${address}": ${replyText(reply)}`);
}

/** RFC 5321 section 4.5.2: a dot at the start of a line is doubled. */
function stuffed(message: Buffer): Buffer {
  const isFirst = message[0] === DOT;
  if (!isFirst && !message.includes("\r\n.", 0, "latin1")) return message;
  return Buffer.from((isFirst ? "." : "") + message.toString("latin1").replaceAll("\r\n.", "\r\n.."), "latin1");
}
