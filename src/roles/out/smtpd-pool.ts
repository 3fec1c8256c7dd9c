/** Sessions with one of smtpd's ports, some of them kept open: a message costs no greeting then. */

import { SmtpSession, type SmtpSessionOptions } from "./smtp-session.ts";

const MAX_KEPT = 8;
/** smtpd closes idle sessions after five minutes. */
const KEPT_MILLISECONDS = 60_000;
/** smtpd takes a hundred messages in a session unless it is told otherwise. */
const MAX_MESSAGES = 90;

interface Kept {
  readonly session: SmtpSession;
  readonly messages: number;
  readonly since: number;
}

export interface Lent {
  readonly session: SmtpSession;
  /** Messages that went through it before. */
  readonly messages: number;
}

export class SmtpdPool {
  readonly #options: SmtpSessionOptions;
  readonly #kept: Kept[] = [];

  constructor(options: SmtpSessionOptions) {
    this.#options = options;
  }

  /** A kept session, or a new one. @throws as SmtpSession.open */
  async lend(): Promise<Lent> {
    this.#tidy();
    return this.#kept.pop() ?? (await this.lendNew());
  }

  async lendNew(): Promise<Lent> {
    return { session: await SmtpSession.open(this.#options), messages: 0 };
  }

  /** Takes back a session through which one more message went. */
  giveBack({ session, messages }: Lent): void {
    this.#tidy();
    if (!session.isUsable || messages + 1 >= MAX_MESSAGES || this.#kept.length >= MAX_KEPT) session.quit();
    else this.#kept.push({ session, messages: messages + 1, since: Date.now() });
  }

  close(): void {
    for (const { session } of this.#kept.splice(0)) session.quit();
  }

  #tidy(): void {
    const oldest = Date.now() - KEPT_MILLISECONDS;
    const all = this.#kept.splice(0);
    for (const kept of all) {
      if (kept.session.isUsable && kept.since > oldest) this.#kept.push(kept);
      else kept.session.quit();
    }
  }
}
