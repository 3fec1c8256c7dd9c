/** Plays smtpd to a seal filter: speaks protocol 0.7 of smtpd-filters(7) and collects the answers. */

import type { Readable, Writable } from "node:stream";

const stamp = "0.7|1576146008.006099|smtp-in";

export class SealDriver {
  readonly #input: Writable;
  #output = "";
  readonly #chunks: Buffer[] = [];
  #wake: (() => void) | undefined;
  #tokens = 0;

  constructor(input: Writable, output: Readable) {
    this.#input = input;
    output.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake?.();
    });
  }

  /** Everything the filter has said, not yet taken by {@link answer}. */
  get said(): string {
    this.#output += Buffer.concat(this.#chunks.splice(0)).toString("latin1");
    return this.#output;
  }

  raw(text: string | Buffer): void {
    this.#input.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  configure(): void {
    this.raw("config|smtpd-version|7.6.0-portable\nconfig|protocol|0.7\nconfig|subsystem|smtp-in\nconfig|ready\n");
  }

  report(session: string, event: string, rest = ""): void {
    this.raw(`report|${stamp}|${event}|${session}${rest === "" ? "" : `|${rest}`}\n`);
  }

  /** Asks and gives the answer: `proceed` or `reject|…`. */
  async ask(session: string, phase: string, parameter = ""): Promise<string> {
    this.#tokens += 1;
    const token = this.#tokens.toString(16).padStart(16, "0");
    this.raw(`filter|${stamp}|${phase}|${session}|${token}|${parameter}\n`);
    return await this.answer(new RegExp(`^filter-result\\|${session}\\|${token}\\|(.*)\n`, "m"));
  }

  connect(session: string, helo = "mail.sender.example"): void {
    this.report(session, "link-connect", "mail.sender.example|pass|192.0.2.7:4000|127.0.0.1:10025");
    this.report(session, "protocol-client", "NOOP shoal-tls TLSv1.3 TLS_AES_256_GCM_SHA384");
    this.report(session, "protocol-client", `EHLO ${helo}`);
    this.report(session, "link-identify", `EHLO|${helo}`);
  }

  mail(session: string, sender: string, parameters = ""): void {
    this.report(session, "protocol-client", `MAIL FROM:<${sender}>${parameters}`);
    this.report(session, "tx-begin", "0badcafe");
    this.report(session, "tx-mail", `0badcafe|ok|${sender}`);
  }

  /** Names a recipient; as smtpd does, tells when it was taken. */
  async recipient(session: string, address: string): Promise<string> {
    const verdict = await this.ask(session, "rcpt-to", address);
    if (verdict === "proceed") this.report(session, "tx-rcpt", `0badcafe|ok|${address}`);
    return verdict;
  }

  /** Sends a message given as SMTP lines, without the last dot, and gives the lines that come back. */
  async data(session: string, lines: readonly (string | Buffer)[]): Promise<string[]> {
    const token = "00000000000000aa";
    const head = `filter|${stamp}|data-line|${session}|${token}|`;
    for (const line of lines) {
      this.raw(
        Buffer.concat([
          Buffer.from(head),
          Buffer.isBuffer(line) ? line : Buffer.from(line, "latin1"),
          Buffer.from("\n"),
        ]),
      );
    }
    this.raw(`${head}.\n`);
    const prefix = `filter-dataline|${session}|${token}|`;
    const last = Buffer.from(`${prefix}.\n`);
    // Looked for in what is new only: a large message is thousands of chunks.
    let parts: Buffer[] = [Buffer.from(this.said, "latin1")];
    this.#output = "";
    let tail: Buffer = parts[0] ?? last;
    while (!tail.includes(last)) {
      await this.#more();
      const fresh = Buffer.concat(this.#chunks.splice(0));
      parts.push(fresh);
      tail = Buffer.concat([tail.subarray(-last.length), fresh]);
    }
    const all = Buffer.concat(parts);
    parts = [];
    const end = all.indexOf(last, Math.max(0, all.length - tail.length)) + last.length;
    this.#output = all.toString("latin1", end);
    return all
      .toString("latin1", 0, end)
      .split("\n")
      .filter((line) => line.startsWith(prefix))
      .map((line) => line.slice(prefix.length));
  }

  /** Waits for output that fits and takes it, with everything before it. */
  async answer(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.said);
      if (match !== null) {
        this.#output = this.#output.slice(match.index + match[0].length);
        return match[1] ?? "";
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (this.#chunks.length > 0) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}
